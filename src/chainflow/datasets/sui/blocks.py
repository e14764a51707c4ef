"""One row per checkpoint: its summary, and how many transactions and events it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from chainflow.datasets._columns import columns, computed, field, json_texts
from chainflow.datasets._rows import rows
from chainflow.datasets.sui._digests import digests
from chainflow.datasets.sui._table import HEIGHT, read, table
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chainflow.datasets._columns import Values
    from chainflow.types import RawBlock

# The gas amounts, in MIST, run through the epoch up to and with this checkpoint.
_FIELDS = (
    computed("parent_hash", "text", required=True),
    field("epoch", "bigint", required=True),
    field("network_total_transactions", "bigint", required=True),
    computed("transaction_count", "bigint", required=True),
    computed("event_count", "bigint", required=True),
    computed("contents_digest", "text", required=True),
    field("epoch_computation_cost", "numeric", "gas.computation_cost", required=True),
    field("epoch_storage_cost", "numeric", "gas.storage_cost", required=True),
    field("epoch_storage_rebate", "numeric", "gas.storage_rebate", required=True),
    field(
        "epoch_non_refundable_storage_fee",
        "numeric",
        "gas.non_refundable_storage_fee",
        required=True,
    ),
    computed("commitments", "jsonb"),
    computed("end_of_epoch", "jsonb"),
    field("version_specific_data", "text", required=True),
)
COLUMNS = columns(HEIGHT, _FIELDS)


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The summary of each checkpoint.

    Raises:
        MalformedAnswer: A number does not fit its column.
    """
    found = rows(blocks, lambda block: [block.payload.summary])
    checkpoints = [block.payload for block in blocks]
    values: dict[str, Values] = {
        **read(_FIELDS, found.items),
        "parent_hash": pa.array([block.parent_hash for block in blocks], pa.string()),
        "transaction_count": [len(c.transactions) for c in checkpoints],
        "event_count": [sum(len(t.events) for t in c.transactions) for c in checkpoints],
        "contents_digest": digests([c.contents_digest for c in checkpoints]),
        "commitments": json_texts([summary.commitments for summary in found.items]),
        "end_of_epoch": json_texts([summary.end_of_epoch for summary in found.items]),
    }
    return table("blocks", COLUMNS, found, values)


DATASET = Dataset(
    name="blocks",
    family="sui",
    height_column=HEIGHT,
    columns=COLUMNS,
    key=(HEIGHT,),
    decode=decode,
)
