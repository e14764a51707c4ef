"""Are all rows of heights of the range?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chainflow.checks import CheckedTable
    from chainflow.types import BlockRange


def queries(tables: Mapping[str, CheckedTable], blocks: BlockRange) -> Iterator[tuple[str, str]]:
    """Rows of heights outside the range."""
    for name, table in tables.items():
        if table.judged and not table.enforced:
            yield (
                name,
                f"SELECT t.{table.height} AS height, 'outside {blocks}' AS message"
                f" FROM {table.rows} t"
                f" WHERE t.{table.height} < {blocks.start} OR t.{table.height} >= {blocks.stop}",
            )
