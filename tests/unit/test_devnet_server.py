"""The devnet's server: one address, a node per chain, heads that move with the clock."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from chainflow.devnet import registry_overlay, server
from chainflow.errors import InputError
from chainflow.types import Chain

Json = Any  # whatever JSON can hold
NOW = 1_800_000_000.0
BASE = Chain("base", "evm", 8453, 300.0, finality_tag="finalized")
POLYGON = Chain("polygon", "evm", 137, 30.0, confirmations=500)
KUJIRA = Chain("kujira", "evm", 7, 25.0, status="retired")
TRON = Chain("tron", "carrier-pigeon", None, 20.0)


class Clock:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        """Its time."""
        return self.now


def asynchronous(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that runs a coroutine; one that hangs fails."""

    @functools.wraps(test)
    def run(**fixtures: object) -> None:
        asyncio.run(asyncio.wait_for(test(**fixtures), 30))

    return run


async def post(session: aiohttp.ClientSession, url: str, asked: object) -> Json:
    """The JSON answer to a JSON request."""
    async with session.post(url, json=asked) as answer:
        return await answer.json()


def call(number: int, method: str, *params: object) -> dict[str, object]:
    """A JSON-RPC request."""
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


@asynchronous
async def test_server_answers_for_each_chain_and_batches() -> None:
    """Each chain has its path; a batch is answered item by item, unknown methods with an error."""
    simulations = server.simulate([BASE, POLYGON], speed=1, backlog=4, began=NOW)
    asked = [call(2, "eth_chainId"), call(1, "eth_syncing"), call(3, "eth_blockNumber")]
    async with server.serving(simulations) as url, aiohttp.ClientSession() as session:
        base, polygon = [await post(session, f"{url}/{one}", asked) for one in simulations]
    assert [one["id"] for one in base] == [2, 1, 3]
    assert (base[0]["result"], polygon[0]["result"]) == (hex(8453), hex(137))
    assert base[1]["error"]["code"] == -32601
    assert int(base[2]["result"], 16) == simulations["base"].head


@asynchronous
async def test_server_tells_which_chains_it_has() -> None:
    """Another chain's path is a 404 that names the chains there are."""
    simulations = server.simulate([BASE], speed=1, backlog=1, began=NOW)
    async with (
        server.serving(simulations) as url,
        aiohttp.ClientSession() as session,
        session.post(f"{url}/mars", json={}) as answer,
    ):
        assert (answer.status, await answer.text()) == (404, "the devnet has base")


@asynchronous
async def test_server_heads_move_with_the_clock_at_each_chains_pace() -> None:
    """After a minute at double speed base is 600 blocks and polygon 60 further, and links hold."""
    clock = Clock()
    simulations = server.simulate([BASE, POLYGON], speed=2, backlog=4, began=NOW)
    heads = {name: one.head for name, one in simulations.items()}
    growing = asyncio.create_task(server.grow(simulations, clock))
    await asyncio.sleep(0.01)
    assert {name: one.head for name, one in simulations.items()} == heads
    clock.now += 60
    while any(one.head < one.due(clock.now) for one in simulations.values()):
        await asyncio.sleep(0.01)
    growing.cancel()
    assert {name: one.head - heads[name] for name, one in simulations.items()} == {
        "base": 600,
        "polygon": 60,
    }


def test_server_leaves_out_retired_chains_and_unknown_families(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Only live chains whose family has a devnet are simulated; the others are told."""
    simulations = server.simulate([KUJIRA, TRON, BASE], speed=1, backlog=1, began=NOW)
    assert list(simulations) == ["base"]
    assert [record.getMessage() for record in caplog.records] == [
        "not simulated chain=tron family=carrier-pigeon"
    ]


def test_overlay_points_chains_at_the_devnet() -> None:
    """Endpoint, start, pace and finality are replaced; what is not simulated is retired."""
    simulations = server.simulate([BASE, POLYGON], speed=10, backlog=40, began=NOW)
    chains = registry_overlay([BASE, POLYGON, TRON], simulations, "http://h:1", speed=10)["chains"]
    assert chains["base"] == {
        "env": "devnet",
        "endpoints": ["http://h:1/base"],
        "start": simulations["base"].first,
        "blocks_per_minute": 3000.0,
        "schedule_minutes": 1,
    }
    assert chains["polygon"]["finality"] == {
        "confirmations": simulations["polygon"].finality_blocks
    }
    assert chains["tron"] == {"status": "retired"}


@asynchronous
async def test_run_writes_the_layer_when_it_answers(tmp_path: Path) -> None:
    """The layer appears, complete, with the address that then answers."""
    layer, ready = tmp_path / "devnet.yaml", asyncio.Event()
    serving = asyncio.create_task(
        server.run([BASE], backlog=3, registry_out=layer, on_ready=lambda _: ready.set())
    )
    await ready.wait()
    (endpoint,) = yaml.safe_load(layer.read_text())["chains"]["base"]["endpoints"]
    async with aiohttp.ClientSession() as session:
        answer = await post(session, endpoint, call(1, "eth_chainId"))
    assert answer["result"] == hex(8453)
    serving.cancel()
    await asyncio.wait([serving])


@asynchronous
async def test_run_refuses_a_taken_address_and_an_empty_registry() -> None:
    """What cannot be served is an input error that says why."""
    with pytest.raises(InputError, match="none of the registry's live chains"):
        await server.run([KUJIRA])
    simulations = server.simulate([BASE], speed=1, backlog=1, began=NOW)
    async with server.serving(simulations) as url:
        with pytest.raises(InputError, match=r"cannot listen on 127\.0\.0\.1"):
            await server.run([BASE], backlog=1, port=int(url.rsplit(":", 1)[1]))
