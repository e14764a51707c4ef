"""The one shape of `token_transfers`, whatever the family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainflow.datasets._rows import block_columns
from chainflow.types import Column

if TYPE_CHECKING:
    from collections.abc import Collection

    from chainflow.types import ColumnType


def columns(height: str, required: Collection[str]) -> tuple[Column, ...]:
    """The columns of `token_transfers`; the height under its family's name.

    `log_index` is the position of the event in its block; `transfer_index` the position in an
    event, or a transaction, that moves several tokens at once, else 0. `value` is in the token's
    smallest unit; of a non-fungible token it is 1, and `token_id` says which.

    Args:
        height: What the family calls the height.
        required: Which columns, beside the block's own, `token_standard`, `token_address` and
            `value`, are never null: the family's key.
    """
    always = {"token_address", "token_standard", "value", *required}
    return (
        *block_columns(height),
        *(Column(name, kind, required=name in always) for name, kind in _COLUMNS),
    )


_COLUMNS: tuple[tuple[str, ColumnType], ...] = (
    ("transaction_hash", "text"),
    ("transaction_index", "bigint"),
    ("log_index", "bigint"),
    ("transfer_index", "bigint"),
    ("token_address", "text"),
    ("token_standard", "text"),
    ("operator_address", "text"),
    ("from_address", "text"),
    ("to_address", "text"),
    ("token_id", "numeric"),
    ("value", "numeric"),
)
