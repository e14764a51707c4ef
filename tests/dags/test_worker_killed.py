"""Ingest tasks killed in mid-work under a real scheduler: it retries them, and nothing is amiss."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from aiohttp import web
from sqlalchemy.engine import Engine

from chainflow.testing import faults
from tests import small
from tests.dags import nodes, stack, told

pytestmark = pytest.mark.airflow

DAGS = Path(__file__).parents[2] / "dags"
BLOCKS = 60
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
line.SLICE_BYTES = 200_000
"""


@dataclass(frozen=True, slots=True)
class Gate:
    """Holds back receipts from a height on until it is opened."""

    height: int
    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    def fault(self) -> faults.Fault:
        """As a fault of the proxy."""
        return faults.Fault(self._hold, self._beyond)

    def _beyond(self, call: dict[str, Any]) -> bool:
        return (
            call["method"] == "eth_getBlockReceipts" and int(call["params"][0], 16) >= self.height
        )

    async def _hold(self, exchange: faults.Exchange) -> web.StreamResponse:
        self.reached.set()
        while not self.opened.is_set():
            await asyncio.sleep(0.05)
        return await exchange.node()


@dataclass(frozen=True, slots=True)
class World:
    """Everything that runs."""

    airflow: stack.Airflow
    nodes: nodes.Nodes
    gates: dict[str, Gate]
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
    """Two chains whose nodes keep an ingest waiting when it is half done."""
    shutil.copytree(DAGS, tmp_path / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    generate = tmp_path / "dags" / "generate.py"
    generate.write_text(f"{_SMALL_AND_SOON}\n{generate.read_text()}")
    chains = ("ethereum", "celo")
    with nodes.frozen(*chains, blocks=BLOCKS) as running, ExitStack() as proxies:
        gates, entries = {}, {}
        for name in chains:
            gates[name] = Gate(running.simulations[name].first + BLOCKS // 3)
            url = faults.running(f"{running.url}/{name}", gates[name].fault())
            whole = {"task_minutes": BLOCKS / running.entries[name]["blocks_per_minute"]}
            entries[name] = running.entries[name] | whole
            entries[name]["endpoints"] = [proxies.enter_context(url)]
        document = {"defaults": running.defaults, "chains": entries}
        (tmp_path / "dags" / "chains.yaml").write_text(yaml.safe_dump(document))
        variables = {**_SETTINGS, "CHAINFLOW_DATABASE_URL": database_url}
        with stack.running(tmp_path / "home", tmp_path / "dags", variables) as airflow:
            try:
                yield World(airflow, running, gates, engine)
            finally:
                for gate in gates.values():
                    gate.opened.set()


def test_killed_ingests_are_retried_and_nothing_is_amiss(world: World) -> None:
    """SIGKILL to a task and to another's supervisor: the next tries merge what is left, once."""
    kills: dict[str, Callable[[psutil.Process], None]] = {
        "celo": lambda task: _supervisor(task).kill(),
        "ethereum": lambda task: task.kill(),
    }
    runs = {chain: world.airflow.begin(f"ingest_{chain}") for chain in kills}
    for chain, kill in kills.items():
        _half_done(world, chain)
        kill(psutil.Process(world.ingest(chain, runs[chain])["pid"]))
        world.gates[chain].opened.set()
    for chain, run_id in runs.items():
        assert world.airflow.wait(f"ingest_{chain}", run_id) == "success"
        assert world.ingest(chain, run_id)["try_number"] == 2
        _same_as_the_node(world, chain)


def _supervisor(task: psutil.Process) -> psutil.Process:
    """What started a task's process, and hears its heartbeats."""
    found = task.parent()
    assert found is not None
    return found


def _half_done(world: World, chain: str) -> None:
    """Wait until some slices of a chain are merged and the task waits for its node."""
    gate = world.gates[chain]
    stack.until(gate.reached.is_set, f"{chain} to reach its gate")
    query = f"SELECT 1 FROM chainflow.merge_log WHERE chain = '{chain}'"
    stack.until(lambda: small.ask(world.engine, query), f"a merge of {chain}")


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
