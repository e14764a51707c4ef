"""One row per block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from chainflow.datasets._columns import columns, computed, table
from chainflow.datasets._rows import rows
from chainflow.types import Dataset, RawBlock

_FIELDS = (
    computed("parent_hash", "text", required=True),
    computed("mood", "text"),
)
COLUMNS = columns("tick", _FIELDS)


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The header of each block."""
    items = rows(blocks, lambda block: [block.payload])
    values: dict[str, pa.Array[Any]] = {
        "parent_hash": pa.array([block.parent_hash for block in blocks], pa.string()),
        "mood": pa.array([item.get("mood") for item in items.items], pa.string()),
    }
    return table("blocks", COLUMNS, items, values, {})


DATASET = Dataset("blocks", "pebble", "tick", COLUMNS, key=("tick",), decode=decode)
