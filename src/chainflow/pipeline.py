"""The straight line: fetch, decode, stage, check, merge. Joins rooms and has no logic of theirs."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from chainflow import checks, clients, endpoints, heights, plan
from chainflow import datasets as tables_of
from chainflow.errors import ChainflowError, CheckFailed, InputError, NotYet, ReorgDetected
from chainflow.store import batch as batches
from chainflow.store import tables
from chainflow.types import Batch, BlockRange

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence

    from sqlalchemy.engine import Engine

    from chainflow.clients import Client
    from chainflow.types import Chain, Dataset, Heights, RawBlock

    Secrets = Callable[[str], str]
    OnMerge = Callable[[BlockRange, Mapping[str, int]], None]

log = logging.getLogger(__name__)

# What a kill costs at most twice: one slice is being merged, one staged. Memory holds the blocks
# and columns of one, and what the client reads ahead.
SLICE_BYTES = 24 * 1024 * 1024
# Deeper than any chain that has no finality tag was ever seen to reorganise in practice.
DEEPEST_REORG = 512
# Airflow maps no task wider than 1024, and a manual run may ask for any range.
_MOST_BATCHES = 1000


@dataclass(slots=True)
class Totals:
    """What an ingest merged: blocks, rows by dataset, bytes of node answers, wall-clock seconds."""

    blocks: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    size: int = 0
    seconds: float = 0.0
    _marked: float = field(default_factory=time.monotonic, repr=False)

    def lap(self) -> float:
        """Seconds since this was asked last: what a slice took, its share of waiting included."""
        before, self._marked = self._marked, time.monotonic()
        return self._marked - before


def observe(engine: Engine, chain: Chain, connection: Secrets) -> Heights:
    """The heights the chain's node says it has, kept in the store.

    Raises:
        ChainflowError: The node could not be asked; the store then holds why.
    """
    return asyncio.run(_observe(engine, chain, connection))


def observe_all(
    engine: Engine, chains: Iterable[Chain], connection: Secrets
) -> dict[str, Heights | str]:
    """Heights of all live chains, asked at once; for one that could not be asked, why.

    Retired chains are registered, so that they stand in the lag table, and never asked.
    """
    every = list(chains)
    heights.register(engine, every)
    live = [chain for chain in every if chain.status == "live"]

    async def one(chain: Chain) -> Heights | str:
        try:
            return await _observe(engine, chain, connection)
        except ChainflowError as error:
            return str(error)

    async def all_at_once() -> list[Heights | str]:
        return await asyncio.gather(*(one(chain) for chain in live))

    return dict(zip([chain.name for chain in live], asyncio.run(all_at_once()), strict=True))


def next_batches(engine: Engine, chain: Chain, seen: Heights) -> tuple[Batch, ...]:
    """What the next run takes, up to the target of these heights."""
    target = plan.target(chain, seen)
    if target is None:
        return ()
    return plan.plan(
        chain,
        heights.gaps(engine, chain, target + 1),
        rate=heights.rate(engine, chain) or chain.blocks_per_minute,
        costs=heights.costs(engine, chain),
    )


def manual_batches(
    engine: Engine, chain: Chain, blocks: BlockRange, datasets: Sequence[str]
) -> tuple[Batch, ...]:
    """Exactly this range, merged or not, in batches of the usual size; at most 1000 of them."""
    usual = plan.size(
        chain,
        rate=heights.rate(engine, chain) or chain.blocks_per_minute,
        costs=heights.costs(engine, chain),
    )
    fewest = -(-len(blocks) // _MOST_BATCHES)
    return tuple(Batch(part, tuple(datasets)) for part in blocks.split(max(usual, fewest)))


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
        CheckFailed: A slice's rows are wrong; nothing of it was merged, its staged rows are kept.
        ReorgDetected: The chain replaced merged blocks that it had called final, or too many.
    """
    return asyncio.run(
        _ingest_all(engine, chain, [batch], connection, run_id=run_id, on_merge=on_merge)
    )


def sync(
    engine: Engine,
    chain: Chain,
    blocks: BlockRange,
    connection: Secrets,
    *,
    run_id: str,
    on_merge: OnMerge | None = None,
) -> Totals:
    """Merge whatever of a range is missing, gap by gap from the lowest; raises as `ingest` does."""
    total = Totals()
    wanted = replace(chain, start=blocks.start)
    while missing := plan.segments(heights.gaps(engine, wanted, blocks.stop)):
        part = asyncio.run(
            _ingest_all(engine, chain, missing, connection, run_id=run_id, on_merge=on_merge)
        )
        total.blocks += part.blocks
        total.rows.update(part.rows)
        total.size += part.size
        total.seconds += part.seconds
    return total


def wanted_range(
    chain: Chain, seen: Heights, low: int | None = None, stop: int | None = None
) -> BlockRange | None:
    """The range from `low` (else the chain's start) to before `stop` (else past the target).

    Returns:
        The range; None if nothing is asked for explicitly and nothing is final yet.

    Raises:
        InputError: The bounds are upside down, or below the chain's start.
        NotYet: `stop` lies above what is final.
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
    if stop is not None and stop > end:
        raise NotYet(
            f"{chain.name}: height {stop - 1} is not final yet: the head is {seen.head} and the "
            f"highest height that may be read is {'none' if target is None else target}; "
            "ask for less, or wait"
        )
    stop = end if stop is None else stop
    return BlockRange(start, stop) if start < stop else None


async def _observe(engine: Engine, chain: Chain, connection: Secrets) -> Heights:
    try:
        found = endpoints.resolve(chain.endpoints, connection)
        async with clients.connect(chain, found) as client:
            seen = await client.heights()
    except ChainflowError as error:
        await asyncio.to_thread(heights.observe_failure, engine, chain, str(error))
        raise
    await asyncio.to_thread(heights.observe, engine, chain, seen)
    return seen


async def _ingest_all(
    engine: Engine,
    chain: Chain,
    wanted: Sequence[Batch],
    connection: Secrets,
    *,
    run_id: str,
    on_merge: OnMerge | None,
) -> Totals:
    """Every batch in turn; while one slice is decoded and merged, the next is being fetched."""
    total, began = Totals(), time.monotonic()
    # Blocks are many small objects without cycles: looking for some costs a tenth of the work.
    usual = gc.get_threshold()
    gc.set_threshold(200_000, 50, 100)
    found = endpoints.resolve(chain.endpoints, connection)
    try:
        async with clients.connect(chain, found) as client:
            for batch in wanted:
                datasets = tables_of.get(chain.family, batch.datasets)
                await asyncio.to_thread(tables.ensure, engine, chain, datasets)
                line = _Line(engine, chain, datasets, run_id, on_merge, total)
                await _ingest_linked(line, client, batch)
    finally:
        gc.set_threshold(*usual)
        total.seconds = time.monotonic() - began
    return total


async def _ingest_linked(line: _Line, client: Client, batch: Batch) -> None:
    """One batch, begun lower and lower until it links to what is merged below it.

    Only where the chain itself calls nothing final; elsewhere a broken link is an error.
    """
    depth = 0
    while True:
        low = max(line.chain.start, batch.blocks.start - depth)
        wider = Batch(BlockRange(low, batch.blocks.stop), batch.datasets)
        try:
            return await _ingest_once(line, client, wider)
        except ReorgDetected as error:
            if line.chain.finality_tag or depth >= DEEPEST_REORG or low == line.chain.start:
                raise
            log.warning("reorganised chain=%s range=%s reason=%s", line.chain.name, wider, error)
            depth = max(1, 2 * depth)


async def _ingest_once(line: _Line, client: Client, batch: Batch) -> None:
    """One batch: while a slice is merged, the next is staged and the one after it fetched."""
    merging: asyncio.Task[None] | None = None
    try:
        async with aclosing(client.fetch(batch.blocks, batch.datasets)) as blocks:
            async for part in _slices(blocks):
                slice_ = await asyncio.to_thread(line.stage, part)
                if merging:
                    await merging
                merging = asyncio.create_task(asyncio.to_thread(line.merge, slice_))
    finally:
        if merging:
            await merging


async def _slices(blocks: AsyncGenerator[RawBlock, None]) -> AsyncGenerator[list[RawBlock], None]:
    """Consecutive blocks, as many as stay within a slice's bytes; at least one."""
    part: list[RawBlock] = []
    size = 0
    async for block in blocks:
        if part and size + block.size > SLICE_BYTES:
            yield part
            part, size = [], 0
        part.append(block)
        size += block.size
    if part:
        yield part


@dataclass(frozen=True, slots=True)
class _Line:
    """Where slices go once they are fetched."""

    engine: Engine
    chain: Chain
    datasets: tuple[Dataset, ...]
    run_id: str
    on_merge: OnMerge | None
    total: Totals

    def stage(self, blocks: list[RawBlock]) -> _Slice:
        """Decode blocks and write their rows unseen; the list is emptied on the way."""
        range_ = BlockRange(blocks[0].height, blocks[-1].height + 1)
        size = sum(block.size for block in blocks)
        rows = {dataset.name: dataset.decode(blocks) for dataset in self.datasets}
        blocks.clear()
        return _Slice(batches.stage(self.engine, self.chain, self.datasets, range_, rows), size)

    def merge(self, slice_: _Slice) -> None:
        """Check and merge what is staged, and count it."""
        staged, blocks = slice_.staged, slice_.staged.blocks
        _require_sound(self.engine, staged)
        seconds = self.total.lap()
        batches.merge(self.engine, staged, size=slice_.size, seconds=seconds, run_id=self.run_id)
        counts = {name: table.rows for name, table in staged.tables.items()}
        log.info(
            "merged chain=%s range=%s rows=%d bytes=%d elapsed_ms=%d",
            self.chain.name,
            blocks,
            sum(counts.values()),
            slice_.size,
            1000 * seconds,
        )
        self.total.blocks += len(blocks)
        self.total.rows.update(counts)
        self.total.size += slice_.size
        if self.on_merge:
            self.on_merge(blocks, counts)


@dataclass(frozen=True, slots=True)
class _Slice:
    """A slice whose rows are staged, and the bytes its node sent for it."""

    staged: batches.Staged
    size: int


def _require_sound(engine: Engine, staged: batches.Staged) -> None:
    findings = checks.run(engine, staged)
    if not findings:
        return
    chain, blocks = staged.chain, staged.blocks
    failed = CheckFailed(chain.name, blocks, findings)
    if {(f.check, f.heights) for f in findings} != {("linked", (blocks.start,))}:
        raise failed
    batches.drop(engine, staged)
    raise ReorgDetected(
        f"{chain.name} {blocks}: {findings[0].sample}: the chain was reorganised below height "
        f"{blocks.start} after it was merged; nothing more is merged"
    )
