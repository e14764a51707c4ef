"""A family is added by new files alone: a fifth one, in a folder that the package knows nothing of.

What adding it to `src/chainflow` would do, the folder does by lying on the packages' paths.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
import yaml
from sqlalchemy.engine import Engine

import chainflow.clients
import chainflow.datasets
import chainflow.devnet
from chainflow import audit, lag, lookup, pipeline, poll, probe, registry
from chainflow.devnet import registry_overlay, server
from chainflow.endpoints import resolve
from chainflow.types import BlockRange, Chain
from tests import small

_T = TypeVar("_T")

FOLDER = Path(__file__).parent / "fifth_family"
ROOMS = (chainflow.clients, chainflow.datasets, chainflow.devnet)
ENTRY = {
    "family": "pebble",
    "chain_id": "pebble-1",
    "blocks_per_minute": 600.0,
    "datasets": ["blocks"],
    "endpoints": ["http://127.0.0.1:9"],
}
HEIGHTS = 40
_DAG = """
import json, sys
import chainflow.clients, chainflow.datasets
chainflow.clients.__path__.append(sys.argv[1] + "/clients")
chainflow.datasets.__path__.append(sys.argv[1] + "/datasets")
from chainflow import factory, registry
dag = factory.ingest_dag(registry.load(sys.argv[2]).chain("beach"))
print(json.dumps([dag.dag_id, sorted(dag.tags), sorted(task.task_id for task in dag.tasks)]))
"""


@pytest.fixture(autouse=True)
def fifth_family(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The family's files beside the others'."""
    for room in ROOMS:
        part = room.__name__.rpartition(".")[2]
        folders = [*room.__path__, str(FOLDER / part)]
        monkeypatch.setattr(room, "__path__", folders)
        monkeypatch.setattr(room.__spec__, "submodule_search_locations", folders)
    lookup.names.cache_clear()
    yield
    lookup.names.cache_clear()
    for room in ROOMS:
        vars(room).pop("pebble", None)
    for name in [
        name for name in sys.modules if name.startswith("chainflow.") and ".pebble" in name
    ]:
        del sys.modules[name]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A registry with one chain of the family."""
    written = tmp_path / "chains.yaml"
    written.write_text(yaml.safe_dump({"chains": {"beach": ENTRY}}))
    return written


def served(file: Path, work: Callable[[Chain], _T]) -> _T:
    """What `work` makes of the chain while the devnet serves it."""
    chain = registry.load(file).chain("beach")
    simulations = server.simulate([chain], speed=1.0, backlog=HEIGHTS, began=1_790_000_000.0)

    async def serve() -> _T:
        async with server.serving(simulations) as url:
            overlay = registry_overlay([chain], simulations, url, speed=1.0)
            layer = file.with_name("devnet.yaml")
            layer.write_text(yaml.safe_dump(overlay))
            here = registry.load(file, layer).chain("beach")
            return await asyncio.to_thread(work, here)

    return asyncio.run(serve())


def nobody(conn_id: str) -> str:
    """No connection is asked for."""
    raise AssertionError(conn_id)


def test_fifth_family_is_known_to_the_registry(file: Path) -> None:
    """Its word and its datasets are legal, and its name is taken by no other."""
    assert registry.load(file).chain("beach").family == "pebble"
    wrong = {"beach": {**ENTRY, "datasets": ["blocks", "logs"]}, "pebble_family": ENTRY}
    file.write_text(yaml.safe_dump({"chains": wrong}))
    told = "\n".join(registry.load_tolerant(file).problems)
    assert "unknown dataset logs (expected one of blocks" in told
    assert "pebble_family" in told


def test_fifth_family_is_synced_end_to_end(file: Path, engine: Engine) -> None:
    """Fetched, decoded, staged, checked and merged; every height once, in tables of its own."""

    def work(chain: Chain) -> None:
        seen = poll.observe(engine, chain, nobody)
        blocks = pipeline.wanted_range(chain, seen)
        assert blocks == BlockRange(0, HEIGHTS)
        assert pipeline.sync(engine, chain, blocks, nobody, run_id="test").blocks == HEIGHTS
        assert audit.audit(engine, chain) == []

    served(file, work)
    query = "SELECT array_agg(tick ORDER BY tick) FROM {}.blocks WHERE chain = 'beach'"
    for schema in ("beach", "pebble_family"):
        assert small.ask(engine, query.format(schema)) == [list(range(HEIGHTS))]
    (row,) = lag.rows(engine)
    assert (row.family, row.watermark, row.backlog_blocks) == ("pebble", HEIGHTS - 1, 0)


def test_fifth_family_is_recognised_by_probe(file: Path, tmp_path: Path) -> None:
    """A node of it is told from the others', and its entry is one that validate takes."""

    def work(chain: Chain) -> str:
        (endpoint,) = resolve(chain.endpoints)
        found = asyncio.run(probe.probe(endpoint))
        return probe.entry(found, endpoint.url, "beach")

    text = served(file, work)
    printed = tmp_path / "printed.yaml"
    printed.write_text(f"chains:\n{text}\n")
    chain = registry.load(printed).chain("beach")
    assert (chain.family, chain.chain_id, chain.blocks_per_minute) == ("pebble", "pebble-1", 600.0)


@pytest.mark.airflow
def test_fifth_family_gets_a_dag(file: Path, tmp_path: Path) -> None:
    """The factory asks only what the registry says."""
    done = subprocess.run(
        [sys.executable, "-c", _DAG, str(FOLDER), str(file)],
        env={**os.environ, "AIRFLOW_HOME": str(tmp_path / "airflow")},
        capture_output=True,
        text=True,
        check=True,
    )
    dag_id, tags, tasks = json.loads(done.stdout.splitlines()[-1])
    assert dag_id == "ingest_beach"
    assert "pebble" in tags
    assert tasks == ["ingest", "observe", "plan", "report"]
