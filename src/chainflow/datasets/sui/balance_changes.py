"""One row per owner and coin type whose balance a transaction changed, gas included.

The checkpoint store does not say them and a node that does has derived them; so they are derived
here, from the coins that the transaction took and wrote and from its writes to address balances, as
Sui's own code does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from chainflow.datasets._columns import columns, computed
from chainflow.datasets.sui._rows import changes
from chainflow.datasets.sui._table import HEIGHT, table
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chainflow.datasets._columns import Values
    from chainflow.types import RawBlock

# `owner` is an address, or an object that holds the coin; `amount` is in the coin's smallest unit.
_FIELDS = (
    computed("transaction_hash", "text", required=True),
    computed("transaction_index", "bigint", required=True),
    computed("change_index", "bigint", required=True),
    computed("owner", "text", required=True),
    computed("coin_type", "text", required=True),
    computed("amount", "numeric", required=True),
)
COLUMNS = columns(HEIGHT, _FIELDS)


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The changed balances of each checkpoint, in the order of its transactions.

    `change_index` counts within the transaction, by owner, then coin type.

    Raises:
        MalformedAnswer: An object that a transaction took or wrote is missing or cannot be read.
    """
    found, changed = changes(blocks)
    values: dict[str, Values] = {
        **found.columns("change_index"),
        "owner": changed.owner,
        "coin_type": changed.coin_type,
        "amount": pa.array(changed.amount, pa.string()),
    }
    return table("balance_changes", COLUMNS, found.rows, values)


DATASET = Dataset(
    name="balance_changes",
    family="sui",
    height_column=HEIGHT,
    columns=COLUMNS,
    key=(HEIGHT, "transaction_index", "change_index"),
    decode=decode,
)
