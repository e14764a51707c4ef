"""The control tables as a merge writes them: progress and merge_log."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from chainflow.store import database, tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.engine import Connection

    from chainflow.types import BlockRange, Chain


@dataclass(frozen=True, slots=True)
class Logged:
    """One row of merge_log. Its time too, for a standby that took over may give an id again."""

    id: int
    at: datetime


def lock(connection: Connection, chain: Chain, datasets: Sequence[str]) -> None:
    """Hold the chain's progress rows until the transaction ends: one merge of a chain at a time.

    Always all of them in the same order, so that two merges wait instead of deadlocking.
    """
    connection.execute(
        sa.text(
            "INSERT INTO chainflow.progress (chain, dataset, start)"
            " SELECT :chain, unnest(CAST(:datasets AS text[])), :start ON CONFLICT DO NOTHING"
        ),
        {"chain": chain.name, "datasets": sorted(datasets), "start": chain.start},
    )
    connection.execute(
        sa.text(
            "SELECT 1 FROM chainflow.progress WHERE chain = :chain ORDER BY dataset FOR UPDATE"
        ),
        {"chain": chain.name},
    )


def extend(
    connection: Connection, chain: Chain, datasets: Sequence[str], blocks: BlockRange
) -> None:
    """Add a range to what is merged; `start` follows the registry's."""
    connection.execute(
        sa.text(
            "UPDATE chainflow.progress SET start = :start,"
            " merged = merged + int8multirange(int8range(:low, :stop)), merged_at = now()"
            " WHERE chain = :chain AND dataset = ANY(:datasets)"
        ),
        {
            "chain": chain.name,
            "datasets": list(datasets),
            "start": chain.start,
            "low": blocks.start,
            "stop": blocks.stop,
        },
    )


def date_watermark(connection: Connection, chain: Chain, height_column: str) -> None:
    """Set the time of each watermark to that of its block; null where no such block is merged."""
    if "block_timestamp" not in tables.columns(connection, chain.name, "blocks"):
        return
    connection.execute(
        sa.text(
            "UPDATE chainflow.progress p SET watermark_time = found.at FROM ("
            " SELECT q.dataset, b.block_timestamp AS at FROM chainflow.progress q"
            f" LEFT JOIN {database.quoted(chain.name, 'blocks')} b"
            f" ON b.chain = :chain AND b.{database.quoted(height_column)} = q.watermark"
            " WHERE q.chain = :chain) found"
            " WHERE p.chain = :chain AND p.dataset = found.dataset"
            " AND p.watermark_time IS DISTINCT FROM found.at"
        ),
        {"chain": chain.name},
    )


def log(
    connection: Connection,
    chain: Chain,
    blocks: BlockRange,
    rows: Mapping[str, int],
    *,
    size: int,
    seconds: float,
    run_id: str,
) -> Logged:
    """Append one merged slice to merge_log; which row that is."""
    id_, at = connection.execute(
        sa.text(
            "INSERT INTO chainflow.merge_log"
            " (chain, datasets, blocks, rows, row_count, bytes, seconds, run_id)"
            " VALUES (:chain, :datasets, int8range(:low, :stop), CAST(:rows AS jsonb), :row_count,"
            " :bytes, :seconds, :run_id) RETURNING id, merged_at"
        ),
        {
            "chain": chain.name,
            "datasets": sorted(rows),
            "low": blocks.start,
            "stop": blocks.stop,
            "rows": json.dumps(dict(rows)),
            "row_count": sum(rows.values()),
            "bytes": size,
            "seconds": seconds,
            "run_id": run_id,
        },
    ).one()
    return Logged(id_, at)


def is_logged(connection: Connection, row: Logged) -> bool:
    """Whether a row of merge_log that a broken connection had written was committed."""
    found = connection.execute(
        sa.text("SELECT 1 FROM chainflow.merge_log WHERE id = :id AND merged_at = :at"),
        {"id": row.id, "at": row.at},
    )
    return found.scalar() is not None
