"""A chain that is a million light blocks behind, caught up with by a real Airflow.

    python -m benchmarks.catch_up [BLOCKS]

Airflow's own scheduler, executor, API server and DAG processor run the DAGs as shipped, with the
settings of `chainflow demo`: SQLite, four tasks at once. The chain's entry is all defaults.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2
import yaml

from benchmarks import _light_node
from benchmarks.report import Line, at_least, plain
from chainflow.demo import airflow
from chainflow.store import database, embedded

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCKS = 1_000_000
_DATASETS = ["blocks", "transactions", "logs", "token_transfers"]
_DAGS = Path(__file__).parents[1] / "dags"
# From what a slice's fetching began at to its commit, as merge_log has it, together; and how long
# after the first run's begin the last was committed.
_WORK = """
SELECT sum(extract(epoch FROM upper(work) - lower(work)))
FROM (
  SELECT unnest(range_agg(tstzrange(merged_at - make_interval(secs => seconds), merged_at))) AS work
  FROM chainflow.merge_log
) united
"""
_MERGED = "SELECT coalesce(sum(upper(blocks) - lower(blocks)), 0) FROM chainflow.merge_log"


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """Seconds from the first run's begin to the last merge, and those with ingest work in them."""

    blocks: int
    seconds: float
    working: float
    runs: int
    tasks: int

    @property
    def share(self) -> float:
        """How much of the time something was being ingested."""
        return self.working / self.seconds


def measure(folder: Path, blocks: int = BLOCKS) -> list[Line]:
    """Lines of the table; everything it writes is in `folder`."""
    done = run(folder / "catch_up", blocks)
    name = f"Airflow, {done.blocks:,} light blocks behind"
    return [
        plain(f"{name}: in {done.runs} runs, {done.tasks} tasks", done.seconds, "s"),
        plain(f"{name}: blocks/s", done.blocks / done.seconds),
        at_least(f"{name}: of the time in ingest work", 100 * done.share, 85, "%"),
    ]


def run(folder: Path, blocks: int) -> CaughtUp:
    """Let Airflow catch up, from nothing merged to all."""
    shutil.copytree(_DAGS, folder / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    with _node(blocks) as url, _store(folder / "postgres") as store:
        entry = {
            "family": "evm",
            "chain_id": _light_node.CHAIN_ID,
            "blocks_per_minute": 5.0,
            "start": _light_node.FIRST,
            "endpoints": [url],
            "datasets": _DATASETS,
        }
        registry = folder / "dags" / "chains.yaml"
        registry.write_text(yaml.safe_dump({"chains": {"light": entry}}))
        variables = {"CHAINFLOW_DATABASE_URL": store}
        with airflow.running(
            folder / "airflow", dags=folder / "dags", environment=variables
        ) as started:
            _until_merged(store, started, blocks)
            return _measured(store, started, blocks)


def _until_merged(store: str, started: airflow.Airflow, blocks: int) -> None:
    told = 0.0
    while (merged := _ask(store, _MERGED)[0]) < blocks:
        started.require_running()
        if time.monotonic() - told > 30:
            told = time.monotonic()
            print(f"catch_up: {merged:,} of {blocks:,} blocks", flush=True)
        time.sleep(1)


def _measured(store: str, started: airflow.Airflow, blocks: int) -> CaughtUp:
    path = "/api/v2/dags/ingest_light/dagRuns"
    runs = started.http.get(path).json()["dag_runs"]
    tasks = started.http.get(f"{path}/~/taskInstances", params={"limit": 100}).json()
    began = min(run["start_date"] for run in runs if run["start_date"])
    (working,) = _ask(store, _WORK)
    (seconds,) = _ask(
        store, f"SELECT extract(epoch FROM max(merged_at) - '{began}') FROM chainflow.merge_log"
    )
    return CaughtUp(blocks, float(seconds), float(working), len(runs), tasks["total_entries"])


def _ask(store: str, query: str) -> tuple[float, ...]:
    connection = psycopg2.connect(store)
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            (row,) = cursor.fetchall()
    finally:
        connection.close()
    return tuple(row)


@contextmanager
def _node(blocks: int) -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks._light_node", str(blocks)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as node:
        try:
            assert node.stdout is not None
            yield f"http://127.0.0.1:{int(node.stdout.readline())}/"
        finally:
            node.terminate()


@contextmanager
def _store(folder: Path) -> Iterator[str]:
    try:
        url = embedded.start(folder)
        database.upgrade(database.engine(url))
        yield url
    finally:
        embedded.stop(folder)


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else BLOCKS
    with tempfile.TemporaryDirectory(prefix="chainflow-bench-") as made:
        Path(made).chmod(0o755)
        print(*measure(Path(made), count), sep="\n")
