"""Every check's queries, asked, and what they answer as findings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from chainflow import lookup
from chainflow.types import BlockRange, Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy.engine import Connection

    from chainflow.checks._table import CheckedTable

SHOWN_HEIGHTS = 10
_SHOWN_MESSAGES = 3
# Every other height of two hundred thousand: what one finding holds at most, some 20 MB.
MOST_RANGES = 100_000


def findings(
    connection: Connection, tables: Mapping[str, CheckedTable], blocks: BlockRange
) -> Iterator[Finding]:
    """What every check in this folder finds."""
    # Tables just filled have no statistics: PostgreSQL takes them for one row and loops over them.
    connection.execute(sa.text("SET LOCAL enable_nestloop TO off"))
    asked = [
        (check, tables[dataset].label, query)
        for check in lookup.names("checks")
        for dataset, query in lookup.module("checks", check).queries(tables, blocks)
    ]
    for number in _failing(connection, [query for _, _, query in asked]):
        yield from ask(connection, *asked[number])


def _failing(connection: Connection, queries: Sequence[str]) -> list[int]:
    """Which of the queries have rows: one statement, for as a rule none has."""
    if not queries:
        return []
    tests = (f"SELECT {n} WHERE EXISTS ({query})" for n, query in enumerate(queries))
    return sorted(connection.execute(sa.text(" UNION ALL ".join(tests))).scalars())


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
        yield Finding(check, table, rows[0][2], sample, heights, _ranges(connection, query))


def _ranges(connection: Connection, query: str) -> tuple[BlockRange, ...]:
    """All heights of a query's rows; asked only where it has some."""
    found = connection.execute(
        sa.text(
            "SELECT lower(r), upper(r) FROM unnest((SELECT range_agg(int8range(height, height + 1))"
            f" FROM ({query}) failing WHERE height >= 0)) AS r"
        )
    )
    return tuple(BlockRange(low, stop) for low, stop in found)


def joined(findings: Iterable[Finding]) -> list[Finding]:
    """One finding per check and table, however many parts of a range it was found in, ascending.

    Of more than MOST_RANGES ranges the lowest are kept; the count is whole.
    """
    found: dict[tuple[str, str], tuple[Finding, list[BlockRange]]] = {}
    for finding in findings:
        first, ranges = found.setdefault((finding.check, finding.table), (finding, []))
        if first is not finding:
            first = replace(
                first,
                count=first.count + finding.count,
                heights=(*first.heights, *finding.heights)[:SHOWN_HEIGHTS],
            )
        _extend(ranges, finding.ranges)
        found[finding.check, finding.table] = first, ranges
    return [replace(first, ranges=tuple(ranges)) for first, ranges in found.values()]


def _extend(ranges: list[BlockRange], more: Iterable[BlockRange]) -> None:
    for blocks in more:
        if ranges and ranges[-1].start <= blocks.start <= ranges[-1].stop:
            ranges[-1] = BlockRange(ranges[-1].start, max(ranges[-1].stop, blocks.stop))
        elif len(ranges) < MOST_RANGES:
            ranges.append(blocks)
