"""One row per block: its header, and how many transactions it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa

from chainflow.datasets._columns import columns, computed, field, read, table
from chainflow.datasets._rows import rows
from chainflow.datasets.evm._hex import READERS
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chainflow.datasets._columns import Values
    from chainflow.types import RawBlock

# `nonce` is the eight bytes of proof of work, not a number: leading zeros are part of it.
_FIELDS = (
    field("parent_hash", "text", required=True),
    field("nonce", "text"),
    field("sha3_uncles", "text"),
    field("logs_bloom", "text"),
    field("transactions_root", "text"),
    field("state_root", "text"),
    field("receipts_root", "text"),
    field("miner", "text"),
    field("mix_hash", "text"),
    field("difficulty", "numeric"),
    field("total_difficulty", "numeric"),
    field("size", "numeric"),
    field("extra_data", "text"),
    field("gas_limit", "numeric"),
    field("gas_used", "numeric"),
    computed("transaction_count", "bigint", required=True),
    field("base_fee_per_gas", "numeric"),
    field("withdrawals_root", "text"),
    field("blob_gas_used", "numeric"),
    field("excess_blob_gas", "numeric"),
    field("parent_beacon_block_root", "text"),
    field("requests_hash", "text"),
    field("l1_block_number", "bigint"),
    computed("uncles", "jsonb"),
    field("extra", "jsonb"),
)
COLUMNS = columns("block_number", _FIELDS)


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The header of each block.

    Raises:
        MalformedAnswer: A quantity is none, or does not fit its column.
    """
    headers = rows(blocks, lambda block: [block.payload.block])
    values: dict[str, Values] = {
        **read(_FIELDS, headers.items),
        "transaction_count": pa.array(
            [block.payload.transactions.num_rows for block in blocks], pa.int64()
        ),
        "uncles": [msgspec.json.encode(b.uncles).decode() for b in headers.items],
    }
    return table("blocks", COLUMNS, headers, values, READERS)


DATASET = Dataset(
    name="blocks",
    family="evm",
    height_column="block_number",
    columns=COLUMNS,
    key=("block_number",),
    decode=decode,
)
