"""One row per event: of transactions, and of the block before and after them."""

from __future__ import annotations

from chainflow.datasets.cosmos import _events
from chainflow.types import Dataset

DATASET = Dataset(
    name="events",
    family="cosmos",
    height_column="height",
    columns=_events.COLUMNS,
    key=("height", "event_index"),
    decode=_events.of,
)
