"""Are there as many rows as each merge counted?

This sees what is gone without a trace: every row of a range in a table that may be empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from chainflow.store import database
from chainflow.types import BlockRange, Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Engine

    from chainflow.types import Chain, Dataset

# What a repair read again of a slice are the same blocks: its own count still holds, and shows
# whether the repair mended all of it. What anything else merged over it may count otherwise.
REPAIR = "repair-"

# Slices that end in the range, so that each is counted once.
_SLICES = """
SELECT lower(s.blocks), upper(s.blocks), s.said, c.counted FROM (
  SELECT l.id, l.blocks, CAST(l.rows ->> :dataset AS bigint) AS said
  FROM chainflow.merge_log l JOIN chainflow.progress p
    ON p.chain = l.chain AND p.dataset = :dataset AND p.merged @> l.blocks
  WHERE l.chain = :chain AND :dataset = ANY(l.datasets)
    AND l.blocks && int8range(:low, :stop) AND upper(l.blocks) <= :stop
    AND lower(l.blocks) >= :lowest
    AND NOT EXISTS (
      SELECT 1 FROM chainflow.merge_log later
      WHERE later.chain = l.chain AND later.id > l.id AND later.blocks && l.blocks
        AND :dataset = ANY(later.datasets)
        AND (later.run_id NOT LIKE '{repair}%' OR later.blocks @> l.blocks))
) s CROSS JOIN LATERAL (
  SELECT count(*) AS counted FROM {table} t
  WHERE t.chain = :chain AND t.{height} >= lower(s.blocks) AND t.{height} < upper(s.blocks)
) c
WHERE c.counted <> s.said ORDER BY 1
"""


def findings(
    engine: Engine, chain: Chain, datasets: Sequence[Dataset], blocks: BlockRange, lowest: int
) -> list[Finding]:
    """Merged slices that have not the rows that merge_log says.

    Args:
        engine: The store.
        chain: Whose slices.
        datasets: Of which tables.
        blocks: Where the slices end.
        lowest: No slice that begins below this height is counted.
    """
    found: list[Finding] = []
    with database.begin(engine) as connection:
        for dataset in datasets:
            query = _SLICES.format(
                repair=REPAIR,
                table=database.quoted(chain.name, dataset.name),
                height=database.quoted(dataset.height_column),
            )
            bounds = {"low": blocks.start, "stop": blocks.stop, "lowest": lowest}
            rows = connection.execute(
                sa.text(query), {"chain": chain.name, "dataset": dataset.name, **bounds}
            )
            for low, stop, said, counted in rows:
                slice_ = BlockRange(low, stop)
                sample = f"{slice_}: {said} rows were merged, {counted} are there"
                label = f"{chain.name}.{dataset.name}"
                count = abs(said - counted)
                found.append(Finding("recounted", label, count, sample, (low,), (slice_,)))
    return found
