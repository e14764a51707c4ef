"""A CometBFT node on loopback that says what it is told to, and a small chain for it to serve.

    node = FakeNode(chain(10))
    node.edit(lambda said: {**said, "block": None}, "block", height=5, times=2)
    blocks = fetch([node], BlockRange(1, 10))      # what our client makes of it

Its chain is the devnet's: the hashes are right by CometBFT's rules.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web

from chainflow.clients import cosmos as client
from chainflow.clients._pace import Limits
from chainflow.devnet import _cosmos_profiles, cosmos
from chainflow.endpoints import Endpoint
from chainflow.types import BlockRange, Chain, Heights, RawBlock
from tests.cosmos import ALL, NETWORK, Json, raw
from tests.fake_node import FAST

CHAIN = Chain(name="testchain", family="cosmos", chain_id=NETWORK, blocks_per_minute=60.0)


def chain(stop: int, *, first: int = 1, seed: int = 7, network: str = NETWORK) -> cosmos.Cosmos:
    """A chain with the heights [first, stop), whose hashes are right."""
    profile = replace(_cosmos_profiles.profile(network), first=first)
    made = cosmos.Cosmos(
        first=first,
        began=1_790_000_000.0,
        interval=1.0,
        backlog=stop - first,
        maker=cosmos._Maker(profile, seed, 2),
    )
    for _ in range(stop - first):
        made.grow()
    return made


def made(network: str, height: int) -> RawBlock:
    """One block of the devnet, as if its chain began with it."""
    return raw(*made_answers(network, height))


def made_answers(network: str, height: int, *, before: int = 0) -> tuple[Json, Json]:
    """The same as answers to `block` and `block_results`, with blocks before it.

    A chain that changed its dialect begins in its first one.
    """
    block, results = chain(height + 1, first=height - before, network=network)._answers(height)
    return json.loads(block), json.loads(results)


@dataclass
class _Rule:
    change: Callable[[Any], Any]
    method: str
    height: int | None
    times: float


@dataclass
class _Says:
    status: int
    body: bytes
    height: int | None
    times: float


@dataclass
class FakeNode:
    """A CometBFT node of one chain; `says` are whole HTTP answers to requests for blocks."""

    chain: cosmos.Cosmos
    asked: list[list[Json]] = field(default_factory=list)
    path: str = "/"
    url: str = ""
    _rules: list[_Rule] = field(default_factory=list)
    _says: list[_Says] = field(default_factory=list)

    @property
    def endpoint(self) -> Endpoint:
        """Its address, while it runs."""
        return Endpoint("fake", self.url)

    def edit(
        self,
        change: Callable[[Any], Any],
        method: str = "block",
        *,
        height: int | None = None,
        times: float = float("inf"),
    ) -> None:
        """Answer those calls with what `change` makes of the honest result, or the error it is."""
        self._rules.append(_Rule(change, method, height, times))

    def says(
        self, status: int, body: bytes, *, height: int | None = None, times: float = 1
    ) -> None:
        """Answer whole requests for blocks so, or those that ask for the block of that height."""
        self._says.append(_Says(status, body, height, times))

    def heights_asked(self, method: str) -> list[int]:
        """The heights of which it was asked so, in this order."""
        calls = (call for calls in self.asked for call in calls)
        return [int(call["params"]["height"]) for call in calls if call["method"] == method]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FakeNode]:
        """The node on a free port of loopback."""
        app = web.Application()
        app.router.add_post(self.path.partition("?")[0], self._handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}{self.path}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        asked = json.loads(body)
        calls = asked if isinstance(asked, list) else [asked]
        self.asked.append(calls)
        blocks = {call["params"]["height"] for call in calls if call["method"] == "block"}
        for said in self._says:
            if said.times > 0 and blocks and (said.height is None or str(said.height) in blocks):
                said.times -= 1
                return web.Response(status=said.status, body=said.body)
        answers = json.loads(self.chain.respond(body))
        if isinstance(asked, list) and isinstance(answers, list):
            answers = [self._changed(*pair) for pair in zip(calls, answers, strict=True)]
        elif not isinstance(asked, list):
            answers = self._changed(asked, answers)
        return web.json_response(answers)

    def _changed(self, call: Json, answer: Json) -> Json:
        for rule in self._rules:
            where = (call.get("params") or {}).get("height")
            fits = rule.height is None or where == str(rule.height)
            if rule.times > 0 and rule.method == call["method"] and fits:
                rule.times -= 1
                said = rule.change(answer.get("result"))
                head = {"jsonrpc": "2.0", "id": answer["id"]}
                if isinstance(said, Exception):
                    error = {"code": -32603, "message": "Internal error", "data": str(said)}
                    return {**head, "error": error}
                answer = {**head, "result": said}
        return answer


def refuses(words: str) -> Callable[[Any], Exception]:
    """For `edit`: an internal error with CometBFT's words in its data."""
    return lambda _: Exception(words)


async def _with(
    nodes: Sequence[FakeNode],
    of: Chain,
    limits: Limits,
    stack: AsyncExitStack,
) -> client.CosmosClient:
    for node in nodes:
        await stack.enter_async_context(node.running())
    endpoints = [node.endpoint for node in nodes]
    return await stack.enter_async_context(client.connect(of, endpoints, limits))


def fetch(
    nodes: Sequence[FakeNode],
    blocks: BlockRange,
    datasets: Collection[str] = ALL,
    *,
    of: Chain = CHAIN,
    limits: Limits = FAST,
) -> list[RawBlock]:
    """The blocks our client fetches from these nodes, in this order of endpoints."""

    async def work() -> list[RawBlock]:
        async with AsyncExitStack() as stack:
            opened = await _with(nodes, of, limits, stack)
            async with aclosing(opened.fetch(blocks, datasets)) as stream:
                return [block async for block in stream]

    return asyncio.run(work())


def heights(nodes: Sequence[FakeNode], *, of: Chain = CHAIN, limits: Limits = FAST) -> Heights:
    """The heights our client learns from these nodes."""

    async def work() -> Heights:
        async with AsyncExitStack() as stack:
            return await (await _with(nodes, of, limits, stack)).heights()

    return asyncio.run(work())
