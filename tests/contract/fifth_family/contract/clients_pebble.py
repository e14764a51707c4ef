"""What the client contract needs of pebbles: a client of a small chain of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from aiohttp import web

from chainflow import lookup
from chainflow.clients import Client
from chainflow.endpoints import Endpoint
from chainflow.types import Chain
from tests.fake_node import FAST

DATASETS = ("blocks",)
FINAL_AT_ONCE = True
CHAIN = Chain("beach", "pebble", "pebble-1", blocks_per_minute=600.0)
LIMITS = replace(FAST, deadline_seconds=2.0, not_yet_seconds=0.5)
_TROUBLES = {
    "bad body": (200, "<html>"),
    "busy": (429, ""),
    "refused": (403, ""),
    "pruned": (410, ""),
}


@asynccontextmanager
async def client(
    *, stop: int, finalized: int, trouble: str = "", times: float = 0
) -> AsyncIterator[Client]:
    """A client of a chain with the heights [0, stop), all of them final."""
    del finalized
    chain = lookup.module("devnet", "pebble").simulate(
        CHAIN, seed=7, began=1_790_000_000.0, interval=1.0, backlog=stop
    )

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal times
        if trouble and times > 0 and request.match_info["rest"].startswith("blocks/"):
            times -= 1
            status, text = _TROUBLES[trouble]
            return web.Response(status=status, text=text)
        found: web.StreamResponse = await chain.answer(request)
        return found

    app = web.Application()
    app.router.add_get("/{rest:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        endpoint = Endpoint("fake", f"http://127.0.0.1:{runner.addresses[0][1]}")
        family = lookup.module("clients", "pebble")
        async with family.connect(CHAIN, [endpoint], LIMITS) as opened:
            yield opened
    finally:
        await runner.cleanup()
