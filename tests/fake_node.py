"""An EVM node on loopback that says what it is told to, and a small chain for it to serve.

    node = FakeNode(chain(10))
    node.react(http(429, headers={"Retry-After": "1"}))      # to the next request for a block
    node.react(edit(null), method="eth_getBlockReceipts", times=2)
    blocks = fetch([node], BlockRange(0, 10))                # what our client makes of it

`node.asked` then holds every HTTP request as the list of its calls.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web

from chainflow.clients import evm
from chainflow.clients._pace import Limits
from chainflow.endpoints import Endpoint
from chainflow.types import BlockRange, Chain, Heights, RawBlock

Json = Any  # a node's JSON, of any shape
Calls = list[dict[str, Json]]
Answer = dict[str, Json]

# Its hashes are made up, so nothing of its blocks can be proven.
CHAIN = Chain(name="testnet", family="evm", chain_id=1, blocks_per_minute=5.0, verify="none")
ALL = ("blocks", "transactions", "logs", "token_transfers", "withdrawals")
# Retries in milliseconds; bounds that a loaded machine could miss stay in seconds.
FAST = Limits(
    backoff_seconds=0.001,
    backoff_max_seconds=0.01,
    quiet_seconds=0.005,
    not_yet_seconds=5.0,
    deadline_seconds=10.0,
    request_seconds=10.0,
)
# For tests in which nothing comes: given up soon.
SOON = replace(FAST, not_yet_seconds=0.05, deadline_seconds=0.1, heights_seconds=0.5)


def word(*parts: object) -> str:
    """32 bytes of hex that differ where the parts do."""
    text = "-".join(str(part) for part in parts).encode().hex()
    return "0x" + text.rjust(64, "0")[-64:]


@dataclass(slots=True)
class FakeChain:
    """What a node has: blocks with full transactions, and their receipts, by height."""

    blocks: dict[int, Answer] = field(default_factory=dict)
    receipts: dict[int, list[Answer]] = field(default_factory=dict)

    def transaction(self, hash_: str) -> Answer | None:
        """A transaction by its hash."""
        found = (t for b in self.blocks.values() for t in b["transactions"])
        return next((t for t in found if t["hash"] == hash_), None)

    def receipt(self, hash_: str) -> Answer | None:
        """A receipt by its transaction's hash."""
        found = (r for rows in self.receipts.values() for r in rows)
        return next((r for r in found if r["transactionHash"] == hash_), None)


def chain(stop: int, *, start: int = 0, transactions: int = 2, fork: str = "") -> FakeChain:
    """Linked blocks of the heights from `start` up to, not including, `stop`.

    Args:
        stop: One above the head.
        start: The lowest height.
        transactions: How many each block has; each has as many logs as its index.
        fork: Another word gives other hashes.
    """
    made = FakeChain()
    for height in range(start, stop):
        at = {"blockHash": word("block", fork, height), "blockNumber": hex(height)}
        rows = [
            {**at, "hash": word("tx", fork, height, i), "transactionIndex": hex(i)}
            for i in range(transactions)
        ]
        made.blocks[height] = {
            "number": hex(height),
            "hash": at["blockHash"],
            "parentHash": word("block", fork, height - 1),
            "timestamp": hex(1_700_000_000 + 12 * height),
            "transactions": rows,
        }
        made.receipts[height] = [
            {
                **at,
                "transactionHash": row["hash"],
                "transactionIndex": row["transactionIndex"],
                "logs": [
                    {
                        **at,
                        "transactionHash": row["hash"],
                        "transactionIndex": row["transactionIndex"],
                        "logIndex": hex(i),
                        "address": "0x" + "aa" * 20,
                        "topics": [],
                        "data": "0x",
                        "removed": False,
                    }
                    for i in range(int(str(row["transactionIndex"]), 16))
                ],
            }
            for row in rows
        ]
    return made


Reaction = Callable[["FakeNode", web.Request, Calls], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class _Rule:
    reaction: Reaction
    method: str
    times: float


@dataclass(slots=True)
class FakeNode:
    """An EVM node of one chain.

    `lacks` are methods it does not have; `tags` the heights its tags stand for; `batches` False
    makes it answer a batch with one error object; `max_batch` refuses longer ones.
    """

    chain: FakeChain
    chain_id: int = 1
    lacks: Collection[str] = ()
    tags: Mapping[str, int] = field(default_factory=dict)
    batches: bool = True
    max_batch: int = 1000
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)
    asked: list[Calls] = field(default_factory=list)
    most_at_once: int = 0
    url: str = ""
    _rules: list[_Rule] = field(default_factory=list)
    _at_once: int = 0

    def react(
        self, reaction: Reaction, *, method: str = "eth_getBlockByNumber", times: float = 1
    ) -> None:
        """Answer so to the next `times` requests that hold a call of that method."""
        self._rules.append(_Rule(reaction, method, times))

    @property
    def endpoint(self) -> Endpoint:
        """Its address, while it runs."""
        return Endpoint("fake", self.url, dict(self.headers))

    @property
    def host(self) -> str:
        """What errors call it."""
        return self.endpoint.host

    def calls(self, method: str) -> Calls:
        """Every call of a method it was asked."""
        return [call for calls in self.asked for call in calls if call["method"] == method]

    def answers(self, calls: Calls) -> list[Answer]:
        """What an honest node says."""
        return [self._answer(call) for call in calls]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FakeNode]:
        """The node on a free port of loopback."""
        app = web.Application(client_max_size=2**26)
        app.router.add_post(self.path.partition("?")[0], self._handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}{self.path}"
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
        body = await request.json()
        calls = body if isinstance(body, list) else [body]
        self.asked.append(calls)
        methods = {call["method"] for call in calls}
        for rule in self._rules:
            if rule.times > 0 and rule.method in methods:
                rule.times -= 1
                return await rule.reaction(self, request, calls)
        if isinstance(body, list) and not self.batches:
            return web.json_response(error(-32600, "Invalid Request"))
        if len(calls) > self.max_batch:
            return web.json_response(error(-32600, f"batch limit of {self.max_batch} exceeded"))
        answers = self.answers(calls)
        return web.json_response(answers if isinstance(body, list) else answers[0])

    def _answer(self, call: Answer) -> Answer:
        method, params = call["method"], call.get("params", [])
        if method in self.lacks:
            return {**error(-32601, f"the method {method} does not exist"), "id": call["id"]}
        result = self._result(method, params)
        return {"jsonrpc": "2.0", "id": call["id"], "result": copy.deepcopy(result)}

    def _result(self, method: str, params: list[Json]) -> Json:
        match method:
            case "eth_chainId":
                return hex(self.chain_id)
            case "eth_blockNumber":
                return hex(max(self.chain.blocks))
            case "eth_getTransactionReceipt":
                return self.chain.receipt(params[0])
            case "eth_getTransactionByHash":
                return self.chain.transaction(params[0])
        height = self.tags.get(params[0], -1) if params[0] in TAGS else int(params[0], 16)
        if method == "eth_getBlockByNumber":
            return self.chain.blocks.get(height)
        return self.chain.receipts.get(height)


TAGS = ("finalized", "safe")


def error(code: int, message: str) -> Answer:
    """A JSON-RPC error object of no id."""
    return {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}


def http(
    status: int, text: str | bytes = "", *, headers: Mapping[str, str] | None = None
) -> Reaction:
    """Answer with this status and body."""
    body = text if isinstance(text, bytes) else text.encode()

    async def reaction(_: FakeNode, request: web.Request, __: Calls) -> web.StreamResponse:
        del request
        return web.Response(status=status, body=body, headers=headers)

    return reaction


def say(answer: Json, *, status: int = 200) -> Reaction:
    """Answer with this JSON, whatever was asked."""
    return http(status, json.dumps(answer))


def edit(
    change: Callable[[Json], Json], *, method: str = "", height: int | None = None
) -> Reaction:
    """Answer honestly, but with `change` applied to the results of that method and height.

    An Exception that `change` returns becomes the call's error: its code and message.
    """

    async def reaction(node: FakeNode, request: web.Request, calls: Calls) -> web.StreamResponse:
        answers = node.answers(calls)
        for call, answer in zip(calls, answers, strict=True):
            if method not in ("", call["method"]) or "result" not in answer:
                continue
            if height is not None and call["params"][0] != hex(height):
                continue
            changed = change(answer["result"])
            if isinstance(changed, Exception):
                code, message = changed.args
                answer.pop("result")
                answer["error"] = {"code": code, "message": message}
            else:
                answer["result"] = changed
        alone = not isinstance(await request.json(), list)
        return web.json_response(answers[0] if alone else answers)

    return reaction


def rewrite(change: Callable[[Calls, list[Answer]], Json]) -> Reaction:
    """Answer with what `change` makes of the calls and the honest answers to them."""

    async def reaction(node: FakeNode, _: web.Request, calls: Calls) -> web.StreamResponse:
        return web.json_response(change(calls, node.answers(calls)))

    return reaction


def null(_: Json) -> Json:
    """For `edit`: no result."""
    return None


def fails(code: int, message: str) -> Callable[[Json], Json]:
    """For `edit`: an error in the result's place."""
    return lambda _: Exception(code, message)


def puts(**fields: Json) -> Callable[[Json], Json]:
    """For `edit`: the result with these fields."""
    return lambda result: {**result, **fields}


def cut(keep: float = 0.5) -> Reaction:
    """Announce the whole body, send its beginning, and close."""

    async def reaction(node: FakeNode, request: web.Request, calls: Calls) -> web.StreamResponse:
        body = json.dumps(node.answers(calls)).encode()
        response = web.StreamResponse(headers={"Content-Length": str(len(body))})
        await response.prepare(request)
        await response.write(body[: int(len(body) * keep)])
        _close(request)
        return response

    return reaction


def reset() -> Reaction:
    """Close the connection without an answer."""

    async def reaction(_: FakeNode, request: web.Request, __: Calls) -> web.StreamResponse:
        _close(request)
        return web.Response()

    return reaction


def hang(seconds: float) -> Reaction:
    """Answer nothing for that long."""

    async def reaction(node: FakeNode, _: web.Request, calls: Calls) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return web.json_response(node.answers(calls))

    return reaction


def _close(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()


def refused(path: str = "/") -> Endpoint:
    """An address at which nothing listens."""

    async def work() -> Endpoint:
        async with FakeNode(FakeChain(), path=path).running() as node:
            return node.endpoint

    return asyncio.run(work())


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
            for node in nodes:
                await stack.enter_async_context(node.running())
            endpoints = [node.endpoint for node in nodes]
            client = await stack.enter_async_context(evm.connect(of, endpoints, limits))
            async with aclosing(client.fetch(blocks, datasets)) as stream:
                return [block async for block in stream]

    return asyncio.run(work())


def heights(nodes: Sequence[FakeNode], *, of: Chain = CHAIN, limits: Limits = FAST) -> Heights:
    """The heights our client learns from these nodes."""

    async def work() -> Heights:
        async with AsyncExitStack() as stack:
            for node in nodes:
                await stack.enter_async_context(node.running())
            endpoints = [node.endpoint for node in nodes]
            client = await stack.enter_async_context(evm.connect(of, endpoints, limits))
            return await client.heights()

    return asyncio.run(work())
