"""Blocks to tables without a store: ours, cryo's and ethereum-etl's, taking turns.

Each tool reads two ranges of different length. What the longer one takes beyond the shorter one is
what blocks cost; the rest is the start: interpreter, imports, connecting. Both are told.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from benchmarks._tools import SAMPLE, Tool, ours, printed, tools, truth
from benchmarks.process import LATENCY_SECONDS, Run, middle, node, run
from benchmarks.report import Line, at_least, at_most, plain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RUNS = 5
_LONG_RUNS = 3


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians of a tool's runs over few and over many blocks."""

    counts: tuple[int, int]
    few: Run
    many: Run

    @property
    def per_cpu_second(self) -> float:
        """Blocks per CPU second, the start left out."""
        more = self.counts[1] - self.counts[0]
        return more / (self.many.cpu_seconds - self.few.cpu_seconds)

    @property
    def per_second(self) -> float:
        """Blocks per second of wall clock, the start left out."""
        return (self.counts[1] - self.counts[0]) / (self.many.seconds - self.few.seconds)

    @property
    def start(self) -> float:
        """CPU seconds of the start."""
        return self.few.cpu_seconds - self.counts[0] / self.per_cpu_second

    def whole(self, blocks: int) -> float:
        """Blocks per CPU second of a process that reads so many, its start among them."""
        return blocks / (self.start + blocks / self.per_cpu_second)


def measure(folder: Path) -> list[Line]:
    """Lines of the table; everything it writes is in `folder`."""
    compared, lines = tools()
    with node(SAMPLE) as prompt, node(SAMPLE, LATENCY_SECONDS) as late:
        urls = {0.0: prompt, LATENCY_SECONDS: late}
        costs = _costs(compared, urls, folder / "tables")
        for name, cost in costs.items():
            lines += _told(name, cost)
        for peer, least in (("cryo", 2.0), ("ethereum-etl", 15.0)):
            if peer in costs:
                lines += _ratios(costs["hashes"], costs[peer], peer, least)
        lines += _late(costs)
        lines += _long(costs["hashes"].many, urls, folder / "tables")
    ratio = costs["hashes"].per_cpu_second / costs["roots"].per_cpu_second
    return [*lines, plain("verify: roots over verify: hashes, CPU of all the work", ratio)]


def _long(few: Run, urls: Mapping[float, str], folder: Path) -> list[Line]:
    """As many blocks as there are, with and without latency: rate and memory."""
    count = SAMPLE.blocks
    both = {
        seconds: Tool("hashes, long", (count, count), partial(ours, "hashes"), printed, seconds)
        for seconds in urls
    }
    done: dict[float, list[Run]] = defaultdict(list)
    for _ in range(_LONG_RUNS):
        for seconds, tool in both.items():
            done[seconds].append(_once(tool, urls[seconds], count, folder))
    prompt, late = (middle(done[seconds]) for seconds in urls)
    kept = 100 * prompt.seconds / late.seconds
    grown = (prompt.peak_bytes - few.peak_bytes) / 1e6
    return [
        at_least(f"{count} blocks, 50 ms a request: rate, of that without", kept, 90, "%"),
        at_most(f"{count} blocks: peak memory, highest run", prompt.peak_bytes / 1e6, 500, "MB"),
        plain(f"{count} blocks: peak memory beyond that of 400", grown, "MB"),
    ]


def _costs(compared: list[Tool], urls: Mapping[float, str], folder: Path) -> dict[str, Cost]:
    """What each tool takes; they take turns, so that other load falls on all of them."""
    runs: dict[tuple[str, int], list[Run]] = defaultdict(list)
    for turn in range(RUNS + 1):
        for tool in compared:
            for count in tool.counts:
                done = _once(tool, urls[tool.seconds], count, folder)
                if turn:  # the first makes files warm, here and in the node
                    runs[tool.name, count].append(done)
    return {
        tool.name: Cost(tool.counts, *(middle(runs[tool.name, count]) for count in tool.counts))
        for tool in compared
    }


def _once(tool: Tool, url: str, count: int, folder: Path) -> Run:
    folder.mkdir()
    try:
        done = run(tool.command(url, count, folder))
        found = tool.rows(done.out, folder)
        assert found == truth(count), f"{tool.name}: {found}, expected {truth(count)}"
    finally:
        shutil.rmtree(folder)
    seconds, cpu = done.seconds, done.cpu_seconds
    print(f"tables: {tool.name}, {count} blocks: {seconds:.2f} s, {cpu:.2f} s of CPU", flush=True)
    return done


def _told(name: str, cost: Cost) -> list[Line]:
    many = cost.counts[1]
    whole, peak = many / cost.many.cpu_seconds, cost.many.peak_bytes / 1e6
    return [
        plain(f"{name}: blocks per CPU second, start left out", cost.per_cpu_second),
        plain(f"{name}: the same of a process that reads {many}, start among it", whole),
        plain(f"{name}: CPU of the start", cost.start, "s"),
        plain(f"{name}: blocks/s, start left out", cost.per_second),
        plain(f"{name}: peak memory of its largest process at {many} blocks", peak, "MB"),
    ]


def _ratios(mine: Cost, peer: Cost, name: str, least: float) -> list[Line]:
    many = peer.counts[1]
    started = mine.whole(many) / peer.whole(many)
    return [
        at_least(
            f"ours over {name}, blocks per CPU second",
            mine.per_cpu_second / peer.per_cpu_second,
            least,
        ),
        at_least(
            f"ours over {name}, processes that read {many} blocks, start among it", started, least
        ),
    ]


def _late(costs: dict[str, Cost]) -> list[Line]:
    """With 50 ms a request, against cryo, which reads and decodes on all cores at once."""
    if "cryo, 50 ms" not in costs:
        return []
    one, two = costs["hashes, 50 ms"], costs["hashes, 50 ms, two tasks"]
    cryo = costs["cryo, 50 ms"]
    started = cryo.many.seconds / two.many.seconds
    return [
        at_least(
            "50 ms a request: two tasks at once over cryo, blocks/s",
            two.per_second / cryo.per_second,
            1,
        ),
        plain("50 ms a request: two tasks over cryo, 400 blocks, start among it", started),
        plain(
            "50 ms a request: one task, which has one core, over cryo",
            one.per_second / cryo.per_second,
        ),
    ]
