"""Runs of `chainflow sync`: a node on loopback, a real process, an embedded PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil
import psycopg2
import yaml

from chainflow.store import embedded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.samples import Sample

Line = tuple[str, str, str]  # what, measured, wanted

RUNS = 3
_CHAINFLOW = str(Path(sys.executable).with_name("chainflow"))
_CHAINS = Path(__file__).parents[1] / "chains.yaml"


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians of a few runs; of the memory the highest.

    The CPU seconds are those of the command's process and of PostgreSQL's backends. `rows` is by
    table, `size` the bytes of the node's answers.
    """

    blocks: int
    size: int
    rows: dict[str, int]
    seconds: float
    cpu_seconds: float
    server_cpu_seconds: float
    peak_bytes: int

    @property
    def blocks_per_cpu_second(self) -> float:
        """What one core does that the process and PostgreSQL share."""
        return self.blocks / (self.cpu_seconds + self.server_cpu_seconds)

    def lines(self, name: str, *, blocks_per_second: str = "") -> list[Line]:
        """Lines of the table, each beginning with a name; `blocks_per_second` is their goal."""
        total = sum(self.rows.values())
        cpu, server = f"{self.cpu_seconds:.2f}", f"{self.server_cpu_seconds:.2f}"
        return [
            (f"{name}: {self._sizes()}", "", ""),
            (f"{name}: blocks/s", f"{self.blocks / self.seconds:.1f}", blocks_per_second),
            (f"{name}: MB of node answers/s", f"{self.size / self.seconds / 1e6:.1f}", ""),
            (f"{name}: rows/s ({total:,} rows)", f"{total / self.seconds:,.0f}", ""),
            (f"{name}: CPU seconds of its process", cpu, ""),
            (f"{name}: CPU seconds of PostgreSQL", server, ""),
            (f"{name}: blocks per CPU second", f"{self.blocks_per_cpu_second:.1f}", ""),
            (f"{name}: peak MB, highest run", f"{self.peak_bytes / 1e6:.0f}", "< 600"),
        ]

    def _sizes(self) -> str:
        each = (f"{rows / self.blocks:.1f} {table}" for table, rows in self.rows.items())
        mean = ", ".join(text for text in each if not text.endswith(" blocks"))
        return f"{self.blocks} blocks of {self.size / self.blocks / 1e3:.1f} kB: {mean}"


def measure(sample: Sample, folder: Path, name: str, **entry: object) -> Measured:
    """Runs of a sample, each into a database of its own.

    Args:
        sample: Whose blocks.
        folder: Where everything is written but the sample.
        name: Of these runs, unlike any other's in that folder; letters, digits and underscores.
        entry: What differs from the chain's entry in chains.yaml.
    """
    data = folder / f"{name}_postgres"  # a server is started in a folder once a process
    with _node(sample) as url, _postgres(data) as server:
        with urllib.request.urlopen(url) as answer:  # noqa: S310 - our own loopback node
            size = int(answer.read())
        layer = folder / f"{name}.yaml"
        layer.write_text(yaml.safe_dump({"chains": {sample.chain: _entry(sample, url, entry)}}))
        runs = []
        for number in range(RUNS):
            store = _fresh(server, f"{name}_{number}")
            runs.append(_sync(sample, layer, store, data))
            rows = _rows(sample, store)
            print(f"{name}, run {number + 1}: {runs[-1].seconds:.2f} s, {rows}", flush=True)
    return Measured(
        sample.blocks,
        size,
        rows,
        median(run.seconds for run in runs),
        median(run.cpu_seconds for run in runs),
        median(run.server_cpu_seconds for run in runs),
        max(run.peak_bytes for run in runs),
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """What one process took, and what PostgreSQL took for it."""

    seconds: float
    cpu_seconds: float
    server_cpu_seconds: float
    peak_bytes: int


def _entry(sample: Sample, url: str, entry: Mapping[str, object]) -> dict[str, object]:
    return {"start": sample.start, "endpoints": [url], **entry}


@contextmanager
def _node(sample: Sample) -> Iterator[str]:
    """The URL of a node in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.node", sample.chain]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as node:
        try:
            assert node.stdout is not None
            port = node.stdout.readline().strip()
            assert port, "the node did not start"
            yield f"http://127.0.0.1:{port}/"
        finally:
            node.terminate()


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    """The URL of an embedded server with the settings a user gets."""
    try:
        yield embedded.start(folder)
    finally:
        embedded.stop(folder)


def _fresh(server: str, name: str) -> str:
    """The URL of a new database with the control schema."""
    connection = psycopg2.connect(server)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        # What the run before left to write is not this run's work.
        cursor.execute("CHECKPOINT")
    connection.close()
    url = urlsplit(server)._replace(path=f"/{name}").geturl()
    subprocess.run([_CHAINFLOW, "--database-url", url, "db", "upgrade"], check=True)
    return url


def _sync(sample: Sample, layer: Path, store: str, server: Path) -> _Run:
    registry = ["--registry", str(_CHAINS), "--registry", str(layer)]
    command = [_CHAINFLOW, *registry, "--database-url", store]
    # With bytecode, as an installed package has it.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    before, began = _cpu_of_ended(server), time.perf_counter()
    process = subprocess.Popen(
        [*command, "sync", sample.chain, "--to", str(sample.head + 1)], env=environment
    )
    # Not RUSAGE_CHILDREN: that would be the highest of the node's and all others' too.
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"sync ended with {process.returncode}"
    return _Run(
        seconds,
        usage.ru_utime + usage.ru_stime,
        _cpu_of_ended(server) - before,
        usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
    )


def _cpu_of_ended(server: Path) -> float:
    """CPU seconds of the server's backends that have ended; the checkpointer's are not among them.

    On Linux; elsewhere the system does not tell.
    """
    postmaster = int((server / "postmaster.pid").read_text().split()[0])
    times = psutil.Process(postmaster).cpu_times()
    return float(getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0))


def _rows(sample: Sample, store: str) -> dict[str, int]:
    """Rows by table; every block must be there."""
    connection = psycopg2.connect(store)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY 1", [sample.chain]
        )
        rows = {}
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT count(*) FROM {sample.chain}.{table}")
            ((rows[table],),) = cursor.fetchall()
    connection.close()
    assert rows["blocks"] == sample.blocks, rows
    return rows
