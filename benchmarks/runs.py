"""Runs of `chainflow sync`: a node on loopback, a real process, a PostgreSQL of its own."""

from __future__ import annotations

import sys
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import yaml

from benchmarks.postgres import Load, Postgres, loaded
from benchmarks.process import Run, at_once, middle, node, run
from benchmarks.report import Line, at_most, plain

if TYPE_CHECKING:
    from benchmarks.samples import Sample

RUNS = 5
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


def measure(
    sample: Sample,
    folder: Path,
    name: str,
    *,
    blocks: int | None = None,
    runs: int = RUNS,
    seconds: float = 0.0,
    halved: bool = False,
    **entry: object,
) -> Synced:
    """Runs over a sample, each into a database of its own.

    Args:
        sample: Whose blocks.
        folder: Where everything is written but the sample.
        name: Of these runs, unlike any other's in that folder; letters, digits and underscores.
        blocks: How many of the sample; by default all.
        runs: How often.
        seconds: How late the node answers.
        halved: Whether two commands at once take half of the blocks each, as mapped tasks do.
        entry: What differs from the chain's entry in chains.yaml.
    """
    count = blocks or sample.blocks
    done: list[Run] = []
    loads: list[Load] = []
    rows: Counter[str] = Counter()
    # A server is started in a folder once a process.
    with node(sample, seconds) as url, Postgres(folder / f"{name}_postgres") as server:
        with urllib.request.urlopen(url) as answer:  # noqa: S310 - our own loopback node
            size = int(answer.read()) * count / sample.blocks
        layer = folder / f"{name}.yaml"
        chain = {"start": sample.start, "endpoints": [url], **entry}
        layer.write_text(yaml.safe_dump({"chains": {sample.chain: chain}}))
        for number in range(runs):
            store = server.database(f"{name}_{number}")
            command = [CHAINFLOW, "--registry", str(CHAINS), "--registry", str(layer)]
            run([*command, "--database-url", store, "db", "upgrade"])
            command += ["--database-url", store, "sync", sample.chain]
            half, stop = (str(sample.start + count // part) for part in (2, 1))
            whole = [*command, "--to", stop]
            halves = [*command, "--to", half], [*command, "--from", half, "--to", stop]
            with loaded(server, store, sample.chain) as load:
                done.append(run(at_once(*halves) if halved else whole))
            loads.append(load)
            rows = server.rows(store, sample.chain)
            assert rows["blocks"] == count, rows
            print(f"{name}, run {number + 1}: {done[-1].seconds:.2f} s", flush=True)
    load = Load(*(median(amounts) for amounts in zip(*map(Load.amounts, loads), strict=True)))
    return Synced(count, size, dict(rows), middle(done), load)
