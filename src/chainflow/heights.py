"""Heights of a chain: what its node says, what is merged, and the watermark that follows."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import sqlalchemy as sa

from chainflow.errors import NameTaken
from chainflow.store import database, identity
from chainflow.types import BlockRange, Costs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.engine import Connection, Engine

    from chainflow.types import Chain, Heights

# The registry's words that the store mirrors, and their types there.
_ENTRY = {
    "chain": "text",
    "family": "text",
    "chain_id": "text",
    "env": "text",
    "owner": "text",
    "status": "text",
    "start": "bigint",
    "datasets": "text[]",
    "blocks_per_minute": "float8",
    "finality_tag": "text",
    "confirmations": "integer",
    "lag_alert_minutes": "float8",
}

# What an entry may leave out stays known: it tells whether a later entry means another chain.
_KEPT = {
    "family": "coalesce(nullif(excluded.family, ''), c.family)",
    "chain_id": "coalesce(excluded.chain_id, c.chain_id)",
}

_REGISTER = """
INSERT INTO chainflow.chain AS c ({columns})
SELECT {columns} FROM jsonb_to_recordset(CAST(:entries AS jsonb)) AS e ({types}) ORDER BY chain
ON CONFLICT (chain) DO UPDATE SET ({columns}) = ({excluded})
WHERE ({old}) IS DISTINCT FROM ({excluded})
""".format(
    columns=", ".join(_ENTRY),
    types=", ".join(f"{column} {kind}" for column, kind in _ENTRY.items()),
    excluded=", ".join(_KEPT.get(column, f"excluded.{column}") for column in _ENTRY),
    old=", ".join(f"c.{column}" for column in _ENTRY),
)

# Another start may mean another watermark; the next merge finds that one's time.
_FOLLOW = """
UPDATE chainflow.progress p SET start = e.start, watermark_time = CASE
  WHEN chainflow.watermark(e.start, p.merged) = p.watermark THEN p.watermark_time END
FROM jsonb_to_recordset(CAST(:entries AS jsonb)) AS e (chain text, start bigint)
WHERE p.chain = e.chain AND p.start <> e.start
"""

# In the order of names, so that two polls at once wait for each other instead of deadlocking.
_SAID = """
FROM jsonb_to_recordset(CAST(:said AS jsonb)) AS s
  (chain text, head bigint, finalized bigint, error text)
"""

# Heads that rise far below the highest mean that this was none of the chain's, or that the chain
# began anew. A backend that lags now and then does not rise above what was said before.
_RISES = """(h.highest IS NULL OR excluded.head > h.highest
  OR excluded.head > h.head AND excluded.head < h.highest - 100)"""

_OBSERVE = f"""
INSERT INTO chainflow.height AS h (chain, head, finalized, observed_at, highest, risen_at)
SELECT chain, head, finalized, now(), head, now() {_SAID} WHERE error IS NULL ORDER BY chain
ON CONFLICT (chain) DO UPDATE SET
  head = excluded.head, finalized = excluded.finalized, observed_at = excluded.observed_at,
  error = NULL,
  highest = CASE WHEN {_RISES} THEN excluded.highest ELSE h.highest END,
  risen_at = CASE WHEN {_RISES} THEN excluded.risen_at ELSE h.risen_at END
"""

_SAMPLE = f"""
INSERT INTO chainflow.height_sample (chain, observed_at, head, finalized)
SELECT chain, now(), head, finalized {_SAID} WHERE error IS NULL ORDER BY chain
ON CONFLICT DO NOTHING
"""

_FAILED = f"""
INSERT INTO chainflow.height (chain, error)
SELECT chain, error {_SAID} WHERE error IS NOT NULL ORDER BY chain
ON CONFLICT (chain) DO UPDATE SET error = excluded.error
"""

# The last gap is the head's: it must be seen however many lie below it. It begins where the merged
# heights below it end. Unnesting in SELECT stops at the limit; after FROM it would unnest them all.
_GAPS = """
WITH streams AS MATERIALIZED (
  SELECT d.dataset, coalesce(p.merged, '{}') AS merged,
    int8multirange(int8range(:start, :stop)) - coalesce(p.merged, '{}') AS missing
  FROM unnest(CAST(:datasets AS text[])) AS d (dataset)
  LEFT JOIN chainflow.progress p ON p.chain = :chain AND p.dataset = d.dataset
)
SELECT s.dataset, lower(g.gap), upper(g.gap) FROM streams s
CROSS JOIN LATERAL (
  (SELECT unnest(s.missing) AS gap LIMIT :limit)
  UNION
  SELECT int8range(
    greatest(:start, CASE WHEN upper(s.merged) <= upper(s.missing) THEN upper(s.merged)
      ELSE upper(s.merged * int8multirange(int8range(:start, upper(s.missing)))) END),
    upper(s.missing))
  WHERE NOT isempty(s.missing)
) g
ORDER BY s.dataset, lower(g.gap)
"""

_WATERMARK = """
SELECT CASE WHEN bool_and(p.watermark IS NOT NULL) THEN min(p.watermark) END
FROM unnest(CAST(:datasets AS text[])) AS d (dataset)
LEFT JOIN chainflow.progress p ON p.chain = :chain AND p.dataset = d.dataset
"""

# Slices of some datasets only cost less than a block does.
_COSTS = """
SELECT sum(seconds) / sum(upper(blocks) - lower(blocks)),
  (sum(bytes) / sum(upper(blocks) - lower(blocks)))::float8
FROM (
  SELECT * FROM chainflow.merge_log WHERE chain = :chain ORDER BY merged_at DESC LIMIT 50
) lately
WHERE datasets @> CAST(:datasets AS text[])
"""


def register(engine: Engine, chains: Iterable[Chain]) -> dict[str, str]:
    """Mirror entries of the registry, whence the store knows starts, datasets and owners.

    Returns:
        Why an entry was not taken, by chain: its tables hold another chain's rows. It stands in the
        lag table as what its node said.
    """
    with database.begin(engine) as connection:
        refused = _register(connection, list(chains))
        if refused:
            _observe(connection, refused)
    return refused


def observe(engine: Engine, chain: Chain, heights: Heights) -> None:
    """Keep what the chain's node just said; an earlier failure is over."""
    with database.begin(engine) as connection:
        _register_one(connection, chain)
        _observe(connection, {chain.name: heights})


def observe_failure(engine: Engine, chain: Chain, error: str) -> None:
    """Keep why the chain's node could not be asked; the heights it said before stay."""
    with database.begin(engine) as connection:
        _register_one(connection, chain)
        _observe(connection, {chain.name: error})


def observe_many(engine: Engine, said: Mapping[str, Heights | str]) -> None:
    """Keep what many nodes just said, by registered chain: heights, or why there are none."""
    with database.begin(engine) as connection:
        _observe(connection, said)


def gaps(
    engine: Engine, chain: Chain, stop: int, *, limit: int = 10_000
) -> dict[str, list[BlockRange]]:
    """Heights missing in [chain.start, stop), for each dataset of the chain.

    Returns:
        Ascending, disjoint ranges by dataset, none where nothing is missing. Of more than `limit`
        the lowest are told, and always the highest.
    """
    found: dict[str, list[BlockRange]] = {dataset: [] for dataset in chain.datasets}
    if stop <= chain.start:
        return found
    bounds = {"start": chain.start, "stop": stop, "limit": limit - 1}
    with database.begin(engine) as connection:
        for dataset, low, high in connection.execute(sa.text(_GAPS), {**_streams(chain), **bounds}):
            found[dataset].append(BlockRange(low, high))
    return found


def watermark(engine: Engine, chain: Chain) -> int | None:
    """Highest height up to which every dataset is merged, inclusive; None before that."""
    with database.begin(engine) as connection:
        height: int | None = connection.execute(sa.text(_WATERMARK), _streams(chain)).scalar()
    return height


def highest(engine: Engine, chain: Chain) -> int | None:
    """Highest height merged for any dataset, gaps below it or not; None before that."""
    query = (
        "SELECT max(merged_last) FROM chainflow.progress"
        " WHERE chain = :chain AND dataset = ANY(CAST(:datasets AS text[]))"
    )
    with database.begin(engine) as connection:
        height: int | None = connection.execute(sa.text(query), _streams(chain)).scalar()
    return height


def rate(engine: Engine, chain: Chain) -> float | None:
    """Blocks per minute over the last hour; None until samples span five minutes of it."""
    query = "SELECT blocks_per_minute FROM chainflow.observed WHERE chain = :chain"
    with database.begin(engine) as connection:
        blocks: float | None = connection.execute(sa.text(query), {"chain": chain.name}).scalar()
    return blocks


def costs(engine: Engine, chain: Chain) -> Costs | None:
    """What a block with all its datasets cost of late; None if no recent slice had them all."""
    with database.begin(engine) as connection:
        seconds, size = connection.execute(sa.text(_COSTS), _streams(chain)).one()
    return None if seconds is None else Costs(seconds, size)


def _streams(chain: Chain) -> dict[str, object]:
    return {"chain": chain.name, "datasets": list(chain.datasets)}


def _register_one(connection: Connection, chain: Chain) -> None:
    refused = _register(connection, [chain])
    if refused:
        raise NameTaken(refused[chain.name])


def _register(connection: Connection, chains: Sequence[Chain]) -> dict[str, str]:
    refused = identity.settle(connection, chains)
    rows = [
        {column: chain.name if column == "chain" else getattr(chain, column) for column in _ENTRY}
        for chain in chains
        if chain.name not in refused
    ]
    entries = {"entries": json.dumps(rows)}
    connection.execute(sa.text(_REGISTER), entries)
    connection.execute(sa.text(_FOLLOW), entries)
    return refused


def _observe(connection: Connection, said: Mapping[str, Heights | str]) -> None:
    rows = [
        {"chain": chain, **({"error": seen} if isinstance(seen, str) else asdict(seen))}
        for chain, seen in said.items()
    ]
    parameters = {"said": json.dumps(rows)}
    for statement in (_OBSERVE, _SAMPLE, _FAILED):
        connection.execute(sa.text(statement), parameters)
