"""The proxy of `faults`: requests pass through it, and a Fault may spoil their answers."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

    Spoil = Callable[["Exchange"], Awaitable[web.StreamResponse]]

Json = Any  # a node's JSON, of any shape
_START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which an answer goes wrong; with `calls`, only where such a call is made."""

    spoil: Spoil
    calls: Callable[[dict[str, Json]], bool] | None = None

    def fits(self, exchange: Exchange) -> bool:
        """Whether the request is one that this can spoil."""
        return self.calls is None or any(map(self.calls, exchange.calls))


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request on its way to the node; `calls` are its JSON-RPC calls, if it is such."""

    request: web.Request
    body: bytes
    calls: list[dict[str, Json]]
    _session: aiohttp.ClientSession
    _url: str

    async def node(self, body: bytes | None = None) -> web.Response:
        """The node's own answer to the request, or to another body in its place."""
        kind = {"Content-Type": self.request.content_type} if self.body else {}
        sent = self.body if body is None else body
        async with self._session.request(
            self.request.method, self._url, data=sent or None, headers=kind
        ) as answer:
            text = await answer.read()
            return web.Response(
                status=answer.status, body=text, content_type=answer.content_type or "text/plain"
            )

    async def answers(self, calls: list[dict[str, Json]] | None = None) -> list[dict[str, Json]]:
        """The node's own answers to the JSON-RPC calls, or to others in their place."""
        told = await self.node(json.dumps(self.calls if calls is None else calls).encode())
        return list(json.loads(body_of(told)))

    async def ask(self, method: str, *params: Json) -> Json:
        """The node's result of a call of ours."""
        [answer] = await self.answers(
            [{"jsonrpc": "2.0", "id": 1, "method": method, "params": params}]
        )
        return answer.get("result")

    def reply(self, answers: list[dict[str, Json]]) -> web.Response:
        """JSON-RPC answers as the request wants them: a list to a batch, else one object."""
        batch = self.body.lstrip()[:1] == b"["
        return said(answers if batch else answers[0])


@asynccontextmanager
async def proxy(
    url: str, faults: Fault | Iterable[Fault | None] = (), *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """A proxy on loopback before the node at `url`; its address, with the node's own path.

    Args:
        url: Of the node, which speaks HTTP.
        faults: One for every answer, or a schedule.
        tls: Speak HTTPS with this certificate.
    """
    left = repeat(faults) if isinstance(faults, Fault) else chain(faults, repeat(None))
    schedule = _Schedule(left)
    parts = urlsplit(url)
    async with aiohttp.ClientSession(auto_decompress=True) as session:

        async def answer(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            where = f"{parts.scheme}://{parts.netloc}{request.raw_path}"
            exchange = Exchange(request, body, _calls(body), session, where)
            fault = schedule.take(exchange)
            return await (fault.spoil(exchange) if fault else exchange.node())

        app = web.Application(client_max_size=2**28)
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
            port = runner.addresses[0][1]
            yield f"{'https' if tls else 'http'}://127.0.0.1:{port}{parts.path}"
        finally:
            await runner.cleanup()


@contextmanager
def running(
    url: str, faults: Fault | Iterable[Fault | None] = (), *, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """As `proxy`, in a thread."""
    ready = threading.Event()
    found: list[str] = []
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        async with proxy(url, faults, tls=tls) as own:
            found.append(own)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    try:
        if not ready.wait(_START_SECONDS):
            raise TimeoutError("the proxy did not start")
        yield found[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(_START_SECONDS)
        loop.close()


class _Schedule:
    """Which fault is next."""

    def __init__(self, faults: Iterator[Fault | None]) -> None:
        self._faults = faults
        self._next = next(faults)

    def take(self, exchange: Exchange) -> Fault | None:
        """The fault for this request; one that does not fit it waits."""
        taken = self._next
        if taken is not None and not taken.fits(exchange):
            return None
        self._next = next(self._faults)
        return taken


def said(answer: Json) -> web.Response:
    """JSON without blanks, as nodes write it: a text kept of it is the node's own."""
    text = json.dumps(answer, separators=(",", ":"))
    return web.Response(text=text, content_type="application/json")


def body_of(response: web.Response) -> bytes:
    return response.body if isinstance(response.body, bytes) else b""


def _calls(body: bytes) -> list[dict[str, Json]]:
    try:
        found = json.loads(body or b"null")
    except ValueError:
        return []
    return [c for c in (found if isinstance(found, list) else [found]) if isinstance(c, dict)]
