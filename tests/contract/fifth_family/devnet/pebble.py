"""Simulated pebble chains."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from aiohttp import web

from chainflow.types import Chain


def simulate(chain: Chain, *, seed: int, began: float, interval: float, backlog: int) -> Pebble:
    """A chain with `backlog` heights at `began`, and one more every `interval` seconds."""
    del seed
    return Pebble(str(chain.chain_id), began, interval, backlog - 1)


@dataclass(slots=True)
class Pebble:
    """One simulated chain: its heights, and its node's answers."""

    chain_id: str
    began: float
    interval: float
    head: int
    first: int = 0
    finality_blocks: int = 0

    def due(self, now: float) -> int:
        """The head it should have at that Unix time."""
        return self.head + int((now - self.began) / self.interval)

    def grow(self) -> None:
        """Make the next block."""
        self.head += 1

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer as a pebble node would."""
        way, _, height = request.match_info.get("rest", "").partition("/")
        if way == "head":
            return web.json_response({"chain": self.chain_id, "height": self.head})
        if way != "blocks" or not 0 <= int(height) <= self.head:
            raise web.HTTPNotFound
        return web.json_response(self._block(int(height)))

    def _block(self, height: int) -> dict[str, object]:
        return {
            "hash": _hash(height),
            "parent": _hash(height - 1),
            "time_ms": int(1000 * (self.began + self.interval * (height - self.head))),
            "mood": "calm" if height % 2 else None,
        }


def _hash(height: int) -> str:
    return sha256(str(height).encode()).hexdigest()
