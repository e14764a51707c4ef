"""One row per call that a contract made, the rejected ones included.

`value` is the sun that it moved; the TRC-10 tokens are in `token_values`, as the node lists them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from chainflow.datasets._columns import columns, computed, field, table
from chainflow.datasets._extra import with_unknown
from chainflow.datasets._rows import ARROW_TYPES, pc
from chainflow.datasets.tron import _address
from chainflow.datasets.tron._rows import READERS, joined, printable, read
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chainflow.datasets._rows import Array
    from chainflow.datasets.tron._rows import Said
    from chainflow.types import RawBlock

_FIELDS = (
    field("transaction_hash", "text", "tx_id", required=True),
    field("transaction_index", "bigint", "tx_place", required=True),
    field("internal_transaction_index", "bigint", "place", required=True),
    field("internal_transaction_hash", "text", "hash", required=True),
    field("from_address", "text", "caller_address"),
    field("to_address", "text", "transfer_to_address"),
    computed("note", "text"),
    computed("value", "numeric"),
    computed("token_values", "jsonb"),
    field("rejected", "boolean", required=True),
    computed("extra", "jsonb"),
)
COLUMNS = columns("block_number", _FIELDS)

_Moved = list[dict[str, Any]]


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The internal transactions of each block, in the order of their transactions."""
    found, said = joined(blocks, "calls")
    tokens: list[str | None] = [None] * len(found)
    odd: dict[int, _Moved] = {}
    first, alone = _first_sun(said)
    for row in pc.indices_nonzero(pc.invert(alone)).to_pylist():
        moved = _moved(said, row)
        if _plain(moved):
            tokens[row] = msgspec.json.encode(moved[1:]).decode()
        else:
            odd[row] = moved
    is_odd = pc.is_in(pa.array(found.items, pa.int64()), pa.array(list(odd), pa.int64()))
    sun = pc.if_else(is_odd, pa.scalar(None, pa.int64()), first)
    values = {
        **read("internal_transactions", _FIELDS, found, said),
        "note": _address.spelled(said["note"], printable),
        "value": sun.cast(ARROW_TYPES["numeric"]),
        "token_values": tokens,
        "extra": with_unknown(said["extra"], {"callValueInfo": odd}),
    }
    return table("internal_transactions", COLUMNS, found, values, READERS)


def _first_sun(said: Said) -> tuple[Array, Array]:
    """The sun that stand first of what each call moved, and whether nothing else is told."""
    amounts, names, extras = (said[f"moved.{name}"] for name in ("call_value", "token_id", "extra"))
    counts = pc.list_value_length(amounts)
    at = pc.if_else(pc.equal(counts, 0), None, amounts.offsets[: len(amounts)])
    first = amounts.values.take(at)
    is_sun = pc.and_(pc.equal(names.values.take(at), ""), pc.is_null(extras.values.take(at)))
    alone = pc.and_(pc.less_equal(counts, 1), pc.fill_null(is_sun, True))
    return first, alone


def _moved(said: Said, row: int) -> _Moved:
    """What a call moved, as the node lists it."""
    parts = (said[f"moved.{name}"][row].as_py() for name in ("call_value", "token_id", "extra"))
    return [
        {"callValue": amount, "tokenId": name} | (msgspec.json.decode(extra) if extra else {})
        for amount, name, extra in zip(*parts, strict=True)
    ]


def _plain(moved: _Moved) -> bool:
    """Whether the sun stand first, and all the rest are tokens."""
    named = [bool(one["tokenId"]) for one in moved]
    known = all(one.keys() == {"callValue", "tokenId"} for one in moved)
    return known and named == [False, *[True] * (len(moved) - 1)]


DATASET = Dataset(
    name="internal_transactions",
    family="tron",
    height_column="block_number",
    columns=COLUMNS,
    key=("block_number", "transaction_index", "internal_transaction_index"),
    decode=decode,
)
