"""One row per event: of transactions, and of the block before and after them."""

from __future__ import annotations

from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING

import pyarrow as pa

from chainflow.datasets._columns import columns, computed, field, read, table
from chainflow.datasets._extra import extras, objects
from chainflow.datasets.cosmos import _rows
from chainflow.datasets.cosmos._text import READERS
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chainflow.datasets._columns import Values
    from chainflow.types import RawBlock
    from chainflow.wire.cosmos import Event

_FIELDS = (
    computed("transaction_hash", "text"),
    computed("transaction_index", "bigint"),
    computed("event_index", "bigint", required=True),
    field("source", "text", required=True),
    field("event_type", "text", "event.type"),
    computed("attributes", "jsonb", required=True),
    computed("extra", "jsonb"),
)
COLUMNS = columns("height", _FIELDS)


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The events of each block, in the order they happened.

    `attributes` is a list of `{"key": ..., "value": ...}`, as an event may have a key twice.

    Raises:
        MalformedAnswer: A text cannot stand in its column.
    """
    found = _rows.events(blocks)
    values: dict[str, Values] = {
        **read(_FIELDS, found.items),
        "transaction_hash": _rows.hashes(found),
        "transaction_index": pa.array([one.transaction for one in found.items], pa.int64()),
        "event_index": pa.array([one.place for one in found.items], pa.int64()),
        "attributes": [_attributes(one.event) for one in found.items],
        "extra": _extra([one.event for one in found.items]),
    }
    return table("events", COLUMNS, found, values, READERS)


def _attributes(event: Event) -> str:
    return _rows.json([{"key": a.key, "value": a.value} for a in event.attributes or ()])


def _extra(events: Sequence[Event]) -> list[str | None]:
    """What the node says of an event that no column keeps; of an attribute, beside its place."""
    attributes = [event.attributes or () for event in events]
    unknown = {}
    # Nearly always there is none, and this loop is as long as all attributes.
    if any(map(attrgetter("extra"), chain.from_iterable(attributes))):
        texts = [objects(a.extra for a in of_event) for of_event in attributes]
        unknown = {row: list(more.items()) for row, more in enumerate(texts) if more}
    return extras([event.extra for event in events], {"attributes": unknown})


DATASET = Dataset(
    name="events",
    family="cosmos",
    height_column="height",
    columns=COLUMNS,
    key=("height", "event_index"),
    decode=decode,
)
