"""A Tron full node on loopback that says what it is told to.

    node = TronNode(tron.chain(10))
    node.react(http(403, "..."), path=BLOCKS)         # to the next request at that path
    node.react(edit(lambda answer: {}), path=INFOS)
    blocks = fetch([node], BlockRange(0, 10))         # what our client makes of it

`node.asked` then holds every request: its path and parameters.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from chainflow.clients import tron as client
from chainflow.clients._pace import Limits
from chainflow.endpoints import Endpoint
from chainflow.types import BlockRange, Chain, Heights, RawBlock
from tests import tron
from tests.fake_node import FAST

Json = Any  # a node's JSON, of any shape

GENESIS = "wallet/getblockbynum"
BLOCKS = "wallet/getblockbylimitnext"
INFOS = "wallet/gettransactioninfobyblocknum"
HEAD = "wallet/getnowblock"
SOLID = "walletsolidity/getnowblock"
ALL = ("blocks", "transactions", "logs", "token_transfers", "internal_transactions")
OVERLOAD = {"Error": "class java.lang.IllegalAccessException : lack of computing resources"}

CHAIN_ID = int(tron.chain(1)[0].block["blockID"][-8:], 16)
CHAIN = Chain("tron", "tron", CHAIN_ID, 20.0, finality_tag="finalized")

# What to make of the honest answer to a request.
Reaction = Callable[[web.Request, Json], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class _Rule:
    reaction: Reaction
    path: str
    times: float


@dataclass(slots=True)
class TronNode:
    """A full node of one network; `solid` is its solidified height, `root` its base path."""

    chain: Mapping[int, tron.Recorded]
    solid: int = 0
    root: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, int]]] = field(default_factory=list)
    seen_headers: list[Mapping[str, str]] = field(default_factory=list)
    most_at_once: int = 0
    url: str = ""
    _rules: list[_Rule] = field(default_factory=list)
    _at_once: int = 0

    def react(self, reaction: Reaction, *, path: str = BLOCKS, times: float = 1) -> None:
        """Answer so to the next `times` requests at that path."""
        self._rules.append(_Rule(reaction, path, times))

    @property
    def endpoint(self) -> Endpoint:
        """Its address, while it runs."""
        return Endpoint("fake", self.url, dict(self.headers))

    def requests(self, path: str) -> list[dict[str, int]]:
        """The parameters of every request at a path."""
        return [parameters for asked, parameters in self.asked if asked == path]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[TronNode]:
        """The node on a free port of loopback."""
        app = web.Application()
        app.router.add_post(self.root + "/{path:.*}", self._handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}{self.root}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            return await self._respond(request)
        finally:
            self._at_once -= 1

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        path, parameters = request.match_info["path"], await request.json()
        self.asked.append((path, parameters))
        self.seen_headers.append(request.headers)
        honest = self._answer(path, parameters)
        for rule in self._rules:
            if rule.times > 0 and rule.path == path:
                rule.times -= 1
                return await rule.reaction(request, honest)
        return web.json_response(honest)

    def _answer(self, path: str, asked: Mapping[str, int]) -> Json:
        match path:
            case "wallet/getnowblock":
                return self.chain[max(self.chain)].block
            case "walletsolidity/getnowblock":
                return self.chain[self.solid].block
            case "wallet/getblockbynum":
                made = self.chain.get(asked["num"])
                return made.block if made else {}
            case "wallet/getblockbylimitnext":
                heights = range(asked["startNum"], asked["endNum"])
                found = [self.chain[height].block for height in heights if height in self.chain]
                return {"block": found} if found and len(heights) <= 100 else {}
            case "wallet/gettransactioninfobyblocknum":
                made = self.chain.get(asked["num"])
                return {} if asked["num"] <= 0 else made.infos if made else []
        raise web.HTTPNotFound


def http(status: int, text: str = "", *, headers: Mapping[str, str] | None = None) -> Reaction:
    """Answer with this status and body."""

    async def reaction(_: web.Request, __: Json) -> web.StreamResponse:
        return web.Response(status=status, text=text, headers=headers)

    return reaction


def say(answer: Json, *, status: int = 200) -> Reaction:
    """Answer with this JSON, whatever was asked."""
    return http(status, json.dumps(answer))


def edit(change: Callable[[Json], Json]) -> Reaction:
    """Answer honestly, but for what `change` makes of a copy of it."""

    async def reaction(_: web.Request, honest: Json) -> web.StreamResponse:
        return web.json_response(change(json.loads(json.dumps(honest))))

    return reaction


def slow(seconds: float) -> Reaction:
    """Answer honestly, after that long."""

    async def reaction(_: web.Request, honest: Json) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return web.json_response(honest)

    return reaction


def cut(keep: float = 0.5) -> Reaction:
    """Announce the whole body, send its beginning, and close."""

    async def reaction(request: web.Request, honest: Json) -> web.StreamResponse:
        body = json.dumps(honest).encode()
        response = web.StreamResponse(headers={"Content-Length": str(len(body))})
        await response.prepare(request)
        await response.write(body[: int(len(body) * keep)])
        if request.transport is not None:
            request.transport.close()
        return response

    return reaction


def fetch(
    nodes: Sequence[TronNode],
    blocks: BlockRange,
    datasets: Collection[str] = ALL,
    *,
    of: Chain = CHAIN,
    limits: Limits = FAST,
) -> list[RawBlock]:
    """The blocks our client fetches from these nodes, in this order of endpoints."""

    async def work() -> list[RawBlock]:
        async with (
            _opened(nodes, of, limits) as opened,
            aclosing(opened.fetch(blocks, datasets)) as stream,
        ):
            return [block async for block in stream]

    return asyncio.run(work())


def heights(nodes: Sequence[TronNode], *, of: Chain = CHAIN, limits: Limits = FAST) -> Heights:
    """The heights our client learns from these nodes."""

    async def work() -> Heights:
        async with _opened(nodes, of, limits) as opened:
            return await opened.heights()

    return asyncio.run(work())


@asynccontextmanager
async def _opened(
    nodes: Sequence[TronNode], of: Chain, limits: Limits
) -> AsyncIterator[client.TronClient]:
    async with AsyncExitStack() as stack:
        for node in nodes:
            await stack.enter_async_context(node.running())
        endpoints = [node.endpoint for node in nodes]
        yield await stack.enter_async_context(client.connect(of, endpoints, limits))
