"""What must hold of rows before anyone sees them: each file here asks one question, in SQL.

Such a file has `queries(tables, blocks)`: by dataset, queries whose rows are what fails, as
`height` (bigint) and `message` (text). It asks where the columns it speaks of exist, so another
family's tables get the check without a word said. The same questions are asked of arriving rows, in
the transaction that merges them, of rows put aside in staging, and of merged rows in an audit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from chainflow.checks import _findings, _table
from chainflow.checks._findings import MOST_RANGES, ask, joined
from chainflow.checks._table import CheckedTable
from chainflow.store import database, tables
from chainflow.types import BlockRange

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.engine import Connection, Engine

    from chainflow.store.batch import Slice, Staged
    from chainflow.types import Chain, Dataset, Finding

__all__ = ["MOST_RANGES", "CheckedTable", "arrived", "ask", "audit", "joined", "run", "segments"]

# So many heights at a time: seconds a query even on a busy chain, and memory that stays flat.
_AUDITED_HEIGHTS = 10_000

# The range, cut wherever the datasets that are merged there change.
_SEGMENTS = """
WITH runs AS (
  SELECT p.dataset, r.run FROM chainflow.progress p,
    unnest(p.merged * int8multirange(int8range(:low, :stop))) AS r (run)
  WHERE p.chain = :chain AND p.dataset = ANY(:datasets)
), bounds AS (
  SELECT lower(run) AS bound FROM runs UNION SELECT upper(run) FROM runs
), cuts AS (
  SELECT bound AS low, lead(bound) OVER (ORDER BY bound) AS stop FROM bounds
)
SELECT c.low, c.stop, array_agg(r.dataset)
FROM cuts c JOIN runs r ON r.run @> int8range(c.low, c.stop)
WHERE c.stop IS NOT NULL GROUP BY c.low, c.stop ORDER BY c.low
"""

_UNRECORDED = """
SELECT t.{height} AS height, 'a row of a height that is not merged' AS message
FROM unnest(int8multirange(int8range({low}, {stop})) - coalesce((
  SELECT merged FROM chainflow.progress WHERE chain = {chain} AND dataset = {dataset}), '{{}}')) gap
JOIN {rows} t ON t.{height} >= lower(gap) AND t.{height} < upper(gap)
"""


def arrived(connection: Connection, slice_: Slice) -> list[Finding]:
    """What fails in rows that the connection's transaction has put into their tables.

    What a merge refuses by itself is not asked again.
    """
    chain, blocks = slice_.chain, slice_.blocks
    checked = {d.name: _table.arrived(chain, d, blocks) for d in slice_.datasets}
    checked |= _table.beside(connection, chain, blocks, list(checked), slice_.height_column)
    return list(_findings.findings(connection, checked, blocks))


def run(engine: Engine, staged: Staged) -> list[Finding]:
    """What fails in staged rows, among themselves and beside merged ones."""
    chain, blocks = staged.chain, staged.blocks
    height_column = next(iter(staged.tables.values())).dataset.height_column
    with database.begin(engine) as connection:
        checked = {name: _table.staged(chain, table) for name, table in staged.tables.items()}
        checked |= _table.beside(connection, chain, blocks, list(checked), height_column)
        return list(_findings.findings(connection, checked, blocks))


def audit(
    engine: Engine, chain: Chain, datasets: Sequence[Dataset], blocks: BlockRange
) -> list[Finding]:
    """What fails in the merged rows of a range, and (`recorded`) rows of heights not merged."""
    with database.begin(engine) as connection:
        # Rows and what is merged as of one moment, whoever merges meanwhile.
        connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        there = [d for d in datasets if tables.columns(connection, chain.name, d.name)]
        return joined(_audited(connection, chain, there, blocks))


def segments(
    connection: Connection, chain: Chain, datasets: Sequence[Dataset], blocks: BlockRange
) -> list[tuple[BlockRange, list[str]]]:
    """The merged parts of a range, cut wherever the datasets that are merged there change."""
    streams = {"chain": chain.name, "datasets": [dataset.name for dataset in datasets]}
    found = connection.execute(
        sa.text(_SEGMENTS), {**streams, "low": blocks.start, "stop": blocks.stop}
    )
    return [(BlockRange(low, stop), names) for low, stop, names in found]


def _audited(
    connection: Connection, chain: Chain, datasets: Sequence[Dataset], blocks: BlockRange
) -> Iterator[Finding]:
    for segment, names in segments(connection, chain, datasets, blocks):
        for part in segment.split(_AUDITED_HEIGHTS):
            checked = {d.name: _table.merged(chain, d, part) for d in datasets if d.name in names}
            yield from _findings.findings(connection, checked, part)
    for dataset in datasets:
        query = _UNRECORDED.format(
            height=database.quoted(dataset.height_column),
            low=blocks.start,
            stop=blocks.stop,
            chain=database.literal(chain.name),
            dataset=database.literal(dataset.name),
            rows=_table.merged(chain, dataset, blocks).rows,
        )
        label = f"{chain.name}.{dataset.name}"
        yield from ask(connection, "recorded", label, query)
