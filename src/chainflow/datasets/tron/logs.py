"""One row per event log; topics and data without 0x, as Tron's own API has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainflow.datasets._columns import columns, computed, field, table
from chainflow.datasets.tron import _address
from chainflow.datasets.tron._rows import READERS, emitted, read
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from chainflow.types import RawBlock

_TOPICS = ("topic0", "topic1", "topic2", "topic3")
_FIELDS = (
    field("transaction_hash", "text", "by.tx.tx_id", required=True),
    field("transaction_index", "bigint", "by.place", required=True),
    field("log_index", "bigint", "place", required=True),
    computed("address", "text", required=True),
    *(computed(name, "text") for name in _TOPICS),
    field("data", "text", "log.data", required=True),
    field("extra", "jsonb", "log.extra"),
)
COLUMNS = columns("block_number", _FIELDS)


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The logs of each block, counted through it in the order of its transactions."""
    found = emitted(blocks)
    values = {
        **read(_FIELDS, found.items),
        "address": [_address.of_log(one.log.address) for one in found.items],
        **{
            name: [next(iter(one.log.topics[place : place + 1]), None) for one in found.items]
            for place, name in enumerate(_TOPICS)
        },
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
