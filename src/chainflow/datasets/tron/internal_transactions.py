"""One row per call that a contract made, the rejected ones included.

`value` is the sun that it moved; the TRC-10 tokens are in `token_values`, as the node lists them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from chainflow.datasets._columns import columns, computed, field, table
from chainflow.datasets._extra import extras
from chainflow.datasets._rows import rows
from chainflow.datasets.tron._rows import (
    READERS,
    Executed,
    executed,
    integers,
    printable,
    read,
)
from chainflow.types import Dataset
from chainflow.wire.tron import CallValue, InternalTransaction

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

    from chainflow.types import RawBlock

_FIELDS = (
    field("transaction_hash", "text", "by.tx.tx_id", required=True),
    field("transaction_index", "bigint", "by.place", required=True),
    field("internal_transaction_index", "bigint", "place", required=True),
    field("internal_transaction_hash", "text", "call.hash", required=True),
    field("from_address", "text", "call.caller_address"),
    field("to_address", "text", "call.transfer_to_address"),
    computed("note", "text"),
    computed("value", "numeric"),
    computed("token_values", "jsonb"),
    field("rejected", "boolean", "call.rejected", required=True),
    computed("extra", "jsonb"),
)
COLUMNS = columns("block_number", _FIELDS)


class _Called(NamedTuple):
    place: int
    by: Executed
    call: InternalTransaction


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The internal transactions of each block, in the order of their transactions."""
    found = rows(
        blocks,
        lambda block: [
            _Called(place, one, call)
            for one in executed([block]).items
            for place, call in enumerate(one.info.internal_transactions)
        ],
    )
    calls = [called.call for called in found.items]
    odd = {
        row: _moved(call.call_value_info)
        for row, call in enumerate(calls)
        if call.call_value_info and not _plain(call)
    }
    values = {
        **read(_FIELDS, found.items),
        "note": [printable(call.note) for call in calls],
        "value": integers(map(_sun, calls), "numeric"),
        "token_values": [_tokens(call) for call in calls],
        "extra": extras([call.extra for call in calls], {"callValueInfo": odd}),
    }
    return table("internal_transactions", COLUMNS, found, values, READERS)


def _plain(call: InternalTransaction) -> bool:
    """Whether the sun stand first, and all the rest are tokens."""
    moved = call.call_value_info
    named = [bool(one.token_id) for one in moved]
    return (
        bool(moved)
        and named == [False, *[True] * (len(moved) - 1)]
        and not any(one.extra for one in moved)
    )


def _sun(call: InternalTransaction) -> int | None:
    return call.call_value_info[0].call_value if _plain(call) else None


def _tokens(call: InternalTransaction) -> str | None:
    if not _plain(call) or len(call.call_value_info) == 1:
        return None
    return msgspec.json.encode(_moved(call.call_value_info[1:])).decode()


def _moved(values: Iterable[CallValue]) -> list[dict[str, object]]:
    return [
        {"callValue": one.call_value, "tokenId": one.token_id}
        | (msgspec.json.decode(one.extra) if one.extra else {})
        for one in values
    ]


DATASET = Dataset(
    name="internal_transactions",
    family="tron",
    height_column="block_number",
    columns=COLUMNS,
    key=("block_number", "transaction_index", "internal_transaction_index"),
    decode=decode,
)
