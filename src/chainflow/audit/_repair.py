"""Reading again what an audit found to be damaged, and nothing else."""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from chainflow import checks, datasets, pipeline, plan, poll
from chainflow.audit._look import audit
from chainflow.audit._recounted import REPAIR
from chainflow.checks import MOST_RANGES
from chainflow.errors import CheckFailed, ReorgDetected, StoreUnavailable, WorkError
from chainflow.store import damage, database
from chainflow.types import Batch, BlockRange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy.engine import Engine

    from chainflow.line import Secrets
    from chainflow.types import Chain, Finding

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

    Rows of heights that are not merged are removed, and heights above what may be read now, where
    something fails, are merged no longer. A range that cannot be read keeps no other from it. A
    slice that lacks rows nobody can point at is read again whole, once what can be pointed at is
    mended and it still lacks some.

    Args:
        engine: The store.
        chain: Whose rows.
        findings: As `audit` gave them.
        connection: From a connection's id to its URL.
        against_node: Whether the node is asked in the new look as well.
        on_merge: Told of each range whose rows are new.

    Raises:
        WorkError: The node or the store failed, for a range or for all; what is mended stays so.
    """
    repaired = _Repair(engine, chain, connection, on_merge)
    node = connection if against_node else None
    left, done = list(findings), []
    while left:
        wanted = _wanted(left)
        if wanted in done:
            break
        done.append(wanted)
        repaired.remove_strays(left)
        if wanted:
            repaired.forget_above(wanted)
            repaired.read_again(wanted)
        whole = any(len(finding.ranges) >= MOST_RANGES for finding in left)
        looked = [None] if whole else _union(_around(blocks) for f in left for blocks in f.ranges)
        left = checks.joined(
            finding
            for blocks in looked
            for finding in audit(engine, chain, blocks, connection=node)
        )
    for trouble in repaired.failed.values():
        raise trouble
    return left


class _Repair:
    """A repair under way: what it does to a chain's rows, and the ranges that it failed at."""

    def __init__(
        self,
        engine: Engine,
        chain: Chain,
        connection: Secrets,
        on_merge: Callable[[BlockRange], None] | None,
    ) -> None:
        self.failed: dict[BlockRange, WorkError] = {}
        self._engine = engine
        self._chain = chain
        self._connection = connection
        self._on_merge = on_merge
        self._run_id = f"{REPAIR}{secrets.token_hex(4)}"
        self._tables = {d.name: d for d in datasets.get(chain.family, chain.datasets)}

    def remove_strays(self, findings: Iterable[Finding]) -> None:
        """Remove rows of heights that are not merged."""
        for finding in findings:
            if finding.check == _STRAYS:
                dataset = self._tables[finding.table.rpartition(".")[2]]
                for blocks in finding.ranges:
                    damage.remove_unmerged(self._engine, self._chain, dataset, blocks)

    def forget_above(self, wanted: Sequence[BlockRange]) -> None:
        """Make gaps of what is wanted above the target: no node could give it, a later run will."""
        target = plan.target(self._chain, poll.observe(self._engine, self._chain, self._connection))
        if target is None or wanted[-1].last <= target:
            return
        above = [
            BlockRange(max(blocks.start, target + 1), blocks.stop)
            for blocks in wanted
            if blocks.last > target
        ]
        for batch in self._merged(above):
            self._forget(batch, f"above {target}")

    def read_again(self, wanted: Sequence[BlockRange]) -> None:
        """Replace the rows of all ranges at which it has not failed before."""
        for batch in self._merged(wanted):
            if batch.blocks in self.failed:
                continue
            try:
                self._read_again(batch)
            except StoreUnavailable:
                raise
            except WorkError as error:
                text = "not repaired chain=%s range=%s reason=%s"
                log.warning(text, self._chain.name, batch.blocks, error)
                self.failed[batch.blocks] = error
            else:
                if self._on_merge:
                    self._on_merge(batch.blocks)

    def _read_again(self, batch: Batch) -> None:
        """Replace a range's rows; where they cannot link to damaged ones beside, without those."""
        # Rows that were changed behind our back are no reorganisation, which is forgotten whole.
        final = replace(self._chain, finality_tag=self._chain.finality_tag or "finalized")
        try:
            self._ingest(final, batch)
        except (CheckFailed, ReorgDetected) as error:
            self._forget(batch, str(error))
            self._ingest(self._chain, batch)

    def _ingest(self, chain: Chain, batch: Batch) -> None:
        pipeline.ingest(self._engine, chain, batch, self._connection, run_id=self._run_id)

    def _forget(self, batch: Batch, reason: str) -> None:
        text = "forgotten chain=%s range=%s reason=%s"
        log.warning(text, self._chain.name, batch.blocks, reason)
        for name in batch.datasets:
            damage.forget(self._engine, self._chain, self._tables[name], batch.blocks)

    def _merged(self, wanted: Sequence[BlockRange]) -> list[Batch]:
        """The merged parts of the ranges: what is not merged is the planner's."""
        tables = list(self._tables.values())
        with database.begin(self._engine) as connection:
            return [
                Batch(part, tuple(names))
                for blocks in wanted
                for part, names in checks.segments(connection, self._chain, tables, blocks)
            ]


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
