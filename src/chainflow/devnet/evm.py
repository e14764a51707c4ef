"""Simulated EVM chains: recorded blocks first where we have some, then generated ones on top.

A generated block is a function of (chain, seed, height, parent hash, time) alone, so only the
hashes are kept for good; answers are kept, compressed, for the newest blocks asked for, and made
again when older ones are wanted.
"""

from __future__ import annotations

import random
import zlib
from collections import OrderedDict
from dataclasses import dataclass, field
from inspect import signature
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from chainflow.devnet import _evm_blocks, _evm_cctp, _evm_events, _evm_profiles, _recorded
from chainflow.devnet._evm_blocks import Made
from chainflow.devnet._evm_place import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chainflow.types import Chain

Json = Any  # whatever JSON can hold

LIGHT, HEAVY = 6, 160
_KEPT_BLOCKS = 2_000


class RpcError(Exception):
    """An error object of JSON-RPC."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def generate(
    chain_id: int,
    blocks: int,
    *,
    seed: int = 7,
    start: int = 21_000_000,
    time: int = 1_729_300_000,
    transactions: int = HEAVY,
) -> Iterator[tuple[bytes, bytes]]:
    """Blocks as heavy as mainnet's (160 transactions, 370 logs), each with its receipts, as JSON.

    What eth_getBlockByNumber(height, true) and eth_getBlockReceipts(height) answer, for consecutive
    heights from `start`, twelve seconds apart. `transactions` is how many a block has on average.
    """
    maker = _Maker(_evm_profiles.profile(chain_id), seed, transactions)
    parent = bytes(32)
    for i in range(blocks):
        seconds = time + 12.0 * i
        made = maker.make(start + i, parent, seconds, below=seconds)
        parent = made.hash
        yield made.block, made.receipts


def simulate(chain: Chain, *, seed: int, began: float, interval: float, backlog: int) -> Evm:
    """A chain that had `backlog` heights at `began` and makes one every `interval` seconds since.

    Args:
        chain: Its name finds recorded blocks, its chain_id the look of generated ones.
        seed: Another seed, another chain.
        began: Unix seconds; the backlog's blocks have times before it.
        interval: Seconds between blocks.
        backlog: How many heights are there at once, recorded ones included.
    """
    chain_id = chain.chain_id if isinstance(chain.chain_id, int) else 31337
    profile = _evm_profiles.profile(chain_id, chain.name)
    recorded = _recorded.blocks("evm", profile.name)
    first = min(recorded, default=profile.first)
    depth = round(profile.final_minutes * chain.blocks_per_minute)
    evm = Evm(
        chain_id=chain_id,
        first=first,
        began=began,
        interval=interval,
        newest_at_start=first + backlog - 1,
        finality_blocks=min(depth, backlog // 4),
        recorded=recorded,
        maker=_Maker(profile, seed, LIGHT),
    )
    for _ in range(backlog):
        evm.grow()
    return evm


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes the blocks of one chain; holds nothing but its cast."""

    profile: _evm_profiles.Profile
    seed: int
    transactions: int
    cast: _evm_events.Cast = field(init=False)

    def __post_init__(self) -> None:
        rng = self._random("cast")
        usdc = bytes.fromhex(self.profile.usdc)
        object.__setattr__(self, "cast", _evm_events.cast(rng, usdc))

    def make(self, height: int, parent: bytes, seconds: float, below: float) -> Made:
        rng = self._random(height)
        base_fee = round(self.profile.base_fee * rng.uniform(0.9, 1.1))
        bridged = tuple(_evm_cctp.deeds(self.profile, self.seed, below, seconds))
        place = Place(self.profile, self.cast, rng, height, seconds, parent, base_fee, bridged)
        return _evm_blocks.make(place, self.transactions)

    def _random(self, what: object) -> random.Random:
        return random.Random(f"{self.profile.chain_id}/{self.seed}/{what}")  # noqa: S311 - a simulation


@dataclass(slots=True)
class Evm:
    """One simulated chain that answers JSON-RPC."""

    chain_id: int
    first: int
    began: float
    interval: float
    newest_at_start: int
    finality_blocks: int
    recorded: dict[int, Made]
    maker: _Maker
    hashes: list[bytes] = field(default_factory=list)
    heights: dict[bytes, int] = field(default_factory=dict)
    kept: OrderedDict[int, tuple[bytes, bytes, list[bytes]]] = field(default_factory=OrderedDict)
    transactions: dict[bytes, int] = field(default_factory=dict)

    @property
    def head(self) -> int:
        """Newest height it serves."""
        return self.first + len(self.hashes) - 1

    @property
    def finalized(self) -> int:
        """Highest height it calls final."""
        return max(self.first, self.head - self.finality_blocks)

    def due(self, now: float) -> int:
        """The head it should have by then."""
        return self.newest_at_start + max(0, int((now - self.began) / self.interval))

    def grow(self) -> None:
        """Make the next block."""
        height = self.head + 1
        made = self._make(height)
        self.hashes.append(made.hash)
        self.heights[made.hash] = height
        self._keep(height, made)

    @property
    def tip(self) -> bytes:
        """Hash of the head."""
        return self.hashes[-1]

    async def answer(self, request: web.Request) -> web.Response:
        """Answer an HTTP request."""
        answer = self.respond(await request.read())
        return web.Response(body=answer, content_type="application/json")

    def respond(self, asked_text: bytes) -> bytes:
        """Answer one JSON-RPC request or a batch of them."""
        try:
            asked = msgspec.json.decode(asked_text)
        except msgspec.DecodeError:
            answer: Json = _error(None, -32700, "parse error")
        else:
            batch = isinstance(asked, list) and bool(asked)
            answer = [self._one(one) for one in asked] if batch else self._one(asked)
        return msgspec.json.encode(answer)

    def _one(self, asked: Json) -> dict[str, Any]:
        if not isinstance(asked, dict) or not isinstance(asked.get("method"), str):
            return _error(None, -32600, "invalid request")
        try:
            result = self._result(asked["method"], asked.get("params") or [])
        except RpcError as error:
            return _error(asked.get("id"), error.code, str(error))
        return {"jsonrpc": "2.0", "id": asked.get("id"), "result": result}

    def _result(self, name: str, params: Json) -> Json:
        method = _METHODS.get(name)
        if method is None:
            raise RpcError(-32601, f"the method {name} does not exist/is not available")
        try:
            bound = signature(method).bind(self, *params) if isinstance(params, list) else None
        except TypeError:
            bound = None
        if bound is None:
            raise RpcError(-32602, f"invalid params of {name}")
        return method(*bound.args)

    def _block(self, where: Json, full: bool = False) -> Json:
        height = self._height(where)
        if height is None:
            return None
        block = msgspec.Raw(self._answers(height)[0])
        if full:
            return block
        fields = msgspec.json.decode(block, type=dict[str, Any])
        return {**fields, "transactions": [tx["hash"] for tx in fields["transactions"]]}

    def _receipts(self, where: Json) -> Json:
        if isinstance(where, dict):
            where = where.get("blockHash", where.get("blockNumber"))
        height = self._height(where)
        return None if height is None else msgspec.Raw(self._answers(height)[1])

    def _receipt(self, transaction: str) -> Json:
        height = self.transactions.get(_bytes(transaction))
        if height is None:
            return None
        receipts = msgspec.json.decode(self._answers(height)[1])
        return next(one for one in receipts if one["transactionHash"] == transaction)

    def _height(self, where: Json) -> int | None:
        """The height that a number, tag or block hash names, if the chain has it."""
        if not isinstance(where, str):
            raise RpcError(-32602, "invalid argument 0: hex string expected")
        tags = {
            "latest": self.head,
            "pending": self.head,
            "safe": self.finalized,
            "finalized": self.finalized,
            "earliest": self.first,
        }
        if where in tags:
            return tags[where]
        if len(where) == 66:
            return self.heights.get(_bytes(where))
        try:
            height = int(where, 16)
        except ValueError:
            raise RpcError(-32602, "invalid argument 0: not a number") from None
        return height if self.first <= height <= self.head else None

    def _answers(self, height: int) -> tuple[bytes, bytes]:
        if height not in self.kept:
            self._keep(height, self._make(height))
        self.kept.move_to_end(height)
        block, receipts, _ = self.kept[height]
        return zlib.decompress(block), zlib.decompress(receipts)

    def _make(self, height: int) -> Made:
        if height in self.recorded:
            return self.recorded[height]
        parent = self.hashes[height - self.first - 1] if height > self.first else bytes(32)
        return self.maker.make(height, parent, self._time(height), below=self._time(height - 1))

    def _time(self, height: int) -> float:
        return self.began + (height - self.newest_at_start) * self.interval

    def _keep(self, height: int, made: Made) -> None:
        rows = msgspec.json.decode(made.receipts, type=list[_Hash])
        hashes = [_bytes(row.transactionHash) for row in rows]
        self.transactions.update(dict.fromkeys(hashes, height))
        self.kept[height] = (zlib.compress(made.block, 1), zlib.compress(made.receipts, 1), hashes)
        if len(self.kept) > _KEPT_BLOCKS:
            _, (_, _, forgotten) = self.kept.popitem(last=False)
            for hash_ in forgotten:
                self.transactions.pop(hash_, None)


class _Hash(msgspec.Struct):
    transactionHash: str  # noqa: N815 - the node's word


_METHODS: dict[str, Callable[..., Any]] = {
    "eth_chainId": lambda evm: hex(evm.chain_id),
    "eth_blockNumber": lambda evm: hex(evm.head),
    "eth_getBlockByNumber": Evm._block,
    "eth_getBlockByHash": Evm._block,
    "eth_getBlockReceipts": Evm._receipts,
    "eth_getTransactionReceipt": Evm._receipt,
}


def _bytes(hexadecimal: str) -> bytes:
    try:
        return bytes.fromhex(hexadecimal.removeprefix("0x"))
    except (ValueError, AttributeError):
        raise RpcError(-32602, "invalid argument 0: not a hash") from None


def _error(id_: Json, code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id_, "error": {"code": code, "message": message}}
