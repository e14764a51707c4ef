"""Every check's queries, asked, and what they answer as findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from chainflow import lookup
from chainflow.types import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy.engine import Connection

    from chainflow.checks._table import CheckedTable
    from chainflow.types import BlockRange

SHOWN_HEIGHTS = 10
_SHOWN_MESSAGES = 3


def findings(
    connection: Connection, tables: Mapping[str, CheckedTable], blocks: BlockRange
) -> Iterator[Finding]:
    """What every check in this folder finds."""
    # Tables just filled have no statistics: PostgreSQL takes them for one row and loops over them.
    connection.execute(sa.text("SET LOCAL enable_nestloop TO off"))
    for check in lookup.names("checks"):
        for dataset, query in lookup.module("checks", check).queries(tables, blocks):
            yield from ask(connection, check, tables[dataset].label, query)


def ask(connection: Connection, check: str, table: str, query: str) -> Iterator[Finding]:
    """The finding that a query's rows are, if it has any."""
    rows = connection.execute(
        sa.text(
            f"SELECT height, message, count(*) OVER () FROM ({query}) failing"
            f" ORDER BY height LIMIT {SHOWN_HEIGHTS}"
        )
    ).all()
    if rows:
        heights = tuple(dict.fromkeys(height for height, _, _ in rows if height is not None))
        sample = "; ".join(
            f"{'no height' if height is None else height}: {message}"
            for height, message, _ in rows[:_SHOWN_MESSAGES]
        )
        yield Finding(check, table, rows[0][2], sample, heights)
