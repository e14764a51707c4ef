"""Local nodes that look like the chains of a registry, for demos, tests and benchmarks.

A family joins by one file, devnet/<family>.py, with a function

    simulate(chain, *, seed, began, interval, backlog) -> Simulation

as evm.py has it; the server finds it by the family's word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiohttp import web

    from chainflow.types import Chain


class Simulation(Protocol):
    """One simulated chain: its heights, and its node's answers."""

    @property
    def first(self) -> int:
        """Lowest height it serves."""

    @property
    def head(self) -> int:
        """Newest height it serves."""

    @property
    def finality_blocks(self) -> int:
        """How far its finalized height trails the head."""

    def due(self, now: float) -> int:
        """The head it should have at that Unix time."""

    def grow(self) -> None:
        """Make the next block."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer as the family's node would; the path after the chain's name is the node's own."""


def registry_overlay(
    chains: Iterable[Chain], simulations: Mapping[str, Simulation], base_url: str, *, speed: float
) -> dict[str, Any]:
    """A layer for a registry of these chains that sends them to a devnet and paces them as it runs.

    A chain that is not simulated is retired in it, so that no run reaches for a real node.
    """
    return {
        "chains": {
            chain.name: _entry(chain, simulations[chain.name], base_url, speed)
            if chain.name in simulations
            else {"status": "retired"}
            for chain in chains
        }
    }


def _entry(chain: Chain, simulation: Simulation, base_url: str, speed: float) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "env": "devnet",
        "endpoints": [f"{base_url}/{chain.name}"],
        "start": simulation.first,
        "blocks_per_minute": round(chain.blocks_per_minute * speed, 3),
        "schedule_minutes": 1,
    }
    if chain.confirmations:
        # As deep as on the real chain could mean below the first height.
        depth = min(chain.confirmations, max(1, simulation.finality_blocks))
        entry["finality"] = {"confirmations": depth}
    return entry
