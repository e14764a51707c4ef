"""One row per validator withdrawal that a block pays out; `amount` is in gwei."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainflow.datasets._columns import columns, field, read, table
from chainflow.datasets._rows import rows
from chainflow.datasets.evm._hex import READERS
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from chainflow.types import RawBlock

_FIELDS = (
    field("withdrawal_index", "bigint", "index", required=True),
    field("validator_index", "bigint", required=True),
    field("address", "text", required=True),
    field("amount", "numeric", required=True),
    field("extra", "jsonb"),
)
COLUMNS = columns("block_number", _FIELDS)


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The withdrawals of each block, in its order.

    Raises:
        MalformedAnswer: A quantity is none, or does not fit its column.
    """
    paid = rows(blocks, lambda block: block.payload.block.withdrawals or ())
    return table("withdrawals", COLUMNS, paid, read(_FIELDS, paid.items), READERS)


DATASET = Dataset(
    name="withdrawals",
    family="evm",
    height_column="block_number",
    columns=COLUMNS,
    key=("block_number", "withdrawal_index"),
    decode=decode,
)
