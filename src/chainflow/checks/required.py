"""Are the columns filled that must be?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainflow.store.database import literal, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chainflow.checks import CheckedTable
    from chainflow.types import BlockRange


def queries(tables: Mapping[str, CheckedTable], blocks: BlockRange) -> Iterator[tuple[str, str]]:
    """Rows with a null in a required column, the key's among them."""
    for name, table in tables.items():
        if table.judged:
            empty = [f"t.{quoted(column)} IS NULL" for column in table.required]
            told = ", ".join(
                f"CASE WHEN {test} THEN {literal(column)} END"
                for test, column in zip(empty, table.required, strict=True)
            )
            yield (
                name,
                f"SELECT t.{table.height} AS height, 'null in ' || concat_ws(', ', {told})"
                f" AS message FROM {table.rows} t WHERE {' OR '.join(empty)}",
            )
