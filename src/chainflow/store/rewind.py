"""Forgetting what a chain has replaced: the only way in which a watermark moves down."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from chainflow.store import control, database

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection, Engine

    from chainflow.types import Chain

_SHRINK = """
UPDATE chainflow.progress SET merged = merged * int8multirange(int8range(NULL, :start))
WHERE chain = :chain AND merged_last >= :start
"""

_LOG = """
INSERT INTO chainflow.reorg
  (chain, start, depth, heights, old_hash, new_hash, rows, row_count, run_id)
SELECT :chain, :start, upper(range_agg(gone)) - :start, range_agg(gone),
  :old_hash, :new_hash, CAST(:rows AS jsonb), :row_count, :run_id
FROM (SELECT unnest(merged) * int8range(:start, NULL) AS gone FROM chainflow.progress
  WHERE chain = :chain AND merged_last >= :start) p
"""

_TELL = """
UPDATE chainflow.reorg SET told = told || jsonb_build_object(CAST(:dataset AS text), :run_id)
WHERE chain = :chain AND rows ? :dataset AND coalesce(told->>:dataset, :run_id) = :run_id
RETURNING start
"""


@dataclass(frozen=True, slots=True)
class Reorg:
    """Where a chain left what is merged.

    Attributes:
        start: Lowest height that was replaced.
        old_hash: Hash of the block merged there.
        new_hash: Hash of the block that the node has there now; None if it has none.
    """

    start: int
    old_hash: str
    new_hash: str | None


def rewind(
    engine: Engine, chain: Chain, reorg: Reorg, *, height_column: str, run_id: str
) -> dict[str, int]:
    """Remove a chain's rows from a height on, in one transaction with the log of it.

    Returns:
        Rows removed, by dataset; empty if the block merged there is no longer the one replaced,
        because another run has seen to it.
    """
    with database.begin(engine) as connection:
        control.lock(connection, chain, chain.datasets)
        if _merged_hash(connection, chain, height_column, reorg.start) != reorg.old_hash:
            return {}
        names = connection.execute(
            sa.text(
                "SELECT dataset FROM chainflow.progress"
                " WHERE chain = :chain AND merged_last >= :start ORDER BY dataset"
            ),
            {"chain": chain.name, "start": reorg.start},
        ).scalars()
        removed = {
            name: _delete(connection, chain, name, height_column, reorg.start)
            for name in names.all()
        }
        _log(connection, chain, reorg, removed, run_id)
        connection.execute(sa.text(_SHRINK), {"chain": chain.name, "start": reorg.start})
        control.date_watermark(connection, chain, height_column)
    return removed


def tell(engine: Engine, chain: str, datasets: Sequence[str], run_id: str) -> dict[str, int]:
    """The lowest height replaced of which no event has told yet, by dataset; now one does.

    Of all tasks of a run each is told the same, and so is each try: which of their events goes out
    first, and whether one does, is known only later.
    """
    lowest: dict[str, int] = {}
    with database.begin(engine) as connection:
        for dataset in sorted(datasets):
            told = {"chain": chain, "dataset": dataset, "run_id": run_id}
            starts = connection.execute(sa.text(_TELL), told).scalars().all()
            lowest |= {dataset: min(starts)} if starts else {}
    return lowest


def last(connection: Connection, chain: Chain) -> int:
    """Which reorganisation of a chain was the last, by its number in the log; 0 if none was."""
    query = "SELECT coalesce(max(id), 0) FROM chainflow.reorg WHERE chain = :chain"
    return int(connection.execute(sa.text(query), {"chain": chain.name}).scalar() or 0)


def lowest_since(connection: Connection, chain: Chain, known: int) -> int | None:
    """The lowest height replaced since a reorganisation that `last` named; None if none was."""
    query = "SELECT min(start) FROM chainflow.reorg WHERE chain = :chain AND id > :known"
    lowest: int | None = connection.execute(
        sa.text(query), {"chain": chain.name, "known": known}
    ).scalar()
    return lowest


def merged_hash(engine: Engine, chain: Chain, height_column: str, height: int) -> str | None:
    """Hash of the block whose rows are merged at a height; None where there is no row."""
    with database.begin(engine) as connection:
        return _merged_hash(connection, chain, height_column, height)


def highest(engine: Engine, chain: Chain, height_column: str, most: int) -> int | None:
    """The highest height up to `most` that has a merged row; None if none has."""
    height = database.quoted(height_column)
    with database.begin(engine) as connection:
        found = [
            connection.execute(
                sa.text(
                    f"SELECT max({height}) FROM {database.quoted(chain.name, name)}"
                    f" WHERE chain = :chain AND {height} <= :most"
                ),
                {"chain": chain.name, "most": most},
            ).scalar()
            for name in _merged(connection, chain)
        ]
    return max((one for one in found if one is not None), default=None)


def _merged(connection: Connection, chain: Chain) -> list[str]:
    """The chain's datasets of which anything is merged."""
    query = (
        "SELECT dataset FROM chainflow.progress WHERE chain = :chain AND merged_last IS NOT NULL"
        " ORDER BY dataset"
    )
    return list(connection.execute(sa.text(query), {"chain": chain.name}).scalars())


def _merged_hash(
    connection: Connection, chain: Chain, height_column: str, height: int
) -> str | None:
    # Every row names its block's hash, and `blocks` need not be merged where others are.
    for name in _merged(connection, chain):
        found: str | None = connection.execute(
            sa.text(
                f"SELECT block_hash FROM {database.quoted(chain.name, name)}"
                f" WHERE chain = :chain AND {database.quoted(height_column)} = :height LIMIT 1"
            ),
            {"chain": chain.name, "height": height},
        ).scalar()
        if found is not None:
            return found
    return None


def _delete(
    connection: Connection, chain: Chain, dataset: str, height_column: str, start: int
) -> int:
    done = connection.execute(
        sa.text(
            f"DELETE FROM {database.quoted(chain.name, dataset)}"
            f" WHERE chain = :chain AND {database.quoted(height_column)} >= :start"
        ),
        {"chain": chain.name, "start": start},
    )
    return int(done.rowcount)


def _log(
    connection: Connection, chain: Chain, reorg: Reorg, removed: dict[str, int], run_id: str
) -> None:
    connection.execute(
        sa.text(_LOG),
        {
            "chain": chain.name,
            "start": reorg.start,
            "old_hash": reorg.old_hash,
            "new_hash": reorg.new_hash,
            "rows": json.dumps(removed),
            "row_count": sum(removed.values()),
            "run_id": run_id,
        },
    )
