"""Does every key stand there once?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainflow.store.database import quoted, quoted_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chainflow.checks import CheckedTable
    from chainflow.types import BlockRange


def queries(tables: Mapping[str, CheckedTable], blocks: BlockRange) -> Iterator[tuple[str, str]]:
    """Keys with more than one row: a height twice, a log index twice in its block."""
    for name, table in tables.items():
        if table.judged and not table.enforced:
            told = ", ".join(f"'{column} ' || {quoted(column)}" for column in table.key)
            yield (
                name,
                f"SELECT {table.height} AS height,"
                f" concat_ws(', ', {told}) || ' stands there ' || count(*) || ' times' AS message"
                f" FROM {table.rows} t GROUP BY {quoted_list(*table.key)} HAVING count(*) > 1",
            )
