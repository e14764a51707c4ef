"""What blocks hold, as rows: their transactions, the receipts of these, their logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from chainflow.datasets._extra import extras
from chainflow.datasets._rows import Rows, owned, pc
from chainflow.wire.evm_columns import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chainflow.datasets._rows import Array
    from chainflow.types import RawBlock

Said = dict[str, Any]
"""The node's text by attribute of `wire.evm`'s struct, an array each."""


def joined(
    blocks: Sequence[RawBlock], what: Literal["transactions", "receipts", "logs"]
) -> tuple[Rows[int], Said]:
    """Everything of a kind that the blocks hold: whose it is, and what the node says of it."""
    batches: list[pa.RecordBatch] = [getattr(block.payload, what) for block in blocks]
    found = pa.Table.from_batches(batches, SCHEMAS[what]).combine_chunks()
    rows = Rows(blocks, range(found.num_rows), owned([batch.num_rows for batch in batches]))
    return rows, {name: found[name].combine_chunks() for name in found.column_names}


def block_timestamps(found: Rows[Any]) -> Array:
    """The node's timestamp of the block of every row, as hex text."""
    times = pa.array([block.payload.block.timestamp for block in found.blocks], pa.string())
    return times.take(pa.array(found.owners, pa.int64()))


def contradictions(said: Array, held: Array) -> dict[int, str]:
    """By row, what the node says where it is not what the row holds already."""
    differ = pc.and_(pc.is_valid(said), pc.fill_null(pc.not_equal(said, held), True))
    return {row: said[row].as_py() for row in pc.indices_nonzero(differ).to_pylist()}


def with_unknown(unknown: Array, unkept: Mapping[str, Mapping[int, object]]) -> list[str | None]:
    """The column `extra`: as `extras`, of an array."""
    none = unknown.null_count == len(unknown)
    return extras([None] * len(unknown) if none else unknown.to_pylist(), unkept)
