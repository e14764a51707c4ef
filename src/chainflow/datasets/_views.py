"""The views that span all families, and what tables of a family give to them.

A family says in its `_views.py` which `MEMBERS` it has; chainflow.store.views puts them together.
Plain SQL over plain columns, so that PostgreSQL takes a condition on a view down to each table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chainflow.types import ColumnType

FLOW: tuple[tuple[str, ColumnType], ...] = (
    ("chain", "text"),
    ("height", "bigint"),
    ("time", "timestamptz"),
    ("tx_hash", "text"),
    ("owner", "text"),
    ("token", "text"),
    ("amount", "numeric"),
)
MESSAGE: tuple[tuple[str, ColumnType], ...] = (
    ("transaction_hash", "text"),
    ("transaction_index", "bigint"),
    ("log_index", "bigint"),
    ("address", "text"),
    ("transmitter_address", "text"),
    ("direction", "text"),
    ("cctp_version", "bigint"),
    ("source_domain", "bigint"),
    ("destination_domain", "bigint"),
    ("message_nonce", "text"),
    ("message_key", "text"),
    ("message_hash", "text"),
    ("token_address", "text"),
    ("from_address", "text"),
    ("to_address", "text"),
    ("caller_address", "text"),
    ("amount", "numeric"),
    ("fee_collected", "numeric"),
    ("max_fee", "numeric"),
    ("burn_token", "text"),
    ("depositor", "text"),
    ("mint_recipient", "text"),
    ("message_sender", "text"),
    ("message_recipient", "text"),
    ("destination_caller", "text"),
    ("min_finality_threshold", "bigint"),
    ("finality_threshold_executed", "bigint"),
    ("expiration_block", "numeric"),
    ("hook_data", "text"),
)
COLUMNS: dict[str, tuple[tuple[str, ColumnType], ...]] = {
    "token_flows": FLOW,
    "cctp_messages": (*FLOW[:3], *MESSAGE),
}
"""By view, its columns in their order."""


@dataclass(frozen=True, slots=True)
class Member:
    """The rows of one table for one view: `query` gives the view's columns in their order."""

    view: str
    table: str
    query: str


def transfers(schema: str, height: str, *, nobody: str = "") -> Member:
    """Flows out of `token_transfers`: what one address loses and another gets.

    Args:
        schema: Of the family's tables.
        height: What the family calls the height.
        nobody: The address that stands for none, from which tokens are minted and to which they are
            burned; needless where the address is null then.
    """
    query = " UNION ALL ".join(
        f"SELECT chain, {height}, block_timestamp, transaction_hash, {owner}, token_address,"  # noqa: S608 - names of ours
        f" {amount} FROM {schema}.token_transfers WHERE {owner} <> '{nobody}'"
        for owner, amount in (("from_address", "-value"), ("to_address", "value"))
    )
    return Member("token_flows", "token_transfers", query)


def balance_changes(schema: str, height: str) -> Member:
    """Flows out of `balance_changes`, where the chain itself says who has how much more or less."""
    query = (
        f"SELECT chain, {height}, block_timestamp, transaction_hash, owner, coin_type, amount"  # noqa: S608 - names of ours
        f" FROM {schema}.balance_changes"
    )
    return Member("token_flows", "balance_changes", query)


def cctp_messages(schema: str, height: str) -> Member:
    """Every row of `cctp_messages`."""
    columns = ", ".join(name for name, _ in MESSAGE)
    query = f"SELECT chain, {height}, block_timestamp, {columns} FROM {schema}.cctp_messages"  # noqa: S608 - names of ours
    return Member("cctp_messages", "cctp_messages", query)
