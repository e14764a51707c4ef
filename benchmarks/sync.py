"""`chainflow sync` of mainnet-like blocks: a node on loopback, a real process and PostgreSQL."""

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

from benchmarks.node import CHAIN_ID, START
from chainflow.store import embedded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Line = tuple[str, str, str]  # what, measured, wanted

BLOCKS = 400
RUNS = 3
_CHAINFLOW = str(Path(sys.executable).with_name("chainflow"))
_DATASETS = ("blocks", "transactions", "logs", "token_transfers")
_REGISTRY = """\
chains:
  bench:
    family: evm
    chain_id: {chain_id}
    blocks_per_minute: 5.0
    start: {start}
    finality: finalized
    endpoints: ["{url}"]
    datasets: [{datasets}]
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What one process took, and what PostgreSQL took for it."""

    seconds: float
    cpu_seconds: float
    server_cpu_seconds: float
    peak_bytes: int


def measure(folder: Path) -> list[Line]:
    """Lines of the table; everything it writes, but the cached blocks, is in `folder`."""
    with _node() as url, _postgres(folder / "postgres") as server:
        with urllib.request.urlopen(url) as answer:  # noqa: S310 - our own loopback node
            size = int(answer.read())
        registry = folder / "bench.yaml"
        registry.write_text(
            _REGISTRY.format(chain_id=CHAIN_ID, start=START, url=url, datasets=", ".join(_DATASETS))
        )
        runs = []
        for number in range(RUNS):
            store = _fresh(server, f"bench_{number}")
            runs.append(_sync(registry, store, folder / "postgres"))
            rows = _rows(store)
            print(f"sync, run {number + 1}: {runs[-1].seconds:.2f} s, {rows}", flush=True)
    return _lines(runs, size, rows)


def _lines(runs: Sequence[Run], size: int, rows: dict[str, int]) -> list[Line]:
    seconds = median(run.seconds for run in runs)
    cpu = median(run.cpu_seconds for run in runs)
    server_cpu = median(run.server_cpu_seconds for run in runs)
    peak = max(run.peak_bytes for run in runs)
    of = f"sync of {BLOCKS} blocks, {size / 1e6:.0f} MB"
    total = sum(rows.values())
    return [
        (f"{of}: blocks/s", f"{BLOCKS / seconds:.1f}", ">= 60"),
        (f"{of}: MB of node JSON/s", f"{size / seconds / 1e6:.1f}", ""),
        (f"{of}: rows/s ({total:,} rows)", f"{total / seconds:,.0f}", ""),
        (f"{of}: CPU seconds of its process", f"{cpu:.2f}", ""),
        (f"{of}: CPU seconds of PostgreSQL", f"{server_cpu:.2f}", ""),
        (f"{of}: peak MB, highest run", f"{peak / 1e6:.0f}", "< 600"),
    ]


@contextmanager
def _node() -> Iterator[str]:
    """The URL of a node in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.node", str(BLOCKS)]
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


def _sync(registry: Path, store: str, server: Path) -> Run:
    command = [_CHAINFLOW, "--registry", str(registry), "--database-url", store]
    # With bytecode, as an installed package has it.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    before, began = _cpu_of_ended(server), time.perf_counter()
    process = subprocess.Popen(
        [*command, "sync", "bench", "--to", str(START + BLOCKS)], env=environment
    )
    # Not RUSAGE_CHILDREN: that would be the highest of the node's and all others' too.
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"sync ended with {process.returncode}"
    return Run(
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


def _rows(store: str) -> dict[str, int]:
    """Rows by table; every block must be there."""
    connection = psycopg2.connect(store)
    with connection.cursor() as cursor:
        rows = {}
        for dataset in _DATASETS:
            cursor.execute(f"SELECT count(*) FROM bench.{dataset}")
            ((rows[dataset],),) = cursor.fetchall()
    connection.close()
    assert rows["blocks"] == BLOCKS, rows
    return rows
