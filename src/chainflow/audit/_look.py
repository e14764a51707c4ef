"""Looking at a range of a chain, part by part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chainflow import checks, datasets
from chainflow.audit import _derived, _gaps, _node, _parts, _recounted, _rehashed, _rounds
from chainflow.types import BlockRange

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.engine import Engine

    from chainflow.line import Secrets
    from chainflow.types import Chain, Finding

# From 0, for a row below the start must be found too; and to the end, for one above the head, or
# where nothing is said to be merged: up to the highest height that a bigint holds.
_ALL = BlockRange(0, 2**63 - 1)
_SHOWN_RANGES = 10


@dataclass(frozen=True, slots=True)
class Look:
    """What one part of a range was found to be; `merged` is how many of its heights are merged."""

    blocks: BlockRange
    merged: int
    findings: tuple[Finding, ...]


def merged(engine: Engine, chain: Chain, blocks: BlockRange | None = None) -> int:
    """How many heights of a range (default: all) an audit would look at."""
    wanted = blocks or _ALL
    return sum(part.merged for part in _parts.parts(engine, chain, wanted))


def audit(
    engine: Engine,
    chain: Chain,
    blocks: BlockRange | None = None,
    *,
    connection: Secrets | None = None,
) -> list[Finding]:
    """What fails of a range (default: all), one finding per check and table."""
    found = looks(engine, chain, blocks, connection=connection)
    return checks.joined(finding for look in found for finding in look.findings)


def looks(
    engine: Engine,
    chain: Chain,
    blocks: BlockRange | None = None,
    *,
    connection: Secrets | None = None,
    run_id: str = "",
    shared: bool = False,
) -> Iterator[Look]:
    """Looks at a range, part by part from the lowest; each is logged as it is made.

    What is merged is looked at, and rows and gaps where nothing is merged.

    Args:
        engine: The store.
        chain: Whose rows.
        blocks: Which heights; by default all, and those below the chain's start with them.
        connection: From a connection's id to its URL. If given, the chain's node is asked for each
            height again, and every row held against what it says.
        run_id: Who asks, for the log.
        shared: Whether the range is a share of all, others being looked at by other runs: then a
            merged slice that only ends in it is counted as a whole, and gaps are the planner's,
            which fills some while others are left.

    Raises:
        WorkError: The store or the node failed; the parts looked at before are logged.
    """
    wanted = blocks or _ALL
    every = datasets.get(chain.family, chain.datasets)
    found = _parts.detached(engine, chain, every)
    found += [] if shared else _gaps.findings(engine, chain, wanted)
    rehash = _rehashed.Rehash(chain)
    entry = _rounds.begin(engine, chain, run_id, node=bool(connection))
    for part in _parts.parts(engine, chain, wanted):
        there, missing = _parts.there(engine, chain, every, part.blocks)
        found += missing
        found += checks.audit(engine, chain, there, part.blocks)
        if part.merged:
            lowest = 0 if shared else wanted.start
            found += _recounted.findings(engine, chain, there, part.blocks, lowest)
            found += _derived.findings(engine, chain, there, part.blocks)
            found += rehash.findings(engine, there, part.blocks)
            if connection:
                found += _node.findings(engine, chain, there, part.blocks, connection)
        if part.merged or found:
            _rounds.looked(engine, chain, entry, part, found)
        yield Look(part.blocks, part.merged, tuple(found))
        found = []


def told(findings: Sequence[Finding]) -> list[str]:
    """A line for each finding: table, check, how many rows, which ranges, and some in words."""
    return [
        f"{one.table}: {one.check}: {one.count} failing in {_some(one.ranges)}: {one.sample}"
        for one in findings
    ]


def _some(ranges: Sequence[BlockRange]) -> str:
    shown = ", ".join(map(str, ranges[:_SHOWN_RANGES]))
    more = len(ranges) - _SHOWN_RANGES
    return f"{shown} and {more:,} more ranges" if more > 0 else shown or "no height"
