"""The one shape of `token_transfers`, whatever the family."""

from __future__ import annotations

from chainflow.datasets._rows import BLOCK_COLUMNS
from chainflow.types import Column

COLUMNS = (
    *BLOCK_COLUMNS,
    Column("transaction_hash", "text"),
    Column("transaction_index", "bigint"),
    Column("log_index", "bigint", required=True),
    Column("transfer_index", "bigint", required=True),
    Column("token_address", "text", required=True),
    Column("token_standard", "text", required=True),
    Column("operator_address", "text"),
    Column("from_address", "text"),
    Column("to_address", "text"),
    Column("token_id", "numeric"),
    Column("value", "numeric", required=True),
)
"""`transfer_index` is the position in an event that moves several tokens at once, else 0. `value`
is in the token's smallest unit; of a non-fungible token it is 1, and `token_id` says which."""

KEY = ("block_number", "log_index", "transfer_index")
