"""What a block holds, as rows: its transactions and its events, in the order they happened."""

from __future__ import annotations

from hashlib import sha256
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec
import pyarrow as pa

from chainflow.datasets._rows import Rows, owned, pc, rows
from chainflow.wire.cosmos_columns import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chainflow.datasets._rows import Array
    from chainflow.types import RawBlock
    from chainflow.wire.cosmos import TxResult

T = TypeVar("T")


class Sent(NamedTuple):
    """A transaction's bytes and its result, at its place in the block."""

    place: int
    raw: bytes
    result: TxResult


class Attribute(msgspec.Struct, gc=False):
    """One fact of an event, as column `attributes` has it."""

    key: str | None
    value: str | None


_attributes = msgspec.json.Decoder(list[list[Attribute]])


def transactions(blocks: Sequence[RawBlock]) -> Rows[Sent]:
    """Every transaction of the blocks."""
    return rows(blocks, _transactions)


def events(blocks: Sequence[RawBlock]) -> tuple[Rows[int], dict[str, Array]]:
    """Every event of the blocks: whose it is, and by column what `wire.cosmos_columns` has of it.

    `Rows.items` are the positions in the block; `transaction_hash` is beside the columns.
    """
    batches = [_fetched(block, block.payload.events) for block in blocks]
    counts = [batch.num_rows for batch in batches]
    places = list(chain.from_iterable(map(range, counts)))
    found = pa.Table.from_batches(batches, SCHEMA)
    said = {name: found[name].combine_chunks() for name in found.column_names}
    own = Rows(blocks, places, owned(counts))
    return own, {**said, "transaction_hash": _hashes(own, said["transaction_index"])}


def attributes(events: pa.Table) -> list[list[Attribute]]:
    """What stands in column `attributes` of rows of dataset `events`."""
    texts: list[Any] = events["attributes"].to_pylist()
    return _attributes.decode(f"[{','.join(texts)}]")


def transaction_hash(raw: bytes) -> str:
    """A transaction's hash, as the chain's own tools write it."""
    return sha256(raw).hexdigest().upper()


def json(value: object) -> str:
    """JSON text of it."""
    return msgspec.json.encode(value).decode()


def _transactions(block: RawBlock) -> list[Sent]:
    results = _fetched(block, block.payload.results).txs_results or ()
    sent = block.payload.block.data.txs or ()
    return [Sent(i, raw, result) for i, (raw, result) in enumerate(zip(sent, results, strict=True))]


def _hashes(found: Rows[int], transaction_index: Array) -> Array:
    """The hash of the transaction that each event is of; null for the block's own."""
    sent = [block.payload.block.data.txs or () for block in found.blocks]
    known = pa.array([transaction_hash(raw) for raws in sent for raw in raws], pa.string())
    firsts = pa.array(accumulate(map(len, sent), initial=0), pa.int64())
    of_block = firsts.take(pa.array(found.owners, pa.int64()))
    return known.take(pc.add(of_block, transaction_index))


def _fetched(block: RawBlock, part: T | None) -> T:
    if part is None:
        raise ValueError(f"height {block.height} was fetched without its results")
    return part
