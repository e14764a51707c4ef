"""`chainflow sync` of blocks like Ethereum's into PostgreSQL, beside `ethereumetl stream`."""

from __future__ import annotations

import time
from statistics import median
from subprocess import DEVNULL, Popen
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from benchmarks import peers, runs
from benchmarks.postgres import Postgres
from benchmarks.process import LATENCY_SECONDS, node, run
from benchmarks.report import Line, at_least, at_most, plain
from benchmarks.runs import Work
from benchmarks.samples import SAMPLES

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.runs import Synced

DATASETS = ["blocks", "transactions", "logs", "token_transfers"]
_SAMPLE = SAMPLES["ethereum"]
_FEW, _MANY = 100, 400
_INDEXES = ["hash", "address", "time"]
_LONG_RUNS = 3
# ethereum-etl takes a batch of ten in seven seconds.
_ETL_BATCH, _ETL_BATCHES, _ETL_RUNS = 10, 2, 5
_ETL_TABLES = (
    "import sys, sqlalchemy; from ethereumetl.streaming.postgres_tables import metadata;"
    " metadata.create_all(sqlalchemy.create_engine(sys.argv[1]))"
)


def measure(folder: Path) -> list[Line]:
    """Lines of the table; everything it writes, but the cached blocks, is in `folder`."""
    count = _SAMPLE.blocks
    done = runs.measure(
        folder,
        {
            "hashes": _work("hashes", _MANY),
            "roots": _work("roots", _MANY),
            "late": _work("hashes", _MANY, seconds=LATENCY_SECONDS),
            "few": _work("hashes", _FEW),
            "long": _work("hashes", count, runs=_LONG_RUNS),
            "two": _work("hashes", count, runs=_LONG_RUNS, halved=True),
            "two_roots": _work("roots", count, runs=_LONG_RUNS, halved=True),
            "indexed": _work("roots", _MANY, runs=_LONG_RUNS, indexes=_INDEXES),
        },
    )
    hashes, roots, long, two = (done[name] for name in ("hashes", "roots", "long", "two"))
    steady = _steady(done["few"], hashes)
    kept = 100 * hashes.process.seconds / done["late"].process.seconds
    dearer = done["indexed"].load.cpu_seconds / roots.load.cpu_seconds
    size, peak = hashes.size / _MANY / 1e6, long.process.peak_bytes / 1e6
    grown = peak - hashes.process.peak_bytes / 1e6
    return [
        *hashes.lines("verify: hashes"),
        *roots.lines("verify: roots"),
        plain("400 blocks, start among it", hashes.megabytes_per_second, "MB/s"),
        plain("400 blocks, start left out", steady * size, "MB/s"),
        at_least(f"{count} blocks, start among it", long.megabytes_per_second, 100, "MB/s"),
        at_least(f"{count} blocks, two tasks at once", two.megabytes_per_second, 100, "MB/s"),
        plain(
            f"{count} blocks, two tasks, verify: roots",
            done["two_roots"].megabytes_per_second,
            "MB/s",
        ),
        at_least("50 ms a request: rate, of that without", kept, 90, "%"),
        at_most(f"{count} blocks: peak memory", peak, 500, "MB"),
        plain(f"{count} blocks: peak memory beyond that of {_MANY}", grown, "MB"),
        plain("CPU of PostgreSQL with all indexes, over that with keys alone", dearer),
        *_base(roots, done["indexed"]),
        *_against_etl(folder, count / long.process.seconds, steady),
    ]


def _steady(few: Synced, many: Synced) -> float:
    """Blocks per second, the start left out."""
    return (many.blocks - few.blocks) / (many.process.seconds - few.process.seconds)


def _work(
    verify: str,
    blocks: int,
    *,
    runs: int = 5,
    seconds: float = 0.0,
    halved: bool = False,
    **entry: object,
) -> Work:
    given = {"datasets": DATASETS, "verify": verify, **entry}
    return Work(_SAMPLE, blocks, runs, seconds, halved, given)


def _base(plain_: Synced, indexed: Synced) -> list[Line]:
    """The numbers that docs/scale.md begins with, by their names there."""
    gigabytes, load = plain_.size / 1e9, plain_.load
    more = indexed.load.index_bytes - load.index_bytes
    numbers = {
        "cpu_per_gb": plain_.process.cpu_seconds / gigabytes,
        "server_cpu_per_gb": load.cpu_seconds / gigabytes,
        "server_cpu_per_gb_indexed": indexed.load.cpu_seconds / gigabytes,
        "wal_per_byte": load.wal_bytes / plain_.size,
        "tables_per_byte": load.table_bytes / plain_.size,
        "keys_per_byte": load.index_bytes / plain_.size,
        "index_set_per_byte": more / plain_.size,
        "gb_per_task_second": gigabytes / plain_.process.seconds,
        "task_mb": plain_.process.peak_bytes / 1e6,
    }
    return [Line(f"`{name}`", f"{number:.3g}") for name, number in numbers.items()]


def _against_etl(folder: Path, ours: float, steady: float) -> list[Line]:
    try:
        programs = peers.install(peers.ETHEREUM_ETL)
    except peers.NoPeer as why:
        return [Line("ethereum-etl is not to be had", str(why))]
    rates = []
    with node(_SAMPLE) as url, Postgres(folder / "etl_postgres") as server:
        for number in range(_ETL_RUNS):
            rates.append(_etl(programs, url, server.database(f"etl_{number}"), folder))
            print(f"ethereumetl stream, run {number + 1}: {rates[-1]:.2f} blocks/s", flush=True)
    etl = median(rates)
    return [
        plain("ethereumetl stream into PostgreSQL, start left out: blocks/s", etl),
        at_least(f"ours over it, {_SAMPLE.blocks} blocks, our start among it", ours / etl, 100),
        plain("ours over it, 400 blocks, our start left out", steady / etl),
    ]


def _etl(programs: Path, url: str, store: str, folder: Path) -> float:
    """Blocks per second from the first batch it has stored to the last."""
    # Its driver calls the folder of the socket otherwise.
    parts = urlsplit(store)
    sockets = parse_qs(parts.query)["host"][0]
    store = f"postgresql+pg8000://{parts.username}@{parts.path}?unix_sock={sockets}/.s.PGSQL.5432"
    run([str(programs / "python"), "-c", _ETL_TABLES, store])
    synced = folder / "last_synced_block.txt"
    synced.unlink(missing_ok=True)
    first, last = _SAMPLE.start + _ETL_BATCH - 1, _SAMPLE.start + _ETL_BATCH * _ETL_BATCHES - 1
    command = [str(programs / "ethereumetl"), "stream", "-l", str(synced), "-o", store]
    command += ["-s", str(_SAMPLE.start), "-p", url, "-B", str(_ETL_BATCH)]
    command += ["-e", "block,transaction,log,token_transfer", "--period-seconds", "1"]
    with Popen(command, stdout=DEVNULL, stderr=DEVNULL) as process:
        try:
            began = _reached(process, synced, first)
            return (last - first) / (_reached(process, synced, last) - began)
        finally:
            process.terminate()


def _reached(process: Popen[bytes], synced: Path, height: int) -> float:
    """When it says that it has stored a height."""
    while process.poll() is None:
        text = synced.read_text().strip() if synced.exists() else ""
        if text and int(text) >= height:
            return time.perf_counter()
        time.sleep(0.02)
    raise AssertionError(f"ethereumetl stream ended with {process.returncode}")
