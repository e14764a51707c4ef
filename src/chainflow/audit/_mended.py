"""Making right what an audit found: tables attached, damage read again, gaps filled."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from chainflow import checks, datasets, pipeline
from chainflow.audit import _repair
from chainflow.audit._gaps import GAP
from chainflow.audit._look import audit
from chainflow.audit._parts import ATTACHED
from chainflow.audit._recounted import REPAIR
from chainflow.store import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.engine import Engine

    from chainflow.line import Secrets
    from chainflow.types import BlockRange, Chain, Finding


def repair(
    engine: Engine,
    chain: Chain,
    findings: Sequence[Finding],
    connection: Secrets,
    *,
    against_node: bool = False,
    on_merge: Callable[[BlockRange], None] | None = None,
) -> list[Finding]:
    """Attach, read again and fill what findings name, and look at it again; what is still wrong.

    Damage comes before gaps, for blocks that fill one must link to those above it.

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
    if any(one.check == ATTACHED for one in findings):
        tables.ensure(engine, chain, datasets.get(chain.family, chain.datasets))
    damage = [one for one in findings if one.check not in (ATTACHED, GAP)]
    left: list[Finding] = []
    if damage:
        mended = _repair.repair(
            engine, chain, damage, connection, against_node=against_node, on_merge=on_merge
        )
        left += [one for one in mended if one.check != GAP]
    gaps = [one for one in findings if one.check == GAP]
    return checks.joined([*left, *_filled(engine, chain, gaps, connection, on_merge)])


def _filled(
    engine: Engine,
    chain: Chain,
    gaps: Sequence[Finding],
    connection: Secrets,
    on_merge: Callable[[BlockRange], None] | None,
) -> list[Finding]:
    """Merge what the gaps lack, of all their datasets at once; what is wrong of it then."""
    names = [one.table.rpartition(".")[2] for one in gaps]
    ranges = sorted({blocks for one in gaps for blocks in one.ranges})
    run_id = f"{REPAIR}{secrets.token_hex(4)}"
    for blocks in ranges:
        merged = pipeline.sync(engine, chain, blocks, connection, run_id=run_id, names=names)
        if on_merge and merged.blocks:
            on_merge(blocks)
    return [one for blocks in ranges for one in audit(engine, chain, blocks)]
