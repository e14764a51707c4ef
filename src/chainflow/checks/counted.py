"""Are there as many rows as the block says?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainflow.store.database import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chainflow.checks import CheckedTable
    from chainflow.types import BlockRange


def queries(tables: Mapping[str, CheckedTable], blocks: BlockRange) -> Iterator[tuple[str, str]]:
    """Blocks whose `transaction_count` is not their rows in `transactions`; so any such pair."""
    told = tables.get("blocks")
    if told is None:
        return
    for name, table in tables.items():
        count = f"{name.removesuffix('s')}_count"
        if told.has(count) and (told.judged or table.judged):
            yield (
                name,
                f"SELECT b.{told.height} AS height, format('{count} is %s but {name} has %s',"
                f" b.{quoted(count)}, coalesce(t.counted, 0)) AS message"
                f" FROM {told.rows} b LEFT JOIN (SELECT {table.height} AS height,"
                f" count(*) AS counted FROM {table.rows} r GROUP BY 1) t"
                f" ON t.height = b.{told.height}"
                f" WHERE b.{quoted(count)} <> coalesce(t.counted, 0)",
            )
