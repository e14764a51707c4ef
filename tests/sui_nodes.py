"""A checkpoint store and a ledger service on loopback that say what they are told to.

store = FakeStore(sui.checkpoints(40))
store.react(html, times=2)                    # to the next two requests for a checkpoint
blocks = fetch([store], BlockRange(0, 40))    # what our client makes of it
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc
from aiohttp import web

from chainflow.clients import sui as client
from chainflow.clients._pace import Limits
from chainflow.devnet import _sui_checkpoints as made
from chainflow.endpoints import Endpoint
from chainflow.types import BlockRange, Chain, Heights, RawBlock
from chainflow.wire import _sui_messages as messages
from tests import sui
from tests.fake_node import FAST

CHAIN = Chain(name="suinet", family="sui", chain_id=None, blocks_per_minute=240.0)
ALL = ("blocks", "transactions", "events", "balance_changes")
WATERMARK = "_metadata/watermark/checkpoint_blob.json"
OBJECTS = "objects.objects.bcs"


class Node(Protocol):
    """Either fake."""

    @property
    def endpoint(self) -> Endpoint:
        """Its address, while it runs."""

    def running(self) -> AbstractAsyncContextManager[object]:
        """It on a free port of loopback."""


@dataclass(slots=True)
class FakeStore:
    """A store of these checkpoints, from 0 or from `lowest`; `watermark` False: it has none."""

    bodies: Sequence[bytes]
    lowest: int = 0
    watermark: bool = True
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""
    edit: Callable[[int, bytes], bytes] | None = None
    _rules: list[list[Any]] = field(default_factory=list)

    def react(
        self, reaction: Callable[[web.Request], Awaitable[web.StreamResponse]], times: float = 1
    ) -> None:
        """Answer so to the next requests for a checkpoint."""
        self._rules.append([times, reaction])

    @property
    def endpoint(self) -> Endpoint:
        """Its address, while it runs."""
        return Endpoint("store", self.url, dict(self.headers))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FakeStore]:
        """It on a free port of loopback."""
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}{self.path}"
            yield self
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        name = request.path.removeprefix(self.path)
        self.asked.append((request.method, name))
        if name == WATERMARK:
            return self._watermark()
        for rule in self._rules:
            if rule[0] > 0:
                rule[0] -= 1
                reaction: Callable[[web.Request], Awaitable[web.StreamResponse]] = rule[1]
                return await reaction(request)
        height = int(name.removesuffix(".binpb.zst"))
        if not self.lowest <= height < len(self.bodies):
            return web.Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>")
        body = self.bodies[height]
        body = self.edit(height, body) if self.edit else made.compressed(body)
        return web.Response(body=body)

    def _watermark(self) -> web.Response:
        if not self.watermark:
            return web.Response(status=404)
        return web.json_response({"checkpoint_hi_inclusive": len(self.bodies) - 1, "more": 1})


@dataclass(slots=True)
class FakeLedger:
    """A node's ledger service; `refusals` are codes for the next requests for a checkpoint.

    Below `objects_from` it has no objects: it refuses with that code, or gives the rest.
    """

    bodies: Sequence[bytes]
    lowest: int = 0
    objects_from: int = 0
    without_objects: grpc.StatusCode | None = None
    chain_id: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    refusals: list[tuple[grpc.StatusCode, str]] = field(default_factory=list)
    always: tuple[grpc.StatusCode, str] | None = None
    answers: list[bytes] = field(default_factory=list)
    masks: list[list[str]] = field(default_factory=list)
    metadata: list[dict[str, Any]] = field(default_factory=list)
    port: int = 0

    @property
    def endpoint(self) -> Endpoint:
        """Its address, while it runs."""
        return Endpoint("ledger", f"grpc://127.0.0.1:{self.port}", dict(self.headers))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FakeLedger]:
        """It on a free port of loopback."""
        server = grpc.aio.server(options=[("grpc.max_send_message_length", 2**30)])
        methods = {
            "GetCheckpoint": grpc.unary_unary_rpc_method_handler(self._checkpoint),
            "GetServiceInfo": grpc.unary_unary_rpc_method_handler(self._info),
        }
        handler = grpc.method_handlers_generic_handler("sui.rpc.v2.LedgerService", methods)
        server.add_generic_rpc_handlers((handler,))
        self.port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield self
        finally:
            await server.stop(None)

    async def _info(self, request: bytes, context: Any) -> bytes:  # noqa: ANN401 - grpc's
        del request
        self.metadata.append(dict(context.invocation_metadata()))
        info = messages.GetServiceInfoResponse(
            checkpoint_height=len(self.bodies) - 1,
            lowest_available_checkpoint=self.lowest,
            lowest_available_checkpoint_objects=self.objects_from,
        )
        if self.chain_id is not None:
            info.chain_id = self.chain_id
        return bytes(info.SerializeToString())

    async def _checkpoint(self, request: bytes, context: Any) -> bytes:  # noqa: ANN401 - grpc's
        asked = messages.GetCheckpointRequest.FromString(request)
        self.masks.append(list(asked.read_mask.paths))
        refusal = self.refusals.pop(0) if self.refusals else self.always
        if refusal is not None:
            await context.abort(*refusal)
        if self.answers:
            return self.answers.pop(0)
        height = asked.sequence_number
        if not self.lowest <= height < len(self.bodies):
            await context.abort(grpc.StatusCode.NOT_FOUND, f"Checkpoint {height} not found")
        checkpoint = messages.Checkpoint.FromString(self.bodies[height])
        if OBJECTS not in asked.read_mask.paths:
            checkpoint.ClearField("objects")
        elif height < self.objects_from:
            if self.without_objects is not None:
                await context.abort(self.without_objects, "missing input object")
            checkpoint.ClearField("objects")
        checkpoint.digest = sui.digest(self.bodies[height])
        return bytes(messages.GetCheckpointResponse(checkpoint=checkpoint).SerializeToString())


async def html(_: web.Request) -> web.StreamResponse:
    """What a proxy says."""
    return web.Response(text="<html>not what was asked</html>")


def status(code: int, headers: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - a reaction
    """Answer with this status."""

    async def reaction(_: web.Request) -> web.StreamResponse:
        return web.Response(status=code, text="refused", headers=headers)

    return reaction


@asynccontextmanager
async def connected(
    nodes: Sequence[Node], of: Chain, limits: Limits
) -> AsyncIterator[client.SuiClient]:
    """Our client of these nodes, in this order of endpoints."""
    async with AsyncExitStack() as stack:
        for node in nodes:
            await stack.enter_async_context(node.running())
        endpoints = [node.endpoint for node in nodes]
        yield await stack.enter_async_context(client.connect(of, endpoints, limits))


def fetch(
    nodes: Sequence[Node],
    blocks: BlockRange,
    datasets: Collection[str] = ALL,
    *,
    of: Chain = CHAIN,
    limits: Limits = FAST,
) -> list[RawBlock]:
    """The checkpoints our client fetches."""

    async def work() -> list[RawBlock]:
        async with (
            connected(nodes, of, limits) as opened,
            aclosing(opened.fetch(blocks, datasets)) as stream,
        ):
            return [block async for block in stream]

    return asyncio.run(work())


def heights(nodes: Sequence[Node], *, of: Chain = CHAIN, limits: Limits = FAST) -> Heights:
    """The heights our client learns."""

    async def work() -> Heights:
        async with connected(nodes, of, limits) as opened:
            return await opened.heights()

    return asyncio.run(work())
