"""Is every height below the highest merged one merged too?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from chainflow import checks, heights
from chainflow.types import Finding

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from chainflow.types import BlockRange, Chain

GAP = "gap"


def findings(engine: Engine, chain: Chain, blocks: BlockRange) -> list[Finding]:
    """The gaps of a range, by dataset; `count` is of heights."""
    highest = heights.highest(engine, chain)
    if highest is None:
        return []
    asked = replace(chain, start=max(chain.start, blocks.start))
    stop = min(blocks.stop, highest + 1)
    found: list[Finding] = []
    for dataset, gaps in heights.gaps(engine, asked, stop, limit=checks.MOST_RANGES).items():
        if gaps:
            count = sum(map(len, gaps))
            sample = f"not merged, though heights up to {highest} are"
            label = f"{chain.name}.{dataset}"
            found.append(Finding(GAP, label, count, sample, ranges=tuple(gaps)))
    return found
