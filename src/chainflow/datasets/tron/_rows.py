"""What blocks hold, as rows: their transactions with what became of each, logs, calls."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from chainflow.datasets import _columns, _rows
from chainflow.datasets._place import json_text
from chainflow.datasets._rows import ARROW_TYPES, pc
from chainflow.datasets.tron import _address
from chainflow.wire.tron_columns import schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chainflow.datasets._columns import Field, Values
    from chainflow.datasets._place import Place, Readers
    from chainflow.datasets._rows import Array, Rows
    from chainflow.types import RawBlock

Said = dict[str, Any]
"""What the node said, by the attributes of `wire.tron_columns.Executed`, an array each."""

TOPICS = ("topic0", "topic1", "topic2", "topic3")
_FAILED = "FAILED"


def joined(
    blocks: Sequence[RawBlock], what: Literal["transactions", "logs", "calls"]
) -> tuple[Rows[int], Said]:
    """Everything of a kind that the blocks hold: whose it is, and what the node says of it."""
    batches = [getattr(block.payload.executed, what) for block in blocks]
    return _rows.joined(blocks, batches, schema(what))


def read(dataset: str, fields: Sequence[Field], found: Rows[Any], said: Said) -> dict[str, Values]:
    """The fields of every row, by column: numbers as theirs, addresses in base58."""
    spelled = {
        field.attribute: _address.each(said[field.attribute])
        for field in fields
        if field.attribute and field.column.name.endswith("address")
    }
    return dict(_columns.arrays(dataset, fields, found, {**said, **spelled}, READERS))


def of_transactions(found: Rows[int], said: Said) -> Array:
    """Of every log or call, the row of its transaction among those of all the blocks."""
    counts = [block.payload.transaction_count for block in found.blocks]
    firsts = pa.array([0, *accumulate(counts)], pa.int64())
    return pc.add(firsts.take(pa.array(found.owners, pa.int64())), said["tx_place"])


def succeeded(said: Said) -> Array:
    """Which transactions did what they were to do; the oldest do not say."""
    failed = pc.fill_null(pc.equal(said["info.result"], _FAILED), False)
    return pc.and_not(said["succeeded"], failed)


def topics(said: Said) -> dict[str, Array]:
    """The four topics of every log."""
    lists = said["topics"]
    counts, firsts = pc.list_value_length(lists), lists.offsets[: len(lists)]
    none = pa.scalar(None, pa.int32())
    return {
        name: lists.values.take(pc.if_else(pc.greater(counts, place), pc.add(firsts, place), none))
        for place, name in enumerate(TOPICS)
    }


def sun_paid(said: Said) -> Array:
    """What goes along with the call or making of a contract."""
    return pc.coalesce(said["new_contract.call_value"], said["value.call_value"])


def filled(texts: Array) -> Array:
    """Null for what is empty: protobuf does not tell these apart."""
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def printable(text: str) -> str:
    """What bytes of hex spell; the hex with 0x before it where nothing is that one can print."""
    try:
        spelled = bytes.fromhex(text).decode()
    except ValueError:
        return f"0x{text}"
    return spelled if spelled.isprintable() else f"0x{text}"


def integers(values: Iterable[int | None], kind: str = "bigint") -> Array:
    """Numbers of at most 64 bits as a column of that type."""
    return pa.array(list(values), pa.int64()).cast(ARROW_TYPES[kind])


def _as_it_is(_: Place, said: Array) -> Array:
    """Text whose letters were looked at when the answer was read."""
    return said


def _in_type(place: Place, numbers: Array) -> Array:
    return numbers.cast(ARROW_TYPES[place.column.type])


READERS: Readers = {
    "text": _as_it_is,
    "bigint": _in_type,
    "numeric": _in_type,
    "jsonb": json_text,
}
