"""Simulated Cosmos chains: generated blocks, answered as CometBFT's RPC does.

No recorded block is among them: those we have are single ones, of other chains. A generated block
is a function of (chain, seed, height, block below, time) alone, so only hashes are kept for good;
answers are kept, compressed, for the newest blocks asked for, and made again when older ones are
wanted.
"""

from __future__ import annotations

import random
import zlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from chainflow.devnet import _cosmos_blocks, _cosmos_profiles, _cosmos_transactions
from chainflow.devnet._cosmos_blocks import BEFORE_ALL, Link, Made, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from chainflow.devnet._cosmos_profiles import Dialect, Profile
    from chainflow.types import Chain

Json = Any  # whatever JSON can hold

LIGHT, HEAVY = 4, 20
_KEPT_BLOCKS = 2_000
# CometBFT's own bounds: max_request_batch_size, and headers in an answer of `blockchain`.
_MAX_BATCH = 10
_MAX_HEADERS = 20


class RpcError(Exception):
    """An error object of JSON-RPC; CometBFT's own words stand in `data`."""

    def __init__(self, code: int, message: str, data: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.data = data


def generate(
    network: str,
    blocks: int,
    *,
    seed: int = 7,
    start: int = 75_000_000,
    time: int = 1_790_000_000,
) -> Iterator[tuple[bytes, bytes]]:
    """Heavy blocks (20 transactions, 230 events, 57 kB), with their results.

    Recorded Injective blocks of 2025 have 165 events. What `block` and `block_results` answer, as
    JSON, for consecutive heights from `start`, a second apart.
    """
    profile = _cosmos_profiles.profile(network)
    maker = _Maker(profile, seed, HEAVY)
    below = BEFORE_ALL
    for i in range(blocks):
        made = maker.make(start + i, below, float(time + i), profile.dialects[-1])
        below = made.link
        yield made.block, made.results


def simulate(chain: Chain, *, seed: int, began: float, interval: float, backlog: int) -> Cosmos:
    """A chain that had `backlog` heights at `began` and makes one every `interval` seconds since.

    Args:
        chain: Its chain_id finds the look of its blocks.
        seed: Another seed, another chain.
        began: Unix seconds; the backlog's blocks have times before it.
        interval: Seconds between blocks.
        backlog: How many heights are there at once.
    """
    profile = _cosmos_profiles.profile(str(chain.chain_id or chain.name))
    cosmos = Cosmos(
        first=profile.first,
        began=began,
        interval=interval,
        backlog=backlog,
        maker=_Maker(profile, seed, LIGHT),
    )
    for _ in range(backlog):
        cosmos.grow()
    return cosmos


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes the blocks of one chain; holds nothing but its cast."""

    profile: Profile
    seed: int
    transactions: int
    people: list[str] = field(init=False)

    def __post_init__(self) -> None:
        people = _cosmos_transactions.cast(self.profile, self._random("cast"))
        object.__setattr__(self, "people", people)

    def make(self, height: int, below: Link, seconds: float, dialect: Dialect) -> Made:
        rng = self._random(height)
        place = Place(
            self.profile, self.people, rng, dialect, height, round(seconds * 10**9), below
        )
        return _cosmos_blocks.make(place, self.transactions)

    def _random(self, what: object) -> random.Random:
        return random.Random(f"{self.profile.network}/{self.seed}/{what}")  # noqa: S311 - a simulation


@dataclass(slots=True)
class Cosmos:
    """One simulated chain that answers as a CometBFT node."""

    first: int
    began: float
    interval: float
    backlog: int
    maker: _Maker
    links: list[Link] = field(default_factory=list)
    kept: OrderedDict[int, tuple[bytes, bytes]] = field(default_factory=OrderedDict)

    @property
    def head(self) -> int:
        """Newest height it serves."""
        return self.first + len(self.links) - 1

    @property
    def finality_blocks(self) -> int:
        """None: a block is final when it exists."""
        return 0

    def due(self, now: float) -> int:
        """The head it should have by then."""
        return self.first + self.backlog - 1 + max(0, int((now - self.began) / self.interval))

    def grow(self) -> None:
        """Make the next block."""
        height = self.head + 1
        made = self._make(height)
        self.links.append(made.link)
        self._keep(height, made)

    async def answer(self, request: web.Request) -> web.Response:
        """Answer an HTTP request: JSON-RPC by POST, or a method's name and arguments by GET."""
        if request.method == "POST":
            answer = self.respond(await request.read())
            return web.Response(body=answer, content_type="application/json")
        method = request.match_info.get("rest", "").strip("/")
        params = {name: value.strip('"') for name, value in request.query.items()}
        said = self._one({"id": -1, "method": method, "params": params})
        status = 500 if "error" in said else 200
        body = msgspec.json.encode(said)
        return web.Response(body=body, status=status, content_type="application/json")

    def respond(self, asked_text: bytes) -> bytes:
        """Answer one JSON-RPC request or a batch of them."""
        try:
            asked = msgspec.json.decode(asked_text)
        except msgspec.DecodeError:
            return msgspec.json.encode(_error(None, RpcError(-32700, "Parse error")))
        if not isinstance(asked, list):
            return msgspec.json.encode(self._one(asked))
        if len(asked) > _MAX_BATCH:
            words = f"batch request exceeds maximum ({_MAX_BATCH}) allowed number of requests"
            return msgspec.json.encode(_error(None, RpcError(-32600, "Invalid Request", words)))
        return msgspec.json.encode([self._one(one) for one in asked])

    def _one(self, asked: Json) -> dict[str, Any]:
        if not isinstance(asked, dict) or not isinstance(asked.get("method"), str):
            return _error(None, RpcError(-32600, "Invalid Request"))
        id_ = asked.get("id")
        method = _METHODS.get(asked["method"])
        if method is None:
            return _error(id_, RpcError(-32601, "Method not found"))
        params = asked.get("params") or {}
        if not isinstance(params, dict):
            return _error(id_, RpcError(-32602, "Invalid params", "named ones are served here"))
        try:
            return {"jsonrpc": "2.0", "id": id_, "result": method(self, params)}
        except RpcError as error:
            return _error(id_, error)

    def _status(self, _: Mapping[str, Json]) -> Json:
        network = self.maker.profile.network
        return {
            "node_info": {"network": network, "version": "0.38.17", "moniker": "chainflow-devnet"},
            "sync_info": {
                "latest_block_hash": self.links[-1].hash.hex().upper(),
                "latest_block_height": str(self.head),
                "earliest_block_hash": self.links[0].hash.hex().upper(),
                "earliest_block_height": str(self.first),
                "catching_up": False,
            },
        }

    def _block(self, params: Mapping[str, Json]) -> Json:
        return msgspec.Raw(self._answers(self._height(params))[0])

    def _results(self, params: Mapping[str, Json]) -> Json:
        return msgspec.Raw(self._answers(self._height(params))[1])

    def _blockchain(self, params: Mapping[str, Json]) -> Json:
        """Headers, the newest first."""
        high = min(_number(params.get("maxHeight", 0)) or self.head, self.head)
        low = max(_number(params.get("minHeight", 0)), self.first, high - _MAX_HEADERS + 1)
        metas = []
        for height in range(high, low - 1, -1):
            text = self._answers(height)[0]
            said = msgspec.json.decode(text)
            metas.append(
                {
                    "block_id": said["block_id"],
                    "block_size": str(len(text)),
                    "header": said["block"]["header"],
                    "num_txs": str(len(said["block"]["data"]["txs"])),
                }
            )
        return {"last_height": str(self.head), "block_metas": metas}

    def _height(self, params: Mapping[str, Json]) -> int:
        height = _number(params["height"]) if "height" in params else self.head
        if height <= 0:
            words = f"height must be greater than 0, but got {height}"
        elif height > self.head:
            words = (
                f"height {height} must be less than or equal to the current blockchain height "
                f"{self.head}"
            )
        elif height < self.first:
            words = f"height {height} is not available, lowest height is {self.first}"
        else:
            return height
        raise RpcError(-32603, "Internal error", words)

    def _answers(self, height: int) -> tuple[bytes, bytes]:
        if height not in self.kept:
            self._keep(height, self._make(height))
        self.kept.move_to_end(height)
        block, results = self.kept[height]
        return zlib.decompress(block), zlib.decompress(results)

    def _make(self, height: int) -> Made:
        place = height - self.first
        below = self.links[place - 1] if place else BEFORE_ALL
        seconds = self.began + (place - self.backlog + 1) * self.interval
        dialects = self.maker.profile.dialects
        era = min(place * len(dialects) // max(1, self.backlog), len(dialects) - 1)
        return self.maker.make(height, below, seconds, dialects[era])

    def _keep(self, height: int, made: Made) -> None:
        self.kept[height] = (zlib.compress(made.block, 1), zlib.compress(made.results, 1))
        if len(self.kept) > _KEPT_BLOCKS:
            self.kept.popitem(last=False)


_METHODS: dict[str, Callable[[Cosmos, Mapping[str, Json]], Json]] = {
    "status": Cosmos._status,
    "block": Cosmos._block,
    "block_results": Cosmos._results,
    "blockchain": Cosmos._blockchain,
    "health": lambda *_: {},
}


def _number(given: Json) -> int:
    try:
        return int(given)
    except (TypeError, ValueError):
        raise RpcError(-32602, "Invalid params", f"not a height: {given!r}") from None


def _error(id_: Json, error: RpcError) -> dict[str, Any]:
    said = {"code": error.code, "message": str(error), "data": error.data}
    return {"jsonrpc": "2.0", "id": id_, "error": said}
