"""Does every row name the transaction that stands at its index?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chainflow.checks import CheckedTable
    from chainflow.types import BlockRange

_COLUMNS = ("transaction_index", "transaction_hash")


def queries(tables: Mapping[str, CheckedTable], blocks: BlockRange) -> Iterator[tuple[str, str]]:
    """Rows whose `transaction_hash` is not that of the row in `transactions`.

    Clients hold it against the block before they give it out, so it is not asked of rows in their
    own merge. A chain's own logs name no transaction, or the zero hash.
    """
    told = tables.get("transactions")
    if told is None or not told.has(*_COLUMNS):
        return
    for name, table in tables.items():
        if table is not told and table.has(*_COLUMNS) and table.judged and not table.enforced:
            yield (
                name,
                f"SELECT t.{table.height} AS height, format('transaction_hash is %s but"
                " transaction %s is %s', t.transaction_hash, t.transaction_index,"
                " x.transaction_hash) AS message"
                f" FROM {table.rows} t JOIN {told.rows} x ON x.{told.height} = t.{table.height}"
                " AND x.transaction_index = t.transaction_index"
                " WHERE x.transaction_hash <> t.transaction_hash"
                " AND t.transaction_hash !~ '^0x0*$'",
            )
