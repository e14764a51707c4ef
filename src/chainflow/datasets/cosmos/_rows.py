"""What a block holds, as rows: its transactions and its events, in the order they happened."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, TypeVar

import msgspec
import pyarrow as pa

from chainflow.datasets._rows import Rows, owned, pc, rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chainflow.datasets._rows import Array
    from chainflow.types import RawBlock
    from chainflow.wire.cosmos import TxResult
    from chainflow.wire.cosmos_columns import Events

T = TypeVar("T")


class Attribute(msgspec.Struct, gc=False):
    """One fact of an event, as column `attributes` has it."""

    key: str | None
    value: str | None


_attributes = msgspec.json.Decoder(list[list[Attribute]])


def transactions(blocks: Sequence[RawBlock]) -> tuple[list[bytes], Rows[TxResult]]:
    """The bytes of every transaction of the blocks, and its result."""
    sent = [raw for block in blocks for raw in block.payload.block.data.txs or ()]
    return sent, rows(blocks, _results)


def events(blocks: Sequence[RawBlock]) -> tuple[Rows[int], dict[str, Array]]:
    """Every event of the blocks: whose it is, and by column what is known of it.

    `Rows.items` are the positions in the block.
    """
    told = [_fetched(block, block.payload.events) for block in blocks]
    counts = [len(one.types) for one in told]
    parts = [part for one in told for part in one.parts]
    part = pa.array(owned([count for _, _, count in parts]), pa.int64())
    of_parts = {
        "source": pa.array([source for source, _, _ in parts], pa.string()),
        "transaction_index": pa.array([place for _, place, _ in parts], pa.int64()),
        "transaction_hash": hashes(blocks).take(_places(blocks, told)),
    }
    own = Rows(blocks, list(chain.from_iterable(map(range, counts))), owned(counts))
    return own, {
        **{name: values.take(part) for name, values in of_parts.items()},
        "event_type": _joined([one.types for one in told]),
        "attributes": _joined([one.attributes for one in told]),
        "extra": _joined([one.extra for one in told]),
    }


def hashes(blocks: Sequence[RawBlock]) -> Array:
    """The hash of every transaction, as the chain's own tools write it."""
    held = list(chain.from_iterable(block.payload.hashes for block in blocks))
    letters = pa.py_buffer(b"".join(held).hex().upper().encode())
    return pa.Array.from_buffers(pa.binary(64), len(held), [None, letters]).cast(pa.string())


def attributes(events: pa.Table) -> list[list[Attribute]]:
    """What stands in column `attributes` of rows of dataset `events`."""
    texts: Array = events["attributes"].combine_chunks()
    one = pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts)
    return _attributes.decode(b"[%b]" % pc.binary_join(one, ",").cast(pa.binary())[0].as_py())


def json(value: object) -> str:
    """JSON text of it."""
    return msgspec.json.encode(value).decode()


def _results(block: RawBlock) -> Sequence[TxResult]:
    results: Sequence[TxResult] = _fetched(block, block.payload.results).txs_results or ()
    if len(results) != len(block.payload.hashes):
        raise ValueError(f"height {block.height} has not one result for each transaction")
    return results


def _places(blocks: Sequence[RawBlock], told: Sequence[Events]) -> Array:
    """By part of a block, where its transaction stands among all; null for the block's own."""
    first = 0
    found: list[int | None] = []
    for block, events in zip(blocks, told, strict=True):
        found += [None if place is None else first + place for _, place, _ in events.parts]
        first += len(block.payload.hashes)
    return pa.array(found, pa.int64())


def _joined(parts: Sequence[Array]) -> Array:
    return pa.chunked_array(parts, pa.string()).combine_chunks()


def _fetched(block: RawBlock, part: T | None) -> T:
    if part is None:
        raise ValueError(f"height {block.height} was fetched without its results")
    return part
