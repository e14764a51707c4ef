"""Simulated Sui networks: a checkpoint store whose checkpoints are made up, with right digests.

A checkpoint is a function of (chain, seed, height, what stands below, time) alone, so only what the
next one must know of each is kept for good; the newest files asked for are kept, too.
"""

from __future__ import annotations

import random
import re
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from chainflow.devnet import _sui_checkpoints as checkpoints
from chainflow.devnet._sui_checkpoints import Link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chainflow.types import Chain

LIGHT, HEAVY = 3, 12
_FIRST = 300_000_000
_USERS = 24
_KEPT_FILES = 2_000
_WATERMARK = "_metadata/watermark/checkpoint_blob.json"
_NOTHING_BELOW = (0, 0, 0, 0)


def generate(
    blocks: int,
    *,
    seed: int = 7,
    start: int = 300_000_000,
    time: float = 1_795_000_000.0,
    transactions: int = HEAVY,
) -> Iterator[bytes]:
    """Files of consecutive checkpoints (ten transactions, 19 kB unpacked), four a second.

    `transactions` is how many users send at most; at least half as many are sent.
    """
    maker = _Maker("bench", seed, transactions)
    below = Link(start - 1, None, 10 * start, _NOTHING_BELOW)
    for i in range(blocks):
        below, body = maker.make(below, time + i / 4)
        yield checkpoints.compressed(body)


def simulate(chain: Chain, *, seed: int, began: float, interval: float, backlog: int) -> Sui:
    """A network that had `backlog` checkpoints at `began` and makes one every `interval` seconds.

    Args:
        chain: Its name makes another network.
        seed: Another seed, another network.
        began: Unix seconds; the backlog's checkpoints have times before it.
        interval: Seconds between checkpoints.
        backlog: How many checkpoints are there at once.
    """
    sui = Sui(
        first=_FIRST,
        began=began,
        interval=interval,
        newest_at_start=_FIRST + backlog - 1,
        maker=_Maker(chain.name, seed, LIGHT),
    )
    for _ in range(backlog):
        sui.grow()
    return sui


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes the checkpoints of one network; holds nothing but its cast."""

    name: str
    seed: int
    transactions: int
    cast: list[str] = field(init=False)

    def __post_init__(self) -> None:
        rng = self._random("cast")
        object.__setattr__(self, "cast", [f"0x{rng.randbytes(32).hex()}" for _ in range(_USERS)])

    def make(self, below: Link, seconds: float) -> tuple[Link, bytes]:
        rng = self._random(below.height + 1)
        return checkpoints.make(
            below, rng=rng, cast=self.cast, most=self.transactions, seconds=seconds
        )

    def _random(self, what: object) -> random.Random:
        return random.Random(f"sui/{self.name}/{self.seed}/{what}")  # noqa: S311 - a simulation


@dataclass(slots=True)
class Sui:
    """One simulated network that answers as its checkpoint store."""

    first: int
    began: float
    interval: float
    newest_at_start: int
    maker: _Maker
    links: list[Link] = field(default_factory=list)
    kept: OrderedDict[int, bytes] = field(default_factory=OrderedDict)

    @property
    def head(self) -> int:
        """Newest checkpoint it serves."""
        return self.first + len(self.links) - 1

    @property
    def finality_blocks(self) -> int:
        """Every checkpoint is final."""
        return 0

    def due(self, now: float) -> int:
        """The head it should have by then."""
        return self.newest_at_start + max(0, int((now - self.began) / self.interval))

    def grow(self) -> None:
        """Make the next checkpoint."""
        link, body = self._make(self.head + 1)
        self.links.append(link)
        self._keep(link.height, body)

    async def answer(self, request: web.Request) -> web.Response:
        """Answer an HTTP request as a bucket would."""
        path = request.match_info.get("rest", "")
        if path == _WATERMARK:
            return web.json_response({"checkpoint_hi_inclusive": self.head})
        named = re.fullmatch(r"(\d{1,18})\.binpb\.zst", path)
        height = int(named[1]) if named else -1
        if not self.first <= height <= self.head:
            raise web.HTTPNotFound(text="<Error><Code>NoSuchKey</Code></Error>")
        return web.Response(body=self.file(height), content_type="application/octet-stream")

    def file(self, height: int) -> bytes:
        """The store's file of a checkpoint that is there."""
        if height not in self.kept:
            self._keep(height, self._make(height)[1])
        self.kept.move_to_end(height)
        return self.kept[height]

    def _make(self, height: int) -> tuple[Link, bytes]:
        place = height - self.first
        nothing = Link(height - 1, None, 10 * height, _NOTHING_BELOW)
        below = self.links[place - 1] if place else nothing
        seconds = self.began + (height - self.newest_at_start) * self.interval
        return self.maker.make(below, seconds)

    def _keep(self, height: int, body: bytes) -> None:
        self.kept[height] = checkpoints.compressed(body)
        if len(self.kept) > _KEPT_FILES:
            self.kept.popitem(last=False)
