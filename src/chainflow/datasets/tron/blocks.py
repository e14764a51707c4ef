"""One row per block: its header, and how many transactions it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainflow.datasets._columns import columns, computed, field, table
from chainflow.datasets._extra import extras, objects
from chainflow.datasets._rows import rows
from chainflow.datasets.tron._rows import READERS, integers, read
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from chainflow.types import RawBlock

_FIELDS = (
    field("parent_hash", "text", "header.parent_hash", required=True),
    field("transactions_root", "text", "header.tx_trie_root"),
    field("witness_address", "text", "header.witness_address"),
    field("witness_id", "bigint", "header.witness_id"),
    field("witness_signature", "text", "block_header.witness_signature"),
    field("block_version", "numeric", "header.version"),
    field("account_state_root", "text", "header.account_state_root"),
    computed("transaction_count", "bigint", required=True),
    computed("extra", "jsonb"),
)
COLUMNS = columns("block_number", _FIELDS)


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The header of each block."""
    found = rows(blocks, lambda block: [block.payload.block])
    inside = objects(block.header.extra for block in found.items)
    header = extras([b.block_header.extra for b in found.items], {"raw_data": inside})
    values = {
        **read(_FIELDS, found.items),
        "transaction_count": integers(len(block.transactions) for block in found.items),
        "extra": extras([b.extra for b in found.items], {"block_header": objects(header)}),
    }
    return table("blocks", COLUMNS, found, values, READERS)


DATASET = Dataset(
    name="blocks",
    family="tron",
    height_column="block_number",
    columns=COLUMNS,
    key=("block_number",),
    decode=decode,
)
