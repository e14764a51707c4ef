"""A family is added by new files alone: a fifth one, in a folder that the package knows nothing of.

What adding it to `src/chainflow` would do, the folder does by lying on the packages' paths.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
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
ROOT = Path(__file__).parents[2]
# Where a family's files go, by where they are in the folder.
HOMES = {
    "clients": "src/chainflow/clients",
    "datasets": "src/chainflow/datasets",
    "devnet": "src/chainflow/devnet",
    "contract": "tests/contract",
    "docs": "docs",
}
# Whatever walks the families.
SUITES = (
    "tests/contract/test_clients.py",
    "tests/contract/test_datasets.py",
    "tests/contract/test_token_flows.py",
    "tests/store/test_indexes.py",
    "tests/unit/test_audit_hashes.py",
    "tests/unit/test_docs_tables.py",
    "tests/unit/test_independence.py",
    "tests/unit/test_probe.py",
)
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


def _grown(folder: Path) -> None:
    """The project with the family's files among its own, nothing else being touched."""
    cache = shutil.ignore_patterns("__pycache__")
    for name in ("src", "tests", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=cache)
    for name in ("pyproject.toml", "chains.yaml"):
        shutil.copy(ROOT / name, folder)
    for part, home in HOMES.items():
        for path in (FOLDER / part).rglob("*.*"):
            if "__pycache__" not in path.parts:
                new = folder / home / path.relative_to(FOLDER / part)
                assert not new.exists()
                new.parent.mkdir(exist_ok=True)
                shutil.copy(path, new)


def test_fifth_family_is_new_files_alone(tmp_path: Path) -> None:
    """Put among the project's own, with nothing edited, every suite and rule takes it."""
    _grown(tmp_path)
    where = {**os.environ, "PYTHONPATH": f"{tmp_path / 'src'}:{tmp_path}"}
    tools = Path(sys.executable).parent
    others = "not evm and not tron and not sui and not cosmos"
    suites = [sys.executable, "-m", "pytest", "-v", "-n", "0", "-k", others, *SUITES]
    said = ""
    for command in (suites, [str(tools / "lint-imports"), "--no-cache"]):
        done = subprocess.run(
            command, cwd=tmp_path, env=where, capture_output=True, text=True, check=False
        )
        said += done.stdout + done.stderr
        assert done.returncode == 0, said
    tried = re.findall(r"::(\w+)\[.*pebble.*\] PASSED", said)
    assert {"test_trouble_that_stays_is_the_error_that_it_is", "test_decode_is_deterministic"} < {
        *tried
    }
    assert len(tried) > 25
