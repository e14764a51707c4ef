"""Ingest tasks killed in mid-work under a real scheduler: it retries them, and nothing is amiss."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from aiohttp import web
from sqlalchemy.engine import Engine

from chainflow import pipeline, registry
from chainflow.endpoints import connection_from_environment as no_connection
from chainflow.testing import faults
from chainflow.types import BlockRange, Chain
from tests import small, soak, truth
from tests.dags import nodes, stack, told

pytestmark = pytest.mark.airflow

DAGS = Path(__file__).parents[2] / "dags"
BLOCKS = soak.times(60, 300)
# How often each chain's ingest is killed, each time at another height.
KILLS = {"celo": 1, "ethereum": soak.times(2, 20)}
# A dead worker is one that has not been heard of for that long; Airflow's default is five minutes.
_SETTINGS = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "2",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "10",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
}
# Slices of some blocks, so that a kill falls between merges; retries that the test need not await.
_SMALL_AND_SOON = """
from datetime import timedelta
from chainflow import factory, line
factory._RETRIES |= {"retry_delay": timedelta(seconds=1), "retry_exponential_backoff": False}
factory._RETRIES |= {"retries": KILLS}
line.SLICE_BYTES = 200_000
"""


@dataclass(slots=True)
class Gates:
    """Holds back receipts from a height on until that gate is opened, then from the next one on."""

    heights: Sequence[int]
    opened: int = 0
    reached: int = 0

    def fault(self) -> faults.Fault:
        """As a fault of the proxy."""
        return faults.Fault(self._hold, self._beyond)

    def _beyond(self, call: dict[str, Any]) -> bool:
        if call["method"] != "eth_getBlockReceipts" or self.opened >= len(self.heights):
            return False
        return int(call["params"][0], 16) >= self.heights[self.opened]

    async def _hold(self, exchange: faults.Exchange) -> web.StreamResponse:
        while any(map(self._beyond, exchange.calls)):
            self.reached = self.opened + 1
            await asyncio.sleep(0.05)
        return await exchange.node()


@dataclass(frozen=True, slots=True)
class World:
    """Everything that runs."""

    airflow: stack.Airflow
    nodes: nodes.Nodes
    gates: dict[str, Gates]
    chains: dict[str, Chain]
    engine: Engine

    def ingest(self, chain: str, run_id: str) -> dict[str, Any]:
        """The task instance that ingests."""
        (found,) = (
            task
            for task in self.airflow.tasks(f"ingest_{chain}", run_id)
            if task["task_id"] == "ingest"
        )
        return found


@pytest.fixture
def world(engine: Engine, database_url: str, tmp_path: Path) -> Iterator[World]:
    """Two chains whose nodes keep an ingest waiting in the midst of its work."""
    shutil.copytree(DAGS, tmp_path / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    generate = tmp_path / "dags" / "generate.py"
    settings = _SMALL_AND_SOON.replace("KILLS", str(max(KILLS.values())))
    generate.write_text(f"{settings}\n{generate.read_text()}")
    with nodes.frozen(*KILLS, blocks=BLOCKS) as running, ExitStack() as proxies:
        gates, entries = {}, {}
        for name, kills in KILLS.items():
            first = running.simulations[name].first
            # After the first third a slice is merged.
            step = 2 * BLOCKS // 3 // kills
            gates[name] = Gates([first + BLOCKS // 3 + step * kill for kill in range(kills)])
            url = faults.running(f"{running.url}/{name}", gates[name].fault())
            whole = {"task_minutes": BLOCKS / running.entries[name]["blocks_per_minute"]}
            entries[name] = running.entries[name] | whole
            entries[name]["endpoints"] = [proxies.enter_context(url)]
        document = {"defaults": running.defaults, "chains": entries}
        file = tmp_path / "dags" / "chains.yaml"
        file.write_text(yaml.safe_dump(document))
        loaded = registry.load(file)
        known = {name: loaded.chain(name) for name in KILLS}
        variables = {**_SETTINGS, "CHAINFLOW_DATABASE_URL": database_url}
        with stack.running(tmp_path / "home", tmp_path / "dags", variables) as airflow:
            try:
                yield World(airflow, running, gates, known, engine)
            finally:
                for gate in gates.values():
                    gate.opened = len(gate.heights)


def test_killed_ingests_are_retried_and_nothing_is_amiss(world: World) -> None:
    """SIGKILL to a task and to another's supervisor: the next tries merge what is left, once."""
    kill: dict[str, Callable[[psutil.Process], None]] = {
        "celo": lambda task: _supervisor(task).kill(),
        "ethereum": lambda task: task.kill(),
    }
    runs = {chain: world.airflow.begin(f"ingest_{chain}") for chain in KILLS}
    for time in range(max(KILLS.values())):
        for chain in (chain for chain, kills in KILLS.items() if time < kills):
            kill[chain](psutil.Process(_held(world, chain, runs[chain], time)))
            world.gates[chain].opened += 1
    for chain, run_id in runs.items():
        assert world.airflow.wait(f"ingest_{chain}", run_id) == "success"
        assert world.ingest(chain, run_id)["try_number"] == KILLS[chain] + 1
        _same_as_the_node(world, chain)
        _same_as_undisturbed(world, chain)


def _supervisor(task: psutil.Process) -> psutil.Process:
    """What started a task's process, and hears its heartbeats."""
    found = task.parent()
    assert found is not None
    return found


def _held(world: World, chain: str, run_id: str, time: int) -> int:
    """The process of a try that waits for its node, some slices being merged; which it is."""
    gates = world.gates[chain]
    stack.until(lambda: gates.reached > time, f"{chain} to reach its gate {time}")
    query = f"SELECT 1 FROM chainflow.merge_log WHERE chain = '{chain}'"
    stack.until(lambda: small.ask(world.engine, query), f"a merge of {chain}")

    def process() -> int:
        found = world.ingest(chain, run_id)
        running = found["state"] == "running" and found["try_number"] == time + 1
        return int(found["pid"] or 0) if running else 0

    return stack.until(process, f"try {time + 1} of {chain}")


def _same_as_the_node(world: World, chain: str) -> None:
    """Blocks and transactions are the node's up to the target, each height merged once."""
    low = world.nodes.simulations[chain].first
    (last,) = small.ask(
        world.engine,
        f"SELECT watermark FROM chainflow.progress WHERE chain = '{chain}' AND dataset = 'blocks'",
    )
    blocks, transactions = told.READ["evm"](f"{world.nodes.url}/{chain}", low, last + 1)
    assert len(blocks) > BLOCKS // 2
    ask = f"SELECT block_number, %s FROM {chain}.%s ORDER BY block_number"
    assert blocks == small.ask(world.engine, ask % ("block_hash", "blocks"))
    assert transactions == small.ask(
        world.engine, f"{ask}, transaction_index" % ("transaction_hash", "transactions")
    )
    merged = Counter(
        height
        for start, stop in small.ask(
            world.engine,
            f"SELECT lower(blocks), upper(blocks) FROM chainflow.merge_log WHERE chain = '{chain}'",
        )
        for height in range(start, stop)
    )
    assert merged == dict.fromkeys(range(low, last + 1), 1)


def _same_as_undisturbed(world: World, chain: str) -> None:
    """Every row of every table is what a run leaves beside it that nobody disturbs."""
    entry = world.chains[chain]
    url = f"{world.nodes.url}/{chain}"
    beside = replace(entry, name=f"{chain}_undisturbed", endpoints=(url,))
    found = truth.rows(world.engine, entry)
    heights = [height for height, _ in found["blocks"]]
    blocks = BlockRange(heights[0], heights[-1] + 1)
    pipeline.sync(world.engine, beside, blocks, no_connection, run_id="undisturbed")
    assert {name for name, rows in found.items() if rows} >= {"logs", "token_transfers"}
    assert found == truth.rows(world.engine, beside)
