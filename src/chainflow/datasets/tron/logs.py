"""One row per event log; topics and data without 0x, as Tron's own API has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainflow.datasets._columns import columns, computed, field, table
from chainflow.datasets.tron import _address
from chainflow.datasets.tron._rows import READERS, TOPICS, joined, read, topics
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from chainflow.types import RawBlock

_FIELDS = (
    field("transaction_hash", "text", "tx_id", required=True),
    field("transaction_index", "bigint", "tx_place", required=True),
    field("log_index", "bigint", "place", required=True),
    computed("address", "text", required=True),
    *(computed(name, "text") for name in TOPICS),
    field("data", "text", required=True),
    field("extra", "jsonb"),
)
COLUMNS = columns("block_number", _FIELDS)


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The logs of each block, counted through it in the order of its transactions."""
    found, said = joined(blocks, "logs")
    values = {
        **read("logs", _FIELDS, found, said),
        "address": _address.spelled(said["address"], _address.of_log),
        **topics(said),
    }
    return table("logs", COLUMNS, found, values, READERS)


DATASET = Dataset(
    name="logs",
    family="tron",
    height_column="block_number",
    columns=COLUMNS,
    key=("block_number", "log_index"),
    decode=decode,
)
