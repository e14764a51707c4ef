"""What the tables of every family share: the block's columns, and rows that know their block."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pyarrow as pa
import pyarrow.compute

from chainflow.errors import MalformedAnswer
from chainflow.types import Column

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chainflow.types import RawBlock

T = TypeVar("T")

# They take plain numbers and texts beside arrays, which the stubs of pyarrow do not know.
pc: Any = pyarrow.compute
Array = Any

ARROW_TYPES: dict[str, pa.DataType] = {
    "bigint": pa.int64(),
    "text": pa.string(),
    "numeric": pa.string(),
    "timestamptz": pa.timestamp("ms", tz="UTC"),
    "boolean": pa.bool_(),
    "jsonb": pa.string(),
}


def block_columns(height: str) -> tuple[Column, ...]:
    """What every table says of a row's block first; the height under its family's name."""
    return (
        Column(height, "bigint", required=True),
        Column("block_hash", "text", required=True),
        Column("block_timestamp", "timestamptz", required=True),
    )


# The last millisecond of the year 9999. PostgreSQL holds later times, Python's datetime does not.
_LAST_TIME_MS = 253_402_300_799_999


@dataclass(frozen=True, slots=True)
class Rows(Generic[T]):
    """Things of one kind in the chain's order; `owners[i]` is the position of item i's block."""

    blocks: Sequence[RawBlock]
    items: Sequence[T]
    owners: Sequence[int]

    def __len__(self) -> int:
        return len(self.items)

    def height(self, row: int) -> int:
        """Height of the block an item stands in."""
        return self.blocks[self.owners[row]].height

    def take(self, positions: Sequence[int]) -> Rows[T]:
        """The items at those positions; a position may repeat."""
        return Rows(
            blocks=self.blocks,
            items=[self.items[i] for i in positions],
            owners=[self.owners[i] for i in positions],
        )

    def block_arrays(self, height: str) -> dict[str, pa.Array[Any]]:
        """`block_columns(height)` of every item, from the envelope of its block.

        Raises:
            MalformedAnswer: A block's time is no time before the year 10000.
        """
        for block in self.blocks:
            if not 0 <= block.time_ms <= _LAST_TIME_MS:
                raise MalformedAnswer(
                    f"height {block.height}: block_timestamp: expected a time before the year "
                    f"10000, got {block.time_ms} ms"
                )
        owners = pa.array(self.owners, pa.int64())
        heights = pa.array([block.height for block in self.blocks], pa.int64())
        hashes = pa.array([block.hash for block in self.blocks], pa.string())
        times = pa.array([block.time_ms for block in self.blocks], pa.int64())
        return {
            height: heights.take(owners),
            "block_hash": hashes.take(owners),
            "block_timestamp": times.cast(ARROW_TYPES["timestamptz"]).take(owners),
        }


def rows(blocks: Sequence[RawBlock], items: Callable[[RawBlock], Sequence[T]]) -> Rows[T]:
    """What `items` finds in each block, in the order of the blocks."""
    parts = [items(block) for block in blocks]
    return Rows(blocks, list(chain.from_iterable(parts)), owned([len(part) for part in parts]))


def owned(counts: Sequence[int]) -> list[int]:
    """`Rows.owners` of so many items in each block."""
    return list(chain.from_iterable(repeat(i, count) for i, count in enumerate(counts)))


def joined(
    blocks: Sequence[RawBlock], batches: Sequence[pa.RecordBatch], columns: pa.Schema
) -> tuple[Rows[int], dict[str, Array]]:
    """What a batch of each block says, in the order of the blocks: whose it is, and by column."""
    found = pa.Table.from_batches(batches, columns).combine_chunks()
    own = Rows(blocks, range(found.num_rows), owned([batch.num_rows for batch in batches]))
    # Of one chunk each, which need not be combined once more.
    whole = found.to_batches() or [pa.RecordBatch.from_pylist([], columns)]
    return own, dict(zip(columns.names, whole[0].columns, strict=True))


def schema(columns: Sequence[Column]) -> pa.Schema:
    """The Arrow schema that `Dataset.decode` promises for those columns."""
    return pa.schema([(column.name, ARROW_TYPES[column.type]) for column in columns])
