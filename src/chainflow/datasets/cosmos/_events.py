"""The events of blocks as a table: dataset `events`, and what others are worked out from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from chainflow.datasets._columns import arrays, columns, computed, field, table
from chainflow.datasets.cosmos import _rows
from chainflow.datasets.cosmos._text import READERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chainflow.types import RawBlock

_FIELDS = (
    field("transaction_hash", "text"),
    computed("transaction_index", "bigint"),
    computed("event_index", "bigint", required=True),
    field("source", "text", required=True),
    field("event_type", "text"),
    field("attributes", "jsonb", required=True),
    field("extra", "jsonb"),
)
COLUMNS = columns("height", _FIELDS)


def of(blocks: Sequence[RawBlock]) -> pa.Table:
    """The events of each block, in the order they happened.

    `attributes` is a list of `{"key": ..., "value": ...}`, as an event may have a key twice.

    Raises:
        MalformedAnswer: A text cannot stand in its column.
    """
    found, said = _rows.events(blocks)
    values = {
        **arrays("events", _FIELDS, found, said, READERS),
        "transaction_index": said["transaction_index"],
        "event_index": pa.array(found.items, pa.int64()),
    }
    return table("events", COLUMNS, found, values, READERS)
