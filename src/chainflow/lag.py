"""Lag and volume as the store computes them; nothing is computed here."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from chainflow.store import database

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.engine import Engine

    from chainflow.types import Chain


@dataclass(frozen=True, slots=True)
class Lag:
    """One row of view chainflow.lag; docs/tables.md says what each column means."""

    chain: str
    family: str
    env: str
    owner: str
    status: str
    state: str
    head: int | None
    finalized: int | None
    target: int | None
    watermark: int | None
    lag_blocks: int | None
    backlog_blocks: int | None
    lag_seconds: float | None
    blocks_per_minute: float
    sync_blocks_per_minute: float
    catch_up_seconds: float | None
    oldest_gap_start: int | None
    last_merged_at: datetime | None
    observed_at: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Ingested:
    """What was merged in a span of time: bytes the nodes sent, rows, and blocks."""

    bytes: int
    rows: int
    blocks: int


@dataclass(frozen=True, slots=True)
class Volume:
    """What was merged in the last minute, hour, day and 30 days; chain None is their total."""

    chain: str | None
    minute: Ingested
    hour: Ingested
    day: Ingested
    month: Ingested


_SPANS = {"minute": "1 minute", "hour": "1 hour", "day": "1 day", "month": "30 days"}


def rows(engine: Engine, chains: Iterable[Chain] | None = None) -> list[Lag]:
    """One row per chain the store knows, by name; or those of the given chains, in their order."""
    columns = ", ".join(column.name for column in fields(Lag))
    with database.begin(engine) as connection:
        found = connection.execute(sa.text(f"SELECT {columns} FROM chainflow.lag ORDER BY chain"))
        known = {row[0]: Lag(*row) for row in found}
    if chains is None:
        return list(known.values())
    return [known[chain.name] for chain in chains if chain.name in known]


def volume(engine: Engine) -> list[Volume]:
    """The total first, then one row per chain merged in the last 30 days, by name."""
    amounts = ("bytes", "row_count", "upper(blocks) - lower(blocks)")
    sums = ", ".join(f"sum({amount}) AS sum{i}" for i, amount in enumerate(amounts))
    # Each span is added up for itself: the short ones read an index, the month reads it all once.
    spans = " UNION ALL ".join(
        f"(SELECT '{name}' AS span, chain, {sums} FROM chainflow.merge_log"
        f" WHERE merged_at >= now() - interval '{span}' GROUP BY chain)"
        for name, span in _SPANS.items()
    )
    columns = ", ".join(
        f"coalesce(sum(sum{i}) FILTER (WHERE span = '{name}'), 0)::bigint"
        for name in _SPANS
        for i in range(len(amounts))
    )
    query = (
        f"SELECT chain, {columns} FROM ({spans}) spans"
        " GROUP BY GROUPING SETS ((), (chain)) ORDER BY chain NULLS FIRST"
    )
    with database.begin(engine) as connection:
        return [
            Volume(chain, *(Ingested(*numbers[i : i + 3]) for i in range(0, len(numbers), 3)))
            for chain, *numbers in connection.execute(sa.text(query))
        ]
