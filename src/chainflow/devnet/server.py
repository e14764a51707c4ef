"""One server for all simulated chains: http://HOST:PORT/<chain> is that chain's node."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import yaml
from aiohttp import web

from chainflow import lookup
from chainflow.devnet import Simulation, registry_overlay
from chainflow.errors import InputError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence
    from pathlib import Path

    from chainflow.types import Chain

log = logging.getLogger(__name__)

_SIMULATIONS: web.AppKey[Mapping[str, Simulation]] = web.AppKey("simulations")
_TICK_SECONDS = 0.1
_BLOCKS_PER_TURN = 20


async def run(
    chains: Sequence[Chain],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    speed: float = 1.0,
    backlog: int = 300,
    registry_out: Path | None = None,
    on_ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve the live chains of a registry until cancelled.

    Args:
        chains: Those that are retired, or of a family without a devnet, are left out.
        host: Address to listen on.
        port: 0 takes a free one.
        speed: How many times faster than the real chain blocks are made.
        backlog: Heights that are there from the beginning.
        registry_out: Where to write the layer that sends a registry here, once the server answers.
        on_ready: Called with the server's address at the same moment.

    Raises:
        InputError: None of the chains can be simulated, the address cannot be had, or the layer
            cannot be written.
    """
    if registry_out is not None:
        _require_writable(registry_out)
    simulations = simulate(chains, speed=speed, backlog=backlog, began=time.time())
    if not simulations:
        raise InputError("devnet: none of the registry's live chains can be simulated")
    async with serving(simulations, host=host, port=port) as url:
        if registry_out is not None:
            _write(registry_out, registry_overlay(chains, simulations, url, speed=speed))
        log.info("devnet url=%s chains=%s speed=%s", url, ",".join(simulations), speed)
        on_ready(url)
        await grow(simulations, time.time)


def simulate(
    chains: Iterable[Chain], *, speed: float, backlog: int, began: float, seed: int = 7
) -> dict[str, Simulation]:
    """The live chains of which a devnet exists, by name, each with its backlog made."""
    families = lookup.names("devnet")
    simulations: dict[str, Simulation] = {}
    for chain in chains:
        if chain.status != "live":
            continue
        if chain.family not in families:
            log.warning("not simulated chain=%s family=%s", chain.name, chain.family)
            continue
        family = lookup.module("devnet", chain.family)
        interval = 60 / (chain.blocks_per_minute * speed)
        simulations[chain.name] = family.simulate(
            chain, seed=seed, began=began, interval=interval, backlog=backlog
        )
    return simulations


@asynccontextmanager
async def serving(
    simulations: Mapping[str, Simulation], *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[str]:
    """Answer for the simulations while inside; the address, without a slash at its end."""
    app = web.Application()
    app[_SIMULATIONS] = simulations
    app.router.add_route("*", "/{chain}", _answer)
    app.router.add_route("*", "/{chain}/{rest:.*}", _answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise InputError(f"devnet: cannot listen on {host}:{port}: {error.strerror}") from error
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def grow(simulations: Mapping[str, Simulation], clock: Callable[[], float]) -> None:
    """Keep each chain at the head that is due, for ever; answers are given in between."""
    while True:
        for simulation in simulations.values():
            missing = simulation.due(clock()) - simulation.head
            for _ in range(min(missing, _BLOCKS_PER_TURN)):
                simulation.grow()
                await asyncio.sleep(0)
        await asyncio.sleep(_TICK_SECONDS)


async def _answer(request: web.Request) -> web.StreamResponse:
    simulations = request.app[_SIMULATIONS]
    simulation = simulations.get(request.match_info["chain"])
    if simulation is None:
        raise web.HTTPNotFound(text=f"the devnet has {', '.join(simulations)}")
    return await simulation.answer(request)


def _require_writable(path: Path) -> None:
    """Make sure, before half a minute's work, that the layer can be written in the end."""
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise InputError(f"{path} cannot be written (expected a file in a folder that is there)")


def _write(path: Path, overlay: Mapping[str, object]) -> None:
    """Write the layer so that a reader sees all of it or none."""
    unfinished = path.with_name(path.name + ".part")
    text = "# The chains of a running `chainflow devnet`; gone when it ends.\n"
    unfinished.write_text(text + yaml.safe_dump(overlay, sort_keys=False))
    unfinished.replace(path)
