"""Bodies of answers: unpacked within bounds, whole or refused; and keys that stay at home."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from chainflow.clients._http import Node, session
from chainflow.clients._pace import Limits
from chainflow.endpoints import Endpoint
from chainflow.errors import AnswerTooLarge, NodeUnavailable, RequestRefused
from tests.fake_node import FAST

MIB = 2**20
BOMBS = 16
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _with(answer: Answer, work: Callable[[Node], Awaitable[None]], limits: Limits = FAST) -> None:
    """Do the work with our side of a server that answers so."""

    async def run() -> None:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", answer)
        async with TestServer(application) as server, session(limits) as opened:
            endpoint = Endpoint(
                "x", f"http://127.0.0.1:{server.port}/", {"X-Key": "the-key-itself"}
            )
            await work(Node(endpoint, opened, limits))

    asyncio.run(run())


def _says(body: bytes, coding: str) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, headers={"Content-Encoding": coding})

    return answer


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP"])
def test_gzip_is_undone(coding: str) -> None:
    """By whatever name."""

    async def work(node: Node) -> None:
        assert (await node.get("")).body == b"what it holds"

    _with(_says(gzip.compress(b"what it holds"), coding), work)


@pytest.mark.parametrize(
    ("body", "coding", "told"),
    [
        (gzip.compress(b"x" * 1000, mtime=0)[:-10], "gzip", "cut short"),
        (b"what it holds", "gzip", "no gzip"),
        (b"what it holds", "br", "not asked for"),
        (b"what it holds", "gzip, gzip", "not asked for"),
    ],
)
def test_what_cannot_be_unpacked_is_told(body: bytes, coding: str, told: str) -> None:
    """A half body never passes for a whole one."""

    async def work(node: Node) -> None:
        with pytest.raises(NodeUnavailable, match=told):
            await node.get("")

    _with(_says(body, coding), work)


def test_a_bomb_takes_no_more_memory_than_its_bound() -> None:
    """64 MiB of blanks come as some kB: no more than the bound is unpacked."""
    bomb = gzip.compress(b" " * (64 * MIB))
    limits = replace(FAST, body_bytes=4 * MIB)

    async def work(node: Node) -> None:
        tracemalloc.start()
        try:
            with pytest.raises(AnswerTooLarge, match="larger than 4194304 bytes"):
                await node.get("")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 3 * limits.body_bytes

    _with(_says(bomb, "gzip"), work, limits)


def test_bombs_side_by_side_take_the_memory_of_one() -> None:
    """What one part holds beyond the usual size stays packed until it is its answer's turn."""
    bomb = gzip.compress(b" " * (32 * MIB))
    limits = replace(FAST, body_bytes=64 * MIB, large_bytes=MIB, request_seconds=60.0)
    begun = 0
    everyone = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal begun
        response = web.StreamResponse(headers={"Content-Encoding": "gzip"})
        await response.prepare(request)
        await response.write(bomb[:-8])
        begun += 1
        if begun == BOMBS:
            await asyncio.sleep(0.3)  # all have taken what was sent
            everyone.set()
        await everyone.wait()
        await response.write(bomb[-8:])
        return response

    async def work(node: Node) -> None:
        async def size() -> int:
            return len((await node.get("")).body)

        node.window.size = BOMBS
        tracemalloc.start()
        try:
            assert await asyncio.gather(*(size() for _ in range(BOMBS))) == [32 * MIB] * BOMBS
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        # One is twice there while its parts are joined; the others wait at their usual size.
        assert peak < (3 * 32 + 2 * BOMBS) * MIB

    _with(answer, work, limits)


@pytest.mark.parametrize("large_bytes", [1, 999, 1000, 1001, MIB])
def test_a_body_is_whole_wherever_it_grows_large(large_bytes: int) -> None:
    """Unpacking stops and goes on at any byte."""
    whole = bytes(range(250)) * 4
    limits = replace(FAST, large_bytes=large_bytes)

    async def work(node: Node) -> None:
        assert (await node.get("")).body == whole

    _with(_says(gzip.compress(whole), "gzip"), work, limits)
    _with(_says(whole, "identity"), work, limits)


def test_large_bodies_are_read_one_after_the_other() -> None:
    """While one is taken in, the others wait in the network: memory holds one."""
    limits = replace(FAST, large_bytes=MIB, request_seconds=60.0)
    sent = {"a": 0, "b": 0}
    at_the_end: dict[str, int] = {}

    async def answer(request: web.Request) -> web.StreamResponse:
        name = request.path.strip("/")
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(64):
            await response.write(b" " * MIB)
            sent[name] += MIB
            await asyncio.sleep(0)
        at_the_end[name] = sent["b" if name == "a" else "a"]
        return response

    async def work(node: Node) -> None:
        replies = await asyncio.gather(node.get("a"), node.get("b"))
        assert [len(reply.body) for reply in replies] == [64 * MIB] * 2

    _with(answer, work, limits)
    # What the other had sent by then: the buffers on the way, not its body.
    first = min(at_the_end.values())
    assert first < 32 * MIB


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_takes_no_key_to_another_host(status: int) -> None:
    """The other host is not asked at all."""
    seen: list[web.BaseRequest] = []

    async def stranger(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        return web.Response(text="thank you")

    async def run() -> None:
        other = web.Application()
        other.router.add_route("*", "/{path:.*}", stranger)
        async with TestServer(other, host="127.0.0.2") as away:
            location = f"http://127.0.0.2:{away.port}/"

            async def answer(_: web.Request) -> web.StreamResponse:
                return web.Response(status=status, headers={"Location": location})

            application = web.Application()
            application.router.add_route("*", "/{path:.*}", answer)
            async with TestServer(application) as server, session(FAST) as opened:
                url = f"http://127.0.0.1:{server.port}/the-key-itself"
                node = Node(Endpoint("x", url, {"X-Key": "the-key-itself"}), opened, FAST)
                for asked in (node.get("block"), node.post(b"{}")):
                    with pytest.raises(RequestRefused, match=rf"HTTP {status}: .* 127.0.0.2:"):
                        await asked

    asyncio.run(run())
    assert seen == []
