"""Faults of transport and of JSON-RPC: what may befall any node's answer, whatever it holds."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
from typing import TYPE_CHECKING, Any

from aiohttp import web

from chainflow.testing._proxy import Exchange, Fault, body_of, said

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Json = Any  # a node's JSON, of any shape
_ENDLESS_PART = b" " * 2**16


def status(
    code: int, text: str = "", headers: Mapping[str, str] | None = None, kind: str = "text/plain"
) -> Fault:
    """This status and body instead of the node's answer."""

    async def spoil(_: Exchange) -> web.StreamResponse:
        return web.Response(status=code, text=text, headers=headers, content_type=kind)

    return Fault(spoil)


def body(change: Callable[[bytes], bytes], headers: Mapping[str, str] | None = None) -> Fault:
    """The node's answer with another body."""

    async def spoil(exchange: Exchange) -> web.StreamResponse:
        told = await exchange.node()
        return web.Response(
            body=change(body_of(told)), content_type=told.content_type, headers=headers
        )

    return Fault(spoil)


def batch(change: Callable[[list[dict[str, Json]]], Json]) -> Fault:
    """Something else made of the answers to a batch of two calls or more."""

    async def spoil(exchange: Exchange) -> web.StreamResponse:
        answers = await exchange.answers()
        if len(answers) == 1:
            return exchange.reply(answers)
        return said(change(answers))

    return Fault(spoil)


def answers(change: Callable[[dict[str, Json]], dict[str, Json]]) -> Fault:
    """Each JSON-RPC answer changed."""

    async def spoil(exchange: Exchange) -> web.StreamResponse:
        return exchange.reply([change(answer) for answer in await exchange.answers()])

    return Fault(spoil)


def rpc_error(code: int, message: str) -> Fault:
    """An error object to each call, in an answer of status 200."""
    error = {"code": code, "message": message}
    return answers(lambda answer: {"jsonrpc": "2.0", "id": answer["id"], "error": error})


async def _cut(exchange: Exchange) -> web.StreamResponse:
    """Announce all of the body and send half of it."""
    told = body_of(await exchange.node())
    response = web.StreamResponse(headers={"Content-Length": str(len(told))})
    await response.prepare(exchange.request)
    await response.write(told[: len(told) // 2])
    return _hang_up(exchange, response)


async def _cut_between(exchange: Exchange) -> web.StreamResponse:
    """Send half of the body as a whole chunk, and no more chunks."""
    told = body_of(await exchange.node())
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(exchange.request)
    await response.write(told[: len(told) // 2])
    return _hang_up(exchange, response)


async def _drip(exchange: Exchange) -> web.StreamResponse:
    """One byte of the node's answer at a time."""
    response = web.StreamResponse()
    await response.prepare(exchange.request)
    for byte in body_of(await exchange.node()):
        await response.write(bytes([byte]))
        await asyncio.sleep(0.05)
    return response


async def _hang(exchange: Exchange) -> web.StreamResponse:
    """No byte at all, until the client goes away."""
    while exchange.request.transport is not None and not exchange.request.transport.is_closing():
        await asyncio.sleep(0.05)
    return web.Response()


async def _reset(exchange: Exchange) -> web.StreamResponse:
    """Refuse the connection once it carries a request (TCP RST)."""
    transport = exchange.request.transport
    if transport is not None:
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    return web.Response()


async def _no_http(exchange: Exchange) -> web.StreamResponse:
    """Something that is no HTTP."""
    if exchange.request.transport is not None:
        exchange.request.transport.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    return _hang_up(exchange, web.Response())


async def _endless(exchange: Exchange) -> web.StreamResponse:
    """The node's answer, and blanks after it for as long as anyone reads."""
    response = web.StreamResponse()
    await response.prepare(exchange.request)
    await response.write(body_of(await exchange.node()))
    while exchange.request.transport is not None and not exchange.request.transport.is_closing():
        await response.write(_ENDLESS_PART)
    return response


def bomb(size: int) -> Fault:
    """The node's answer with `size` blanks after it, compressed: a thousandth on the wire."""
    return body(
        lambda told: gzip.compress(told + b" " * size, mtime=0), {"Content-Encoding": "gzip"}
    )


def _nested(answer: dict[str, Json]) -> bytes:
    return b'{"jsonrpc":"2.0","id":%d,"result":%b%b}' % (answer["id"], b"[" * 10**5, b"]" * 10**5)


async def _deep(exchange: Exchange) -> web.StreamResponse:
    """Results nested 100,000 deep."""
    rows = b",".join(map(_nested, exchange.calls))
    text = b"[%b]" % rows if len(exchange.calls) > 1 else rows
    return web.Response(body=text, content_type="application/json")


def _hang_up(exchange: Exchange, response: web.StreamResponse) -> web.StreamResponse:
    if exchange.request.transport is not None:
        exchange.request.transport.close()
    return response


HTTP: Mapping[str, Fault] = {
    "429 with Retry-After": status(429, "slow down", {"Retry-After": "1"}),
    "429 without Retry-After": status(429, "slow down"),
    "401": status(401, "missing api key"),
    "500": status(500, "internal server error"),
    "502 HTML page": status(502, "<html>502 Bad Gateway</html>", kind="text/html"),
    "503 with Retry-After": status(503, "", {"Retry-After": "1"}),
    "redirect": status(307, "", {"Location": "http://127.0.0.2:9/another-key"}),
    "HTML page": status(200, "<html>Checking your browser</html>", kind="text/html"),
    "empty body": status(200),
    "cut body": Fault(_cut),
    "cut between chunks": Fault(_cut_between),
    "cut gzip": body(lambda told: gzip.compress(told)[:-12], {"Content-Encoding": "gzip"}),
    "no gzip": body(lambda told: told, {"Content-Encoding": "gzip"}),
    "slow drip": Fault(_drip),
    "no answer": Fault(_hang),
    "connection reset": Fault(_reset),
    "no HTTP": Fault(_no_http),
    "huge body": Fault(_endless),
    "gzip bomb": bomb(2**24),
    "two documents": body(lambda told: told + told),
    "invalid UTF-8": body(lambda told: told.replace(b'"0x', b'"\xff\xfe', 1)),
    "NUL in a text": body(lambda told: told.replace(b'"0x', b'"\\u0000x', 1)),
}
JSON_RPC: Mapping[str, Fault] = {
    "deep JSON": Fault(_deep),
    "batch out of order": batch(lambda rows: rows[::-1]),
    "batch too short": batch(lambda rows: rows[:-1]),
    "single error for a batch": batch(
        lambda _: {"jsonrpc": "2.0", "id": None, "error": {"code": -32603, "message": "internal"}}
    ),
    "single answer for a batch": batch(lambda rows: rows[0]),
    "wrong id": answers(lambda answer: {**answer, "id": answer["id"] + 1000}),
    "duplicate id": batch(lambda rows: [{**row, "id": rows[0]["id"]} for row in rows]),
    "shifted id": batch(
        lambda rows: [{**row, "id": rows[i - 1]["id"]} for i, row in enumerate(rows)]
    ),
    "null id": answers(lambda answer: {**answer, "id": None}),
    "id as text": answers(lambda answer: {**answer, "id": str(answer["id"])}),
    "neither result nor error": answers(lambda answer: {"jsonrpc": "2.0", "id": answer["id"]}),
    "rate limit as an error": rpc_error(-32005, "rate limit exceeded"),
    "internal error": rpc_error(-32603, "internal error"),
}
