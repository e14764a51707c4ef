"""Is every height of the range there?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chainflow.checks import CheckedTable
    from chainflow.types import BlockRange


def queries(tables: Mapping[str, CheckedTable], blocks: BlockRange) -> Iterator[tuple[str, str]]:
    """Heights without a row, where a table has one row per height."""
    for name, table in tables.items():
        if table.judged and len(table.key) == 1 and table.has(*table.key):
            yield (
                name,
                f"SELECT h AS height, 'no row' AS message"
                f" FROM generate_series({blocks.start}::bigint, {blocks.last}) AS h"
                f" WHERE NOT EXISTS (SELECT 1 FROM {table.rows} t WHERE t.{table.height} = h)",
            )
