"""Reading again what an audit found to be damaged, and nothing else."""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from chainflow import checks, datasets, pipeline
from chainflow.audit._look import audit
from chainflow.audit._recounted import REPAIR
from chainflow.checks import MOST_RANGES
from chainflow.errors import CheckFailed, ReorgDetected
from chainflow.store import damage, database
from chainflow.types import Batch, BlockRange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy.engine import Engine

    from chainflow.line import Secrets
    from chainflow.types import Chain, Dataset, Finding

log = logging.getLogger(__name__)

_STRAYS = "recorded"


def repair(
    engine: Engine,
    chain: Chain,
    findings: Sequence[Finding],
    connection: Secrets,
    *,
    against_node: bool = False,
    on_merge: Callable[[BlockRange], None] | None = None,
) -> list[Finding]:
    """Read again the ranges that findings name, and look at them again; what is still wrong.

    Rows of heights that are not merged are removed. A slice that lacks rows nobody can point at is
    read again whole, once what can be pointed at is mended and it still lacks some.

    Args:
        engine: The store.
        chain: Whose rows.
        findings: As `audit` gave them.
        connection: From a connection's id to its URL.
        against_node: Whether the node is asked in the new look as well.
        on_merge: Told of each range whose rows are new.

    Raises:
        WorkError: The node or the store failed; what is mended stays so.
    """
    run_id = f"{REPAIR}{secrets.token_hex(4)}"
    tables = {d.name: d for d in datasets.get(chain.family, chain.datasets)}
    left, done = list(findings), []
    while left:
        wanted = _wanted(left)
        if wanted in done:
            break
        done.append(wanted)
        for finding in left:
            if finding.check == _STRAYS:
                dataset = tables[finding.table.rpartition(".")[2]]
                for blocks in finding.ranges:
                    damage.remove_unmerged(engine, chain, dataset, blocks)
        for batch in _merged(engine, chain, list(tables.values()), wanted):
            _read_again(engine, chain, batch, connection, tables, run_id)
            if on_merge:
                on_merge(batch.blocks)
        whole = any(len(finding.ranges) >= MOST_RANGES for finding in left)
        looked = [None] if whole else _union(_around(blocks) for f in left for blocks in f.ranges)
        node = connection if against_node else None
        left = checks.joined(
            finding
            for blocks in looked
            for finding in audit(engine, chain, blocks, connection=node)
        )
    return left


def _wanted(findings: Sequence[Finding]) -> list[BlockRange]:
    """The ranges to read again, as exactly as the findings tell."""
    exact = [f for f in findings if f.check not in ("recounted", _STRAYS)]
    found = exact or [f for f in findings if f.check != _STRAYS]
    # Which of two blocks that do not link is wrong is not known.
    return _union(
        BlockRange(max(0, blocks.start - 1), blocks.stop) if f.check == "linked" else blocks
        for f in found
        for blocks in f.ranges
    )


def _merged(
    engine: Engine, chain: Chain, tables: Sequence[Dataset], wanted: Sequence[BlockRange]
) -> list[Batch]:
    """The merged parts of the ranges: what is not merged is the planner's."""
    with database.begin(engine) as connection:
        return [
            Batch(part, tuple(names))
            for blocks in wanted
            for part, names in checks.segments(connection, chain, tables, blocks)
        ]


def _read_again(
    engine: Engine,
    chain: Chain,
    batch: Batch,
    connection: Secrets,
    tables: dict[str, Dataset],
    run_id: str,
) -> None:
    """Replace a range's rows; where a slice cannot link to damaged ones above it, without them."""
    # Rows that were changed behind our back are no reorganisation, which would be forgotten whole.
    final = replace(chain, finality_tag=chain.finality_tag or "finalized")
    try:
        pipeline.ingest(engine, final, batch, connection, run_id=run_id)
    except (CheckFailed, ReorgDetected) as error:
        log.warning("forgotten chain=%s range=%s reason=%s", chain.name, batch.blocks, error)
        for name in batch.datasets:
            damage.forget(engine, chain, tables[name], batch.blocks)
        pipeline.ingest(engine, chain, batch, connection, run_id=run_id)


def _around(blocks: BlockRange) -> BlockRange:
    return BlockRange(max(0, blocks.start - 1), min(blocks.stop + 1, 2**63 - 1))


def _union(ranges: Iterable[BlockRange]) -> list[BlockRange]:
    """The same heights, ascending, in ranges that do not touch."""
    found: list[BlockRange] = []
    for blocks in sorted(ranges):
        if found and blocks.start <= found[-1].stop:
            found[-1] = BlockRange(found[-1].start, max(found[-1].stop, blocks.stop))
        else:
            found.append(blocks)
    return found
