"""One row per block: its header, and how many transactions it holds."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import pyarrow as pa

from chainflow.datasets._columns import columns, computed, field, table
from chainflow.datasets._extra import extras, objects
from chainflow.datasets._rows import rows
from chainflow.datasets.tron._rows import READERS, integers, read
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    said = {
        f.attribute: pa.array(
            list(map(attrgetter(f.attribute), found.items)),
            pa.string() if f.column.type == "text" else pa.int64(),
        )
        for f in _FIELDS
        if f.attribute
    }
    values = {
        **read("blocks", _FIELDS, found, said),
        "transaction_count": integers(block.payload.transaction_count for block in blocks),
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
