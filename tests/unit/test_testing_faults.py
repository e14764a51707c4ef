"""The proxy of faults: honest unless told otherwise, and each fault is one indeed."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Awaitable, Callable
from http.client import HTTPConnection

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from chainflow.clients._http import Node, session
from chainflow.endpoints import Endpoint
from chainflow.testing import faults
from chainflow.testing.faults import FAULTS
from tests.fake_node import FAST, FakeNode, chain

METHODS = ("eth_getBlockByNumber", "eth_getBlockReceipts")
BATCH = json.dumps(
    [
        {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []},
        {"jsonrpc": "2.0", "id": 2, "method": "eth_blockNumber", "params": []},
        *(
            {"jsonrpc": "2.0", "id": 3 + i, "method": method, "params": [hex(8), True]}
            for i, method in enumerate(METHODS)
        ),
    ]
)
# What the client asks the node's answer for; the fake node ignores a parameter too many.
HEADERS = {"Content-Type": "application/json"}
# Of these no end is seen before the reader's patience ends.
ENDLESS = {"slow drip", "no answer", "huge body"}
# What a reader sees of an answer that is not one.
_BROKEN = (aiohttp.ClientError, OSError, TimeoutError, ValueError, zlib.error)


def _rich() -> FakeNode:
    """A node whose blocks have all that a fault leaves out or changes."""
    held = chain(12, transactions=3)
    for block, receipts in zip(held.blocks.values(), held.receipts.values(), strict=True):
        block["gasUsed"] = block["number"]
        for row in [*block["transactions"], *receipts]:
            row |= {"value": "0x5", "gasUsed": block["number"], "logsBloom": "0x1"}
        for receipt in receipts:
            for log in receipt["logs"]:
                log["data"] = f"0x{int(block['number'], 16):064x}"
    return FakeNode(held)


def _with(work: Callable[[FakeNode], Awaitable[None]]) -> None:
    async def run() -> None:
        async with _rich().running() as node:
            await work(node)

    asyncio.run(run())


async def _read(url: str, *, seconds: float = 30.0) -> object:
    """What a plain client reads, its length among it; or the kind of its failure."""
    waits = aiohttp.ClientTimeout(total=seconds)
    try:
        async with (
            aiohttp.ClientSession(timeout=waits) as asking,
            asking.post(url, data=BATCH, headers=HEADERS, allow_redirects=False) as answer,
        ):
            body = await answer.read()
            return answer.status, len(body), json.loads(body)
    except _BROKEN as error:
        return type(error)
    except RecursionError:
        return RecursionError


def test_an_honest_proxy_changes_nothing() -> None:
    """Without a fault, the answer is the node's."""

    async def work(node: FakeNode) -> None:
        async with faults.proxy(node.url) as url:
            assert await _read(url) == await _read(node.url)

    _with(work)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one(name: str) -> None:
    """Its answer is another than the node's, and the next, unspoilt one is the node's again."""

    async def work(node: FakeNode) -> None:
        honest = await _read(node.url)
        async with faults.proxy(node.url, [FAULTS[name]]) as url:
            assert await _read(url, seconds=0.2 if name in ENDLESS else 30.0) != honest
            assert await _read(url) == honest

    _with(work)


def test_a_schedule_gives_each_request_its_own() -> None:
    """None is an honest answer, and so is all after the schedule's end."""

    async def work(node: FakeNode) -> None:
        honest = await _read(node.url)
        schedule = [None, FAULTS["500"], FAULTS["empty body"], None, FAULTS["500"]]
        async with faults.proxy(node.url, schedule) as url:
            spoilt = [await _read(url) != honest for _ in range(7)]
        assert spoilt == [False, True, True, False, True, False, False]

    _with(work)


def test_a_fault_waits_for_a_request_it_fits() -> None:
    """One for receipts lets the greeting pass, and is not used up by it."""

    async def work(node: FakeNode) -> None:
        greeting = json.dumps(json.loads(BATCH)[0])
        async with (
            faults.proxy(node.url, [FAULTS["null receipts"]]) as url,
            aiohttp.ClientSession() as asking,
        ):
            async with asking.post(url, data=greeting, headers=HEADERS) as answer:
                assert (await answer.json())["result"] == "0x1"
            assert await _read(url) != await _read(node.url)

    _with(work)


def test_any_http_node_can_stand_behind_it() -> None:
    """A GET below a path passes with its query; a fault of transport spoils it as well."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.method} {request.raw_path}")

    async def run() -> None:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", answer)
        async with (
            TestServer(application) as server,
            faults.proxy(f"http://127.0.0.1:{server.port}/v1", [None, FAULTS["500"]]) as url,
            session(FAST) as opened,
        ):
            node = Node(Endpoint("x", url), opened, FAST)
            assert (await node.get("status", {"a": "1"})).body == b"GET /v1/status?a=1"
            assert (await node.get("status")).status == 500

    asyncio.run(run())


def test_running_serves_code_that_blocks() -> None:
    """From a thread of its own, which ends with the block."""
    with faults.running("http://127.0.0.1:9/", FAULTS["401"]) as url:
        host = url.split("/")[2]
        connection = HTTPConnection(host, timeout=10)
        connection.request("GET", "/")
        assert connection.getresponse().status == 401
        connection.close()
    with pytest.raises(ConnectionRefusedError):
        HTTPConnection(host, timeout=10).request("GET", "/")
