"""Simulated Tron networks: the real genesis block, then generated blocks from some height on.

A generated block is a function of (chain, seed, height, parent id, time) alone, so only the ids are
kept for good; answers are kept, compressed, for the newest blocks asked for, and made again when
older ones are wanted.
"""

from __future__ import annotations

import random
import zlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from chainflow.devnet import _tron_blocks, _tron_contracts
from chainflow.devnet._tron_blocks import Made, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chainflow.types import Chain

Json = Any  # whatever JSON can hold

LIGHT, HEAVY = 8, 250
FIRST = 78_000_000
FINALITY_BLOCKS = 19  # more than two thirds of 27 producers have built upon it
MOST_BLOCKS = 100
_KEPT_BLOCKS = 2_000


def generate(
    chain_id: int, blocks: int, *, seed: int = 7, start: int = FIRST, time: int = 1_790_000_000
) -> Iterator[tuple[bytes, bytes]]:
    """Blocks as heavy as the main network's (250 transactions), each with its infos, as JSON.

    What wallet/getblockbynum and wallet/gettransactioninfobyblocknum answer, for consecutive
    heights from `start`, three seconds apart.
    """
    maker = _Maker(str(chain_id), seed, HEAVY)
    parent = (start - 1).to_bytes(8, "big") + bytes(24)
    for i in range(blocks):
        made = maker.make(start + i, parent, time + 3.0 * i)
        parent = made.hash
        yield made.block, made.infos


def simulate(chain: Chain, *, seed: int, began: float, interval: float, backlog: int) -> Tron:
    """A chain that had `backlog` heights at `began` and makes one every `interval` seconds since.

    Its chain id is that of Tron's main network, whatever the entry says: it follows from a genesis
    block, and only that of the main network is here.

    Args:
        chain: Its name makes another chain of it.
        seed: Another seed, another chain.
        began: Unix seconds; the backlog's blocks have times before it.
        interval: Seconds between blocks.
        backlog: How many heights are there at once.
    """
    tron = Tron(
        began=began,
        interval=interval,
        newest_at_start=FIRST + backlog - 1,
        finality_blocks=min(FINALITY_BLOCKS, backlog // 4),
        maker=_Maker(chain.name, seed, LIGHT),
    )
    for _ in range(backlog):
        tron.grow()
    return tron


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes the blocks of one chain; holds nothing but its cast."""

    name: str
    seed: int
    transactions: int
    cast: _tron_contracts.Cast = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cast", _tron_contracts.cast(self._random("cast")))

    def make(self, height: int, parent: bytes, seconds: float) -> Made:
        place = Place(self.cast, self._random(height), height, round(seconds * 1000), parent)
        return _tron_blocks.make(place, self.transactions)

    def _random(self, what: object) -> random.Random:
        return random.Random(f"{self.name}/{self.seed}/{what}")  # noqa: S311 - a simulation


@dataclass(slots=True)
class Tron:
    """One simulated network that answers a full node's HTTP API."""

    began: float
    interval: float
    newest_at_start: int
    finality_blocks: int
    maker: _Maker
    hashes: list[bytes] = field(default_factory=list)
    kept: OrderedDict[int, tuple[bytes, bytes]] = field(default_factory=OrderedDict)
    genesis: Made = field(default_factory=_tron_blocks.genesis)

    @property
    def first(self) -> int:
        """Lowest height it serves, but for the genesis block."""
        return FIRST

    @property
    def head(self) -> int:
        """Newest height it serves."""
        return FIRST + len(self.hashes) - 1

    @property
    def solid(self) -> int:
        """Highest height it calls solidified."""
        return max(FIRST, self.head - self.finality_blocks)

    @property
    def tip(self) -> bytes:
        """Id of the head."""
        return self.hashes[-1]

    def due(self, now: float) -> int:
        """The head it should have by then."""
        return self.newest_at_start + max(0, int((now - self.began) / self.interval))

    def grow(self) -> None:
        """Make the next block."""
        height = self.head + 1
        made = self._make(height)
        self.hashes.append(made.hash)
        self._keep(height, made)

    async def answer(self, request: web.Request) -> web.Response:
        """Answer an HTTP request."""
        path = request.match_info.get("rest", request.path.lstrip("/"))
        answer = self.respond(path, await request.read())
        if answer is None:
            return web.Response(status=404, text="<h2>HTTP ERROR 404 Not Found</h2>")
        return web.Response(body=answer, content_type="application/json")

    def respond(self, path: str, asked_text: bytes) -> bytes | None:
        """The answer to a body sent to a path; None where there is nothing."""
        method = _METHODS.get(path)
        if method is None:
            return None
        try:
            asked = msgspec.json.decode(asked_text or b"{}", type=dict[str, Json])
            return method(self, asked)
        except (msgspec.DecodeError, TypeError) as error:
            return msgspec.json.encode({"Error": f"class JsonFormat$ParseException : {error}"})

    def _by_number(self, asked: Json) -> bytes:
        found = self._answers(asked.get("num", 0))
        return b"{}" if found is None else found[0]

    def _by_limit(self, asked: Json) -> bytes:
        start, stop = asked.get("startNum", 0), asked.get("endNum", 0)
        if not 0 < stop - start <= MOST_BLOCKS:
            return b"{}"
        found = [answers for height in range(start, stop) if (answers := self._answers(height))]
        return b'{"block":[%b]}' % b",".join(block for block, _ in found) if found else b"{}"

    def _infos(self, asked: Json) -> bytes:
        height = asked.get("num", 0)
        if height <= 0:
            return b"{}"
        found = self._answers(height)
        return b"[]" if found is None else found[1]

    def _answers(self, height: int) -> tuple[bytes, bytes] | None:
        """The block and its infos, if the chain has that height."""
        if height == 0:
            return self.genesis.block, self.genesis.infos
        if not FIRST <= height <= self.head:
            return None
        if height not in self.kept:
            self._keep(height, self._make(height))
        self.kept.move_to_end(height)
        block, infos = self.kept[height]
        return zlib.decompress(block), zlib.decompress(infos)

    def _make(self, height: int) -> Made:
        below = height - FIRST - 1
        parent = self.hashes[below] if below >= 0 else (FIRST - 1).to_bytes(8, "big") + bytes(24)
        seconds = self.began + (height - self.newest_at_start) * self.interval
        return self.maker.make(height, parent, seconds)

    def _keep(self, height: int, made: Made) -> None:
        self.kept[height] = (zlib.compress(made.block, 1), zlib.compress(made.infos, 1))
        if len(self.kept) > _KEPT_BLOCKS:
            self.kept.popitem(last=False)


_METHODS: dict[str, Callable[[Tron, Json], bytes]] = {
    "wallet/getnowblock": lambda tron, _: tron._by_number({"num": tron.head}),
    "walletsolidity/getnowblock": lambda tron, _: tron._by_number({"num": tron.solid}),
    "wallet/getblockbynum": Tron._by_number,
    "wallet/getblockbylimitnext": Tron._by_limit,
    "wallet/gettransactioninfobyblocknum": Tron._infos,
}
