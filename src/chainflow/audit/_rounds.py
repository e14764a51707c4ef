"""What was looked at and when: the log of audits, and the share of each chain that is next."""

from __future__ import annotations

import logging
import secrets
from math import ceil
from typing import TYPE_CHECKING

import sqlalchemy as sa

from chainflow.store import database
from chainflow.types import BlockRange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Engine

    from chainflow.audit._parts import Part
    from chainflow.types import Chain, Finding

log = logging.getLogger(__name__)

RUN_MINUTES = 60
"""How far apart the runs are that take a share each."""

# What a run takes at least: a small chain's round then ends early, and the rest of it is idle.
_LEAST_HEIGHTS = 1_000

_BEGIN = """
INSERT INTO chainflow.audit_log (chain, run_id, against_node) VALUES (:chain, :run_id, :node)
RETURNING id
"""

_LOOKED = """
UPDATE chainflow.audit_log SET looked = looked + int8multirange(int8range(:low, :stop)),
  row_count = row_count + :count, ended_at = clock_timestamp(), failing = failing + coalesce((
    SELECT range_agg(int8range(f.low, f.stop))
    FROM unnest(CAST(:lows AS bigint[]), CAST(:stops AS bigint[])) AS f (low, stop)), '{}')
WHERE id = :id
"""

_ROUND = """
INSERT INTO chainflow.audit AS a (chain, looked) VALUES (:chain,
  int8multirange(int8range(:low, :stop)))
ON CONFLICT (chain) DO UPDATE SET looked = a.looked + excluded.looked
"""

# A round is over when its days have passed and no more than a share is left: what came since the
# last run, for there is always something new.
_SHARE = """
WITH there AS (
  SELECT coalesce(range_agg(run), '{}') AS merged
  FROM chainflow.progress p, unnest(p.merged) AS run
  WHERE p.chain = :chain AND p.dataset = ANY(:datasets)
), at AS (
  INSERT INTO chainflow.audit AS a (chain) VALUES (:chain)
  ON CONFLICT (chain) DO UPDATE SET
    (began_at, looked) = (SELECT
      CASE WHEN over THEN now() ELSE a.began_at END, CASE WHEN over THEN '{}' ELSE a.looked END
      FROM (SELECT now() >= a.began_at + make_interval(days => :days)
        AND (SELECT coalesce(sum(upper(r) - lower(r)), 0) FROM unnest(there.merged - a.looked) AS r)
          <= greatest(:least, (SELECT coalesce(sum(upper(r) - lower(r)), 0)
            FROM unnest(there.merged) AS r) / (:days * 24)) AS over FROM there) o)
  RETURNING looked, extract(epoch FROM began_at + make_interval(days => :days) - now()) AS seconds
)
SELECT lower(r), upper(r), at.seconds::float8 FROM at, there, unnest(there.merged - at.looked) AS r
ORDER BY 1
"""


# What came since the last run is not late; see _SHARE.
_OVERDUE = """
WITH there AS (
  SELECT coalesce(range_agg(run), '{}') AS merged
  FROM chainflow.progress p, unnest(p.merged) AS run
  WHERE p.chain = :chain AND p.dataset = ANY(:datasets)
), counted AS (
  SELECT (SELECT coalesce(sum(upper(r) - lower(r)), 0) FROM unnest(merged) AS r) AS whole,
    (SELECT coalesce(sum(upper(r) - lower(r)), 0) FROM unnest(merged - a.looked) AS r) AS lacking
  FROM there, chainflow.audit a
  WHERE a.chain = :chain AND now() >= a.began_at + make_interval(days => :days)
)
SELECT lacking::bigint FROM counted WHERE lacking > greatest(:least, whole / (:days * 24))
"""


def begin(engine: Engine, chain: Chain, run_id: str, *, node: bool) -> int:
    """A new entry in the log of audits; its id."""
    with database.begin(engine) as connection:
        entry: int = connection.execute(
            sa.text(_BEGIN), {"chain": chain.name, "run_id": run_id, "node": node}
        ).scalar_one()
    return entry


def looked(
    engine: Engine, chain: Chain, entry: int, part: Part, findings: Sequence[Finding]
) -> None:
    """Keep that a part was looked at, and what of it fails.

    What is not merged yet is still to be looked at in this round, once it is.
    """
    blocks = part.blocks
    ranges = [one for finding in findings for one in finding.ranges]
    bounds = {"low": blocks.start, "stop": blocks.stop}
    failing = {"lows": [one.start for one in ranges], "stops": [one.stop for one in ranges]}
    count = sum(finding.count for finding in findings)
    with database.begin(engine) as connection:
        connection.execute(sa.text(_LOOKED), {"id": entry, "count": count, **bounds, **failing})
        if part.merged:
            connection.execute(sa.text(_ROUND), {"chain": chain.name, **bounds})


def overdue(engine: Engine, chain: Chain) -> int:
    """How many merged heights nobody looked at within `audit_days` though the days are over."""
    if not chain.audit_days:
        return 0
    streams = {"chain": chain.name, "datasets": list(chain.datasets)}
    pace = {"days": chain.audit_days, "least": _LEAST_HEIGHTS}
    with database.begin(engine) as connection:
        found: int | None = connection.execute(sa.text(_OVERDUE), {**streams, **pace}).scalar()
    return found or 0


def share(engine: Engine, chain: Chain) -> list[BlockRange]:
    """The ranges that the next run of the audit looks at, ascending.

    They are what this round has not looked at yet, as much of it from the lowest height up as a run
    must take so that the round ends within `audit_days`; nothing once it has ended early.
    """
    if not chain.audit_days:
        return []
    streams = {"chain": chain.name, "datasets": list(chain.datasets)}
    pace = {"days": chain.audit_days, "least": _LEAST_HEIGHTS}
    with database.begin(engine) as connection:
        left = connection.execute(sa.text(_SHARE), {**streams, **pace}).all()
    if not left:
        return []
    if late := overdue(engine, chain):
        log.warning("audit overdue chain=%s heights=%d days=%d", chain.name, late, chain.audit_days)
    runs = max(1.0, left[0][2] / 60 / RUN_MINUTES)
    heights = max(_LEAST_HEIGHTS, ceil(sum(stop - low for low, stop, _ in left) / runs))
    found: list[BlockRange] = []
    for low, stop, _ in left:
        if heights <= 0:
            break
        found.append(BlockRange(low, min(stop, low + heights)))
        heights -= len(found[-1])
    return found


def divided(blocks: BlockRange, percent: float) -> list[tuple[BlockRange, bool]]:
    """A range in up to three, ascending, and of which the node is asked: so many per cent of it.

    Where these lie is left to chance, so that in every round they are others.
    """
    count = ceil(len(blocks) * percent / 100)
    if not count:
        return [(blocks, False)]
    low = secrets.choice(range(blocks.start, blocks.stop - count + 1))
    cuts = [(blocks.start, low, False), (low, low + count, True), (low + count, blocks.stop, False)]
    return [(BlockRange(start, stop), asked) for start, stop, asked in cuts if start < stop]
