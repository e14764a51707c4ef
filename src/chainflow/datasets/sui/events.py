"""One row per event that Move code emitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainflow.datasets._columns import columns, computed, field
from chainflow.datasets.sui._rows import events
from chainflow.datasets.sui._table import HEIGHT, read, table
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from chainflow.datasets._columns import Values
    from chainflow.types import RawBlock

# `package_id` and `module` are of the function called, `event_type` names where the type is from;
# `contents` are the event's fields as BCS, in hex. Which fields those are only the package says.
_FIELDS = (
    computed("transaction_hash", "text", required=True),
    computed("transaction_index", "bigint", required=True),
    computed("event_index", "bigint", required=True),
    field("package_id", "text", required=True),
    field("module", "text", required=True),
    field("sender", "text", required=True),
    field("event_type", "text", required=True),
    computed("contents", "text", required=True),
)
COLUMNS = columns(HEIGHT, _FIELDS)


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The events of each checkpoint, in the order of its transactions.

    `event_index` counts within the transaction, as Sui's own event ids do.
    """
    found = events(blocks)
    items = found.rows.items
    values: dict[str, Values] = {
        **read(_FIELDS, items),
        **found.columns("event_index"),
        "contents": [f"0x{event.contents.hex()}" for event in items],
    }
    return table("events", COLUMNS, found.rows, values)


DATASET = Dataset(
    name="events",
    family="sui",
    height_column=HEIGHT,
    columns=COLUMNS,
    key=(HEIGHT, "transaction_index", "event_index"),
    decode=decode,
)
