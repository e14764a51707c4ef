"""The devnet with its heads standing still, so that a target can be reached and compared with."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from chainflow import registry
from chainflow.devnet import Simulation, registry_overlay, server

SHIPPED = Path(__file__).parents[2] / "chains.yaml"
BEGAN = 1_790_000_000.0


@dataclass(frozen=True, slots=True)
class Nodes:
    """Simulated chains that answer at url/<chain>."""

    url: str
    simulations: Mapping[str, Simulation]
    entries: Mapping[str, dict[str, Any]]
    defaults: dict[str, Any]
    http: httpx.Client

    def call(self, chain: str, method: str, *params: object) -> Any:  # noqa: ANN401 - any JSON
        """The result of one JSON-RPC call."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return self.http.post(f"{self.url}/{chain}", json=request).json()["result"]


@contextmanager
def frozen(*names: str, blocks: int) -> Iterator[Nodes]:
    """Some of the shipped chains, each with that many blocks and no more to come.

    `defaults` are the shipped ones, and `entries` those of the chains, sent here, with twenty
    blocks to a task and hardly ever a run by cron.
    """
    chains = [registry.load(SHIPPED).chain(name) for name in names]
    simulations = server.simulate(chains, speed=1.0, backlog=blocks, began=BEGAN)
    shipped = yaml.safe_load(SHIPPED.read_text())
    with _serving(simulations) as url, httpx.Client() as http:
        overlay = registry_overlay(chains, simulations, url, speed=1.0)["chains"]
        entries = {
            name: {
                **shipped["chains"][name],
                **overlay[name],
                "schedule_minutes": 1440,
                "task_minutes": 0.0,
            }
            for name in names
        }
        for entry in entries.values():
            entry["task_minutes"] = 20 / entry["blocks_per_minute"]
        yield Nodes(url, simulations, entries, shipped["defaults"], http)


@contextmanager
def _serving(simulations: Mapping[str, Simulation]) -> Iterator[str]:
    ready = threading.Event()
    found: list[str] = []
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        async with server.serving(simulations) as url:
            found.append(url)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(30)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(30)
        loop.close()
