"""Proof of what is stored, and reading again what fails it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from chainflow import checks, datasets, heights, pipeline
from chainflow.types import Batch, BlockRange

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.engine import Engine

    from chainflow.types import Chain, Finding


def audit(engine: Engine, chain: Chain) -> list[Finding]:
    """What fails of all the chain's merged rows; [] also where nothing is merged."""
    highest = heights.highest(engine, chain)
    if highest is None:
        return []
    # From 0, for a row below the start must be found too.
    wanted = datasets.get(chain.family, chain.datasets)
    return checks.audit(engine, chain, wanted, BlockRange(0, highest + 1))


def repair(
    engine: Engine,
    chain: Chain,
    findings: Sequence[Finding],
    connection: Callable[[str], str],
) -> list[Finding]:
    """Read again every height that findings name, until none is left; what could not be mended.

    A finding names a few of its heights only, so the audit is repeated while it finds others.
    """
    seen: set[tuple[int, ...]] = set()
    run_id = f"repair-{secrets.token_hex(4)}"
    while findings:
        wrong = tuple(sorted({height for finding in findings for height in finding.heights}))
        if not wrong or wrong in seen:
            break
        seen.add(wrong)
        for blocks in _around(chain, wrong, heights.highest(engine, chain) or 0):
            batch = Batch(blocks, chain.datasets)
            pipeline.ingest(engine, chain, batch, connection, run_id=run_id)
        findings = audit(engine, chain)
    return list(findings)


def _around(chain: Chain, wrong: Sequence[int], highest: int) -> list[BlockRange]:
    """Ranges that hold the heights and one neighbour on each side: a broken link has two ends."""
    ranges: list[BlockRange] = []
    for height in wrong:
        low, stop = max(chain.start, height - 1), min(height + 1, highest) + 1
        if low >= stop:
            continue
        if ranges and low <= ranges[-1].stop:
            ranges[-1] = BlockRange(ranges[-1].start, max(stop, ranges[-1].stop))
        else:
            ranges.append(BlockRange(low, stop))
    return ranges
