"""A real scheduler, API server and DAG processor run the generated DAGs against simulated nodes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
import yaml
from sqlalchemy.engine import Engine

from chainflow import datasets
from chainflow.store import database
from tests.dags import nodes, stack, told

pytestmark = pytest.mark.airflow

DAGS = Path(__file__).parents[2] / "dags"
EVM = ("arbitrum", "avalanche", "celo", "ethereum", "polygon")
CHAINS = (*EVM, "dydx", "noble", "sui", "tron")
BLOCKS = 50
# In one task, where the others take three: a task costs more than its blocks.
WHOLE = ("arbitrum", "avalanche", "celo", "noble", "polygon")
SECRET = "key-that-nobody-may-read"


@dataclass(frozen=True, slots=True)
class World:
    """Everything that runs."""

    airflow: stack.Airflow
    nodes: nodes.Nodes
    engine: Engine
    registry: Path

    def rows(self, query: str, **values: object) -> list[tuple[Any, ...]]:
        """What the store answers."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(query), values)]

    def states(self, dag_id: str, run_id: str) -> dict[str, str]:
        """State by task of a run that has ended; of a mapped task, its last one's."""
        self.airflow.wait(dag_id, run_id)
        return {t["task_id"]: t["state"] for t in self.airflow.tasks(dag_id, run_id)}


@pytest.fixture(scope="module")
def world(shared_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Chains of every family, one that is not what its entry says, and one whose node is dead."""
    folder = tmp_path_factory.mktemp("airflow")
    shutil.copytree(DAGS, folder / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    with nodes.frozen(*CHAINS, "base", blocks=BLOCKS) as running:
        entries = {name: dict(running.entries[name]) for name in CHAINS}
        for name in WHOLE:
            entries[name]["task_minutes"] = BLOCKS / entries[name]["blocks_per_minute"]
        entries["ethereum"]["endpoints"] = ["conn:ethereum_rpc"]
        entries["polygon"]["endpoints"] = ["conn:nobody_made", "env:POLYGON_NODE"]
        entries["impostor"] = {**entries["celo"], "chain_id": 4711}
        entries["dead"] = {**entries["celo"], "endpoints": ["http://127.0.0.1:9/rpc"]}
        registry = folder / "dags" / "chains.yaml"
        entries["ethereum"]["audit_days"] = 30
        defaults = {**running.defaults, "audit_days": 0}
        registry.write_text(yaml.safe_dump({"defaults": defaults, "chains": entries}))
        variables = {"POLYGON_NODE": f"{running.url}/polygon"}
        with stack.running(folder / "home", folder / "dags", variables) as airflow:
            airflow.post("/connections", _store_connection(shared_url))
            airflow.post("/connections", _node_connection(f"{running.url}/ethereum"))
            yield World(airflow, running, database.engine(shared_url), registry)


def test_dags_bring_every_chain_to_its_target(world: World) -> None:
    """Each table then holds exactly what the node does, and a further run finds nothing to do."""
    runs = {chain: world.airflow.begin(f"ingest_{chain}") for chain in CHAINS}
    states = {chain: world.airflow.wait(f"ingest_{chain}", run) for chain, run in runs.items()}
    assert states == dict.fromkeys(CHAINS, "success")
    for chain in CHAINS:
        _same_as_the_node(world, chain)
    for chain in EVM:
        _same_logs(world, chain)
    _same_tokens_and_withdrawals(world, "ethereum")
    flowing = {chain for (chain,) in world.rows("SELECT DISTINCT chain FROM chainflow.usdc_flows")}
    assert {"dydx", "ethereum", "noble", "sui", "tron"} <= flowing
    mapped = world.airflow.tasks("ingest_ethereum", runs["ethereum"])
    low, stop = world.nodes.simulations["ethereum"].first, _target(world, "ethereum") + 1
    labels = {t["rendered_map_index"] for t in mapped if t["task_id"] == "ingest"}
    assert labels == {f"[{at}, {min(at + 20, stop)})" for at in range(low, stop, 20)}
    again = world.states("ingest_ethereum", world.airflow.trigger("ingest_ethereum"))
    assert again == {
        "observe": "success",
        "plan": "success",
        "ingest": "skipped",
        "report": "success",
    }
    logs = world.airflow.logs()
    assert "nothing was missing" in logs
    assert SECRET not in logs


def test_new_entry_becomes_a_dag_and_its_first_merge_tables(world: World) -> None:
    """A chain added to the registry of a running Airflow needs nothing else, nor a backfill."""
    assert not world.airflow.knows("ingest_newcomer")
    assert ("newcomer",) not in world.rows("SELECT nspname FROM pg_namespace")
    _add(world, "newcomer", world.nodes.entries["base"])
    assert set(
        world.states("ingest_newcomer", world.airflow.begin("ingest_newcomer")).values()
    ) == {"success"}
    low = world.nodes.simulations["base"].first
    assert world.rows("SELECT min(block_number) FROM newcomer.blocks") == [(low,)]
    asked = {"from": low + 5, "to": low + 15, "datasets": ["blocks"], "re_ingest": True}
    run_id = world.airflow.trigger("ingest_newcomer", asked)
    assert world.airflow.wait("ingest_newcomer", run_id) == "success"
    assert world.rows(
        "SELECT lower(blocks), upper(blocks), datasets FROM chainflow.merge_log WHERE run_id = :id",
        id=run_id,
    ) == [(low + 5, low + 15, ["blocks"])]
    source = {"source_dag_id": "ingest_newcomer", "source_run_id": run_id}
    told = [
        (event["uri"], event["extra"])
        for event in world.airflow.get("/assets/events", **source)["asset_events"]
    ]
    extra = {"start": low + 5, "stop": low + 15, "rows": 10}
    assert told == [("chainflow://newcomer/blocks", extra)]


def test_permanent_error_fails_without_a_retry(world: World) -> None:
    """A node of another chain stops the run at once, with a reason in the log."""
    run_id = world.airflow.begin("ingest_impostor")
    assert world.airflow.wait("ingest_impostor", run_id) == "failed"
    tasks = {t["task_id"]: t for t in world.airflow.tasks("ingest_impostor", run_id)}
    assert (tasks["observe"]["state"], tasks["observe"]["try_number"]) == ("failed", 1)
    assert tasks["report"]["state"] == "upstream_failed"
    assert "4711" in world.airflow.logs()


def test_heights_are_recorded_although_a_node_is_dead(world: World) -> None:
    """One run asks all chains; the dead one's failure is kept beside the others' heights."""
    assert world.states("heights", world.airflow.begin("heights")) == {"heights": "success"}
    seen = dict(world.rows("SELECT chain, head FROM chainflow.height WHERE error IS NULL"))
    assert {c: seen.get(c) for c in CHAINS} == {c: world.nodes.simulations[c].head for c in CHAINS}
    (failure,) = world.rows("SELECT error FROM chainflow.height WHERE chain = 'dead'")
    assert "127.0.0.1:9" in failure[0]


def test_housekeeping_runs(world: World) -> None:
    """The daily DAG runs to its end."""
    states = world.states("housekeeping", world.airflow.begin("housekeeping"))
    assert states == {"housekeeping": "success", "index": "success"}


def test_audit_looks_at_the_chains_that_want_it(world: World) -> None:
    """One task names them, and one for each of them looks at what is merged of it."""
    run_id = world.airflow.begin("audit")
    assert world.states("audit", run_id) == {"audited": "success", "audit": "success"}
    mapped = [t for t in world.airflow.tasks("audit", run_id) if t["task_id"] == "audit"]
    assert [t["rendered_map_index"] for t in mapped] == ["ethereum"]


def test_chain_that_is_behind_runs_again_at_once(world: World) -> None:
    """Run after run, without waiting for its schedule, until what was there is merged."""
    _add(world, "slow", {**world.nodes.entries["base"], "max_tasks_per_run": 1})
    world.airflow.begin("ingest_slow")
    target = _target(world, "base")
    merged = "SELECT count(*) FROM chainflow.progress WHERE chain = 'slow' AND watermark = :target"
    shared = world.nodes.defaults["datasets"]
    tables = len(world.nodes.entries["base"].get("datasets", shared))
    stack.until(lambda: world.rows(merged, target=target) == [(tables,)], "all to be merged")
    runs = world.rows("SELECT DISTINCT run_id FROM chainflow.merge_log WHERE chain = 'slow'")
    assert [run.startswith("behind__") for (run,) in sorted(runs)] == [True] * (len(runs) - 1) + [
        False
    ]
    assert len(runs) > 1


def _store_connection(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    return {
        "connection_id": "chainflow_db",
        "conn_type": "postgres",
        "login": parts.username,
        "schema": parts.path.strip("/"),
        "extra": f'{{"host": "{parse_qs(parts.query)["host"][0]}"}}',
    }


def _node_connection(url: str) -> dict[str, Any]:
    return {
        "connection_id": "ethereum_rpc",
        "conn_type": "http",
        "host": url,
        "login": "somebody",
        "password": SECRET,
        "extra": f'{{"X-Key": "{SECRET}"}}',
    }


def _add(world: World, name: str, entry: dict[str, Any]) -> None:
    """Add an entry to the registry as an operator would, leaving the file whole at every moment."""
    document = yaml.safe_load(world.registry.read_text())
    document["chains"][name] = entry
    part = world.registry.with_suffix(".part")
    part.write_text(yaml.safe_dump(document))
    part.replace(world.registry)


def _target(world: World, chain: str) -> int:
    """Where the run should end, by the node's own words and the entry's."""
    simulation, finality = world.nodes.simulations[chain], world.nodes.entries[chain]["finality"]
    if isinstance(finality, dict):
        return simulation.head - int(finality["confirmations"])
    if chain not in EVM:
        return simulation.head - (simulation.finality_blocks if finality == "finalized" else 0)
    tag = "latest" if finality == "head" else finality
    return int(world.nodes.call(chain, "eth_getBlockByNumber", tag, False)["number"], 16)


def _same_as_the_node(world: World, chain: str) -> None:
    family, start = world.nodes.entries[chain]["family"], world.nodes.simulations[chain].first
    blocks, transactions = told.READ[family](
        f"{world.nodes.url}/{chain}", start, _target(world, chain) + 1
    )
    assert len(blocks) > 20
    height = datasets.get(family, ["blocks"])[0].height_column
    assert blocks == world.rows(f"SELECT {height}, block_hash FROM {chain}.blocks ORDER BY 1")
    assert transactions == world.rows(
        f"SELECT {height}, transaction_hash FROM {chain}.transactions"
        f" ORDER BY {height}, transaction_index"
    )
    ((parts,),) = world.rows(
        f"SELECT count(*) FROM {chain}.blocks above JOIN {chain}.blocks below"
        f" ON above.{height} = below.{height} + 1 WHERE above.parent_hash <> below.block_hash"
    )
    assert parts == 0


def _same_logs(world: World, chain: str) -> None:
    logs = []
    for height in range(world.nodes.simulations[chain].first, _target(world, chain) + 1):
        receipts = world.nodes.call(chain, "eth_getBlockReceipts", hex(height))
        logs += [
            (height, int(log["logIndex"], 16), log["address"].lower(), log["data"])
            for receipt in receipts
            for log in receipt["logs"]
        ]
    assert logs == world.rows(
        f"SELECT block_number, log_index, address, data FROM {chain}.logs ORDER BY 1, 2"
    )


def _same_tokens_and_withdrawals(world: World, chain: str) -> None:
    moved, paid = [], []
    for height in range(world.nodes.simulations[chain].first, _target(world, chain) + 1):
        at = hex(height)
        moved += [
            (height, int(log["logIndex"], 16), log["address"].lower(), *one)
            for receipt in world.nodes.call(chain, "eth_getBlockReceipts", at)
            for log in receipt["logs"]
            for one in told.token_transfers(log)
        ]
        block = world.nodes.call(chain, "eth_getBlockByNumber", at, False)
        for given in block.get("withdrawals", ()):  # none before Shanghai
            numbers = (int(given[key], 16) for key in ("index", "validatorIndex", "amount"))
            paid.append((height, *numbers, given["address"].lower()))
    assert {standard for *_, standard, _, _, _, _ in moved} == {"erc20", "erc721", "erc1155"}
    assert moved == world.rows(
        "SELECT block_number, log_index, token_address, transfer_index, token_standard,"
        f" from_address, to_address, token_id, value FROM {chain}.token_transfers"
        " ORDER BY block_number, log_index, transfer_index"
    )
    assert len(paid) > 100
    assert paid == world.rows(
        "SELECT block_number, withdrawal_index, validator_index, amount, address"
        f" FROM {chain}.withdrawals ORDER BY 1, 2"
    )
