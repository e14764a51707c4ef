"""Runs of `chainflow sync`: a node on loopback, a real process, a PostgreSQL of its own."""

from __future__ import annotations

import sys
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import yaml

from benchmarks.postgres import Load, Postgres, loaded
from benchmarks.process import Run, at_once, middle, node, run
from benchmarks.report import Line, at_most, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.samples import Sample

CHAINFLOW = str(Path(sys.executable).with_name("chainflow"))
CHAINS = Path(__file__).parents[1] / "chains.yaml"


@dataclass(frozen=True, slots=True)
class Synced:
    """Medians of a few runs; of the memory the highest.

    `rows` is by table, `size` the bytes of the node's answers, `load` what PostgreSQL had to do.
    """

    blocks: int
    size: float
    rows: dict[str, int]
    process: Run
    load: Load

    @property
    def megabytes_per_second(self) -> float:
        """Bytes of the node's answers in a second of wall clock."""
        return self.size / self.process.seconds / 1e6

    @property
    def cpu_seconds(self) -> float:
        """Those of the process and of the PostgreSQL."""
        return self.process.cpu_seconds + self.load.cpu_seconds

    def lines(self, name: str) -> list[Line]:
        """Lines of the table, each beginning with a name."""
        total = sum(self.rows.values())
        seconds, megabytes = self.process.seconds, self.size / 1e6
        cpu = f"{self.process.cpu_seconds:.2f} + {self.load.cpu_seconds:.2f}"
        return [
            Line(f"{name}: what", self._sizes()),
            plain(f"{name}: blocks/s", self.blocks / seconds),
            plain(f"{name}: MB of node answers/s", self.megabytes_per_second),
            plain(f"{name}: rows/s", total / seconds),
            Line(f"{name}: CPU seconds, process + PostgreSQL", cpu),
            plain(f"{name}: blocks per CPU second of both", self.blocks / self.cpu_seconds),
            plain(f"{name}: MB per CPU second of both", megabytes / self.cpu_seconds),
            at_most(f"{name}: peak memory", self.process.peak_bytes / 1e6, 500, "MB"),
        ]

    def _sizes(self) -> str:
        each = (f"{rows / self.blocks:.1f} {table}" for table, rows in self.rows.items())
        mean = ", ".join(text for text in each if not text.endswith(" blocks"))
        return f"{self.blocks} blocks of {self.size / self.blocks / 1e3:.1f} kB: {mean}"


@dataclass(frozen=True, slots=True)
class Work:
    """Blocks that `sync` is to read, and how.

    Attributes:
        sample: Whose blocks.
        blocks: How many of the sample.
        runs: How often.
        seconds: How late the node answers.
        halved: Whether two commands at once take half of the blocks each, as mapped tasks do.
        entry: What differs from the chain's entry in chains.yaml.
    """

    sample: Sample
    blocks: int
    runs: int = 5
    seconds: float = 0.0
    halved: bool = False
    entry: Mapping[str, object] = field(default_factory=dict)

    @property
    def node(self) -> tuple[str, float]:
        """Which node it needs: of which sample, and how late."""
        return self.sample.chain, self.seconds


def measure(folder: Path, works: Mapping[str, Work]) -> dict[str, Synced]:
    """Runs of each work, taking turns, so that other load falls on all of them; in one PostgreSQL.

    One more, not counted, comes first.

    Args:
        folder: Where everything is written but the samples.
        works: By names of lower case letters, digits and underscores.
    """
    done: dict[str, list[_Once]] = {name: [] for name in works}
    with ExitStack() as stack:
        server = stack.enter_context(Postgres(folder / "runs_postgres"))
        needed = {work.node: work.sample for work in works.values()}
        urls = {key: stack.enter_context(node(needed[key], key[1])) for key in needed}
        sent = {key: _size(url) / needed[key].blocks for key, url in urls.items()}
        # A new server has yet to make the files of its log; the largest run makes them.
        most = max(works.values(), key=lambda work: work.blocks * sent[work.node])
        _once(server, folder, "first", most, urls[most.node])
        for turn in range(max(work.runs for work in works.values())):
            for name, work in works.items():
                if turn < work.runs:
                    once = _once(server, folder, f"{name}_{turn}", work, urls[work.node])
                    done[name].append(once)
                    print(f"{name}, run {turn + 1}: {once.run.seconds:.2f} s", flush=True)
    return {
        name: Synced(
            work.blocks,
            sent[work.node] * work.blocks,
            done[name][-1].rows,
            middle([once.run for once in done[name]]),
            _middle_load([once.load for once in done[name]]),
        )
        for name, work in works.items()
    }


class _Once(NamedTuple):
    run: Run
    load: Load
    rows: dict[str, int]


def _once(server: Postgres, folder: Path, name: str, work: Work, url: str) -> _Once:
    """One run, into a database of its own."""
    sample, layer = work.sample, folder / f"{name}.yaml"
    chain = {"start": sample.start, "endpoints": [url], **work.entry}
    layer.write_text(yaml.safe_dump({"chains": {sample.chain: chain}}))
    store = server.database(name)
    command = [CHAINFLOW, "--registry", str(CHAINS), "--registry", str(layer)]
    command += ["--database-url", store]
    run([*command, "db", "upgrade"])
    command += ["sync", sample.chain]
    half, stop = (str(sample.start + work.blocks // part) for part in (2, 1))
    if work.halved:
        first, second = [*command, "--to", half], [*command, "--from", half, "--to", stop]
        command = at_once(first, second)
    else:
        command += ["--to", stop]
    with loaded(server, store, sample.chain) as load:
        done = run(command)
    rows = dict(server.rows(store, sample.chain))
    assert rows["blocks"] == work.blocks, rows
    server.drop(name)
    return _Once(done, load, rows)


def _size(url: str) -> int:
    """Bytes of all the node's answers."""
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - our own loopback node
        return int(answer.read())


def _middle_load(loads: Sequence[Load]) -> Load:
    return Load(*(median(amounts) for amounts in zip(*map(Load.amounts, loads), strict=True)))
