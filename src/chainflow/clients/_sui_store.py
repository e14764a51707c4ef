"""A checkpoint store: one file a checkpoint, `{sequence number}.binpb.zst`, behind any HTTP server.

Source: sui-indexer-alt-framework, ingestion/store_client.rs (paths, the watermark's form).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import zstandard

from chainflow.clients import _refusals as refusals
from chainflow.errors import (
    AnswerTooLarge,
    HeightPruned,
    MalformedAnswer,
    NodeUnavailable,
    NotYet,
    RateLimited,
    Unsupported,
)
from chainflow.wire import sui as wire

if TYPE_CHECKING:
    from chainflow.clients._http import Node, Reply

WATERMARK = "_metadata/watermark/checkpoint_blob.json"
# Source: docs.sui.io, "Querying Historical Data with Archival Service".
ARCHIVAL_SERVICE = (
    "an archival service, a line of `endpoints:` such as grpcs://archive.mainnet.sui.io:443 "
    "(testnet: grpcs://archive.testnet.sui.io:443) or your provider's"
)
ARCHIVE = (
    "Sui's public store keeps 30 days over HTTPS; all of history is in the requester-pays bucket "
    f"gs://mysten-mainnet-checkpoints-use4 and at {ARCHIVAL_SERVICE}"
)
_OK, _NOT_FOUND = 200, 404
_MAGIC = b"\x28\xb5\x2f\xfd"
# Larger windows than zstd's own default bound are a bomb, not a checkpoint.
_WINDOW_BYTES = 2**27
# Most checkpoints are smaller; memory for the largest there may be costs more than unpacking them.
_PIECE_BYTES = 2**18
# So close below the head, a file is late or a cache holds an old 404; it was not dropped.
_RECENT = 1_000


class _Watermark(msgspec.Struct):
    checkpoint_hi_inclusive: int


@dataclass(slots=True)
class Store:
    """One store; `known` is a checkpoint that it may have: the start of a search for the head."""

    node: Node
    known: int
    _unpacker: zstandard.ZstdDecompressor = field(
        default_factory=lambda: zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES)
    )

    async def head(self) -> int:
        """The newest checkpoint: what the store's watermark says, or a search where it has none.

        Raises:
            Unsupported: It has neither a watermark nor the checkpoint to search from.
        """
        reply = await self.node.get(WATERMARK)
        if reply.status != _NOT_FOUND:
            return self._watermark(reply)
        if not await self._has(self.known):
            raise Unsupported(
                f"the store has no {WATERMARK} and no checkpoint {self.known} to search its newest "
                "from; add a grpc(s):// endpoint, or set `start` to a checkpoint that it has"
            )
        self.known = await self._search(self.known)
        return self.known

    async def chain_id(self) -> str | None:
        """The digest of checkpoint 0; None where the store does not reach back so far."""
        reply = await self.node.get(_path(0))
        if reply.status == _NOT_FOUND:
            return None
        return wire.summary_digest(wire.message(self._body(reply)))

    async def checkpoint(self, height: int, *, objects: bool) -> tuple[Any, int]:
        """A checkpoint's message, and how many bytes its file holds, unpacked.

        Nothing is awaited from its unpacking on, so that one at a time is unpacked and read.

        Raises:
            NotYet: The store does not have it yet.
            HeightPruned: The store has dropped it.
        """
        del objects  # a file is whole
        reply = await self.node.get(_path(height))
        if reply.status == _NOT_FOUND:
            raise await self._missing(height)
        body = self._body(reply)
        return wire.message(body), len(body)

    async def pruned(self, height: int, *, objects: bool) -> HeightPruned | None:
        """None: a file that is there is whole."""

    async def _missing(self, height: int) -> NotYet | HeightPruned:
        try:
            head = await self.head()
        except Unsupported:
            return NotYet("404, and the store does not say how far it reaches")
        if height > head - _RECENT:
            return NotYet(f"404; the newest checkpoint is {head}")
        return HeightPruned(f"404, far below the newest checkpoint {head}: dropped. {ARCHIVE}")

    def _watermark(self, reply: Reply) -> int:
        self._demand_ok(reply)
        try:
            return msgspec.json.decode(reply.body, type=_Watermark).checkpoint_hi_inclusive
        except msgspec.DecodeError:
            text = f"its watermark is none: {self.node.excerpt(reply.body)}"
            raise NodeUnavailable(text) from None

    def _body(self, reply: Reply) -> bytes:
        """What a file holds, decompressed within `Limits.body_bytes`."""
        self._demand_ok(reply)
        if not reply.body.startswith(_MAGIC):
            raise NodeUnavailable(f"no zstd file, but: {self.node.excerpt(reply.body)}")
        most = self.node.limits.body_bytes
        pieces, size = [], 0
        try:
            with self._unpacker.stream_reader(reply.body) as stream:
                while size <= most and (piece := stream.read(_PIECE_BYTES)):
                    pieces.append(piece)
                    size += len(piece)
        except zstandard.ZstdError as error:
            raise MalformedAnswer(f"its zstd cannot be read: {error}") from error
        if size > most:
            raise AnswerTooLarge(f"the checkpoint is larger than {most} bytes")
        return b"".join(pieces)

    def _demand_ok(self, reply: Reply) -> None:
        if reply.status == _OK:
            return
        text = f"HTTP {reply.status}: {self.node.excerpt(reply.body)}"
        kind = refusals.by_status(reply.status)
        if kind is RateLimited:
            raise RateLimited(text, reply.retry_after_seconds)
        raise kind(text)

    async def _has(self, height: int) -> bool:
        status = await self.node.head(_path(height))
        if status not in (_OK, _NOT_FOUND):
            raise refusals.by_status(status)(f"HTTP {status} for checkpoint {height}")
        return status == _OK

    async def _search(self, low: int) -> int:
        """The newest checkpoint from `low` up, which is there: leaps of 1, 2, 4, then halves."""
        leap = 1
        while await self._has(low + leap):
            low += leap
            leap *= 2
        high = low + leap
        while high - low > 1:
            middle = (low + high) // 2
            if await self._has(middle):
                low = middle
            else:
                high = middle
        return low


def _path(height: int) -> str:
    return f"{height}.binpb.zst"
