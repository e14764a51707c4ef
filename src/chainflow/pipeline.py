"""Which batches there are to do, and doing them. Joins rooms and has no logic of theirs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from chainflow import clients, datasets, endpoints, heights, line, plan, reorg
from chainflow.errors import InputError, NotYet
from chainflow.store import rewind, trouble
from chainflow.types import Batch, BlockRange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Engine

    from chainflow.line import OnMerge, Secrets, Totals
    from chainflow.store.rewind import Reorg
    from chainflow.types import Chain, Heights

# Airflow maps no task wider than 1024, and a manual run may ask for any range.
_MOST_BATCHES = 1000


def settle(
    engine: Engine, chain: Chain, seen: Heights, connection: Secrets, *, run_id: str
) -> Reorg | None:
    """Forget merged blocks that the chain has replaced since; what, or None if it has none.

    Where the chain calls blocks final there is nothing to ask; elsewhere it costs one block, unless
    there was a reorganisation.

    Raises:
        TransientError: The node failed for now.
        ReorgDetected: More was replaced than `max_reorg_blocks`.
    """
    if chain.finality_tag or heights.highest(engine, chain) is None:
        return None
    (blocks,) = datasets.get(chain.family, ["blocks"])
    height = rewind.highest(engine, chain, blocks.height_column, seen.head)
    if height is None:
        return None

    async def find() -> Reorg | None:
        found = endpoints.resolve(chain.endpoints, connection)
        async with clients.connect(chain, found) as client:
            return await reorg.find(
                engine, chain, client, height, height_column=blocks.height_column
            )

    found = asyncio.run(find())
    if found is not None:
        reorg.forget(engine, chain, found, height_column=blocks.height_column, run_id=run_id)
    return found


def next_batches(engine: Engine, chain: Chain, seen: Heights) -> tuple[Batch, ...]:
    """What the next run takes, up to the target of these heights."""
    target = plan.target(chain, seen)
    if target is None:
        return ()
    return plan.plan(
        chain,
        heights.gaps(engine, chain, target + 1, limit=plan.most_gaps(chain)),
        rate=heights.rate(engine, chain) or chain.blocks_per_minute,
        costs=heights.costs(engine, chain),
    )


def manual_batches(
    engine: Engine, chain: Chain, blocks: BlockRange, names: Sequence[str]
) -> tuple[Batch, ...]:
    """Exactly this range, merged or not, in batches of the usual size; at most 1000 of them."""
    usual = plan.size(
        chain,
        rate=heights.rate(engine, chain) or chain.blocks_per_minute,
        costs=heights.costs(engine, chain),
    )
    fewest = -(-len(blocks) // _MOST_BATCHES)
    return tuple(Batch(part, tuple(names)) for part in blocks.split(max(usual, fewest)))


def ingest(
    engine: Engine,
    chain: Chain,
    batch: Batch,
    connection: Secrets,
    *,
    run_id: str,
    on_merge: OnMerge | None = None,
) -> Totals:
    """Fetch, check and merge one batch, slice by slice; what was merged before an error stays.

    Args:
        engine: The store.
        chain: Whose blocks.
        batch: Which heights, for which datasets.
        connection: From a connection's id to its URL.
        run_id: Who asks; it goes to merge_log.
        on_merge: Told of each slice when its rows are visible: its range, its rows by dataset.

    Raises:
        TransientError: The node or the store failed for now.
        CheckFailed: A slice's rows are wrong; nothing of it was merged, staging keeps them.
        RowsRefused: A table refuses a slice's rows, and no check says why; nothing was merged.
        ReorgDetected: The chain replaced merged blocks that it had called final, or too many.
        Unlinked: What the nodes say stays of another branch than what is merged (transient).
    """
    return asyncio.run(
        line.run(engine, chain, [batch], connection, run_id=run_id, on_merge=on_merge)
    )


def sync(
    engine: Engine,
    chain: Chain,
    blocks: BlockRange,
    connection: Secrets,
    *,
    run_id: str,
    names: Sequence[str] = (),
    on_merge: OnMerge | None = None,
) -> Totals:
    """Merge whatever of a range is missing, gap by gap from the lowest; raises as `ingest` does.

    Of all the chain's datasets, unless `names` says which.
    """
    total = line.Totals()
    wanted = replace(chain, start=blocks.start, datasets=tuple(names) or chain.datasets)
    gaps = partial(heights.gaps, engine, wanted, blocks.stop)
    while missing := plan.segments(trouble.outlast(gaps)):
        part = asyncio.run(
            line.run(engine, chain, missing, connection, run_id=run_id, on_merge=on_merge)
        )
        total.blocks += part.blocks
        total.rows.update(part.rows)
        total.size += part.size
        total.seconds += part.seconds
        total.reorgs += part.reorgs
    return total


def wanted_range(
    chain: Chain, seen: Heights, low: int | None = None, stop: int | None = None
) -> BlockRange | None:
    """The range from `low` (else the chain's start) to before `stop` (else past the target).

    Returns:
        The range; None if nothing is asked for explicitly and nothing is final yet.

    Raises:
        InputError: The bounds are upside down, or below the chain's start.
        NotYet: `low` or `stop` lies above what is final.
    """
    start = chain.start if low is None else low
    if start < chain.start:
        raise InputError(
            f"{chain.name}: height {start} lies below the chain's start {chain.start}; "
            "lower `start` in the registry first"
        )
    if stop is not None and start >= stop:
        raise InputError(
            f"{chain.name}: nothing lies from {start} to before {stop} (expected --from below --to)"
        )
    target = plan.target(chain, seen)
    end = chain.start if target is None else target + 1
    last = low if stop is None else stop - 1
    if last is not None and last >= end:
        raise NotYet(
            f"{chain.name}: height {last} is not final yet: the head is {seen.head} and the "
            f"highest height that may be read is {'none' if target is None else target}; "
            "ask for less, or wait"
        )
    stop = end if stop is None else stop
    return BlockRange(start, stop) if start < stop else None
