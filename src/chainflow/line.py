"""The straight line of one batch: fetch, decode, check and merge, slice by slice."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from chainflow import checks, clients, cross_check, endpoints, reorg
from chainflow import datasets as tables_of
from chainflow.errors import (
    CheckFailed,
    MalformedAnswer,
    ReorgDetected,
    RowsRefused,
    Unlinked,
    WorkError,
)
from chainflow.store import batch as batches
from chainflow.store import database, rewind, tables
from chainflow.store.trouble import outlast_in_thread
from chainflow.types import Batch, BlockRange

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from sqlalchemy.engine import Connection, Engine

    from chainflow.clients import Client
    from chainflow.cross_check import CrossCheck
    from chainflow.store.batch import Slice
    from chainflow.store.rewind import Reorg
    from chainflow.types import Chain, Dataset, RawBlock

Secrets = Callable[[str], str]
"""From a connection's id to its URL."""

OnMerge = Callable[[BlockRange, Mapping[str, int]], None]
"""Told of each slice when its rows are visible: its range, its rows by dataset."""

log = logging.getLogger(__name__)

# What a kill costs at most twice: one slice is being merged, one decoded. Memory holds the columns
# of both, the blocks of one, and what the client reads ahead.
SLICE_BYTES = 24 * 1024 * 1024
# Before a batch is begun anew that did not link although nothing was replaced, in seconds; so many
# times it is begun anew at all.
_PAUSES = (0.25, 0.5, 1.0, 2.0)


@dataclass(slots=True)
class Totals:
    """What was merged: blocks, rows by dataset, bytes of node answers, wall-clock seconds.

    And which reorganisations were met on the way.
    """

    blocks: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    size: int = 0
    seconds: float = 0.0
    reorgs: list[Reorg] = field(default_factory=list)
    _marked: float = field(default_factory=time.monotonic, repr=False)

    def lap(self) -> float:
        """Seconds since this was asked last: what a slice took, its share of waiting included."""
        before, self._marked = self._marked, time.monotonic()
        return self._marked - before


async def run(
    engine: Engine,
    chain: Chain,
    wanted: Sequence[Batch],
    connection: Secrets,
    *,
    run_id: str,
    on_merge: OnMerge | None,
) -> Totals:
    """Every batch in turn; while one slice is decoded and merged, the next is being fetched.

    Args and errors are those of `pipeline.ingest`.
    """
    total, began = Totals(), time.monotonic()
    # Blocks are many small objects without cycles: looking for some costs a tenth of the work.
    usual = gc.get_threshold()
    gc.set_threshold(200_000, 50, 100)
    # Arrow's own pool gives pages back that the next slice asks for again, cleared.
    pool = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    found = endpoints.resolve(chain.endpoints, connection)
    try:
        with database.kept(engine) as store:
            async with (
                clients.connect(chain, found) as client,
                cross_check.opened(chain, found) as witness,
            ):
                for batch in wanted:
                    datasets = tables_of.get(chain.family, batch.datasets)
                    await outlast_in_thread(partial(tables.ensure, store, chain, datasets))
                    line = _Line(store, chain, datasets, run_id, on_merge, total, witness)
                    await _linked(line, client, batch)
    finally:
        gc.set_threshold(*usual)
        pa.set_memory_pool(pool)
        total.seconds = time.monotonic() - began
    return total


async def _linked(line: _Line, client: Client, batch: Batch) -> None:
    """One batch; where the chain has replaced merged blocks beside it, those too.

    Only where the chain itself calls nothing final; elsewhere a broken link is an error.
    """
    blocks, pauses = batch.blocks, list(_PAUSES)
    while True:
        before = line.total.blocks
        try:
            return await _once(line, client, Batch(blocks, batch.datasets))
        except (Unlinked, MalformedAnswer) as error:
            # Blocks that were read before and after a reorganisation do not link either.
            if line.chain.finality_tag or not pauses:
                raise
            start = blocks.start + line.total.blocks - before
            found = await _fork(line, client, start, blocks.stop)
            log.warning("again chain=%s range=%s reason=%s", line.chain.name, blocks, error)
            pause = pauses.pop(0)
            if found is not None:
                start = min(start, found.start)
            elif isinstance(error, Unlinked):
                # Endpoints, or backends of one, follow two branches: for seconds, as a rule.
                await asyncio.sleep(pause)
            blocks = BlockRange(start, blocks.stop)


async def _fork(line: _Line, client: Client, start: int, stop: int) -> Reorg | None:
    """Where the chain left what is merged, once that is forgotten; None if it has not.

    Looked for from the highest merged block downwards. Of blocks that other tasks merged above a
    gap the higher may be of the new branch and the lower of the old: hence from those on both sides
    of [start, stop) too.
    """
    head = (await client.heights()).head
    column = line.datasets[0].height_column
    looked: set[int | None] = {None}
    for most in (head, min(stop, head), min(start - 1, head)):
        highest = partial(rewind.highest, line.engine, line.chain, column, most)
        top = await outlast_in_thread(highest)
        if top in looked or top is None:
            continue
        looked.add(top)
        found = await reorg.find(line.engine, line.chain, client, top, height_column=column)
        if found is not None:
            forget = partial(reorg.forget, line.engine, line.chain, found)
            await outlast_in_thread(partial(forget, height_column=column, run_id=line.run_id))
            line.total.reorgs.append(found)
            return found
    return None


async def _once(line: _Line, client: Client, batch: Batch) -> None:
    """One batch: while a slice is merged, the next is fetched and decoded."""
    merging: asyncio.Task[None] | None = None
    try:
        async with aclosing(client.fetch(batch.blocks, batch.datasets)) as blocks:
            async for part in slices(blocks):
                if line.witness:
                    await line.witness.demand(part, line.datasets)
                # Not in a thread: two that run Python wait for each other at every turn.
                slice_ = line.decode(part)
                if merging:
                    await merging
                merging = asyncio.create_task(line.merge(slice_))
                # So that it is on its way before the next slice is decoded, which may be here.
                await asyncio.sleep(0)
    finally:
        if merging:
            await merging


async def slices(blocks: AsyncGenerator[RawBlock, None]) -> AsyncGenerator[list[RawBlock], None]:
    """Consecutive blocks, as many as stay within a slice's bytes; at least one.

    Where blocks end in an error, those that came before it are given out first.
    """
    part: list[RawBlock] = []
    size = 0
    trouble: WorkError | None = None
    try:
        async for block in blocks:
            if part and size + block.size > SLICE_BYTES:
                yield part
                part, size = [], 0
            part.append(block)
            size += block.size
    except WorkError as error:
        trouble = error
    if part:
        yield part
    if trouble:
        raise trouble


@dataclass(frozen=True, slots=True)
class _Line:
    """Where blocks go once they are fetched."""

    engine: Engine
    chain: Chain
    datasets: tuple[Dataset, ...]
    run_id: str
    on_merge: OnMerge | None
    total: Totals
    witness: CrossCheck | None = None

    def decode(self, blocks: list[RawBlock]) -> Slice:
        """Blocks as rows; the list is emptied on the way."""
        range_ = BlockRange(blocks[0].height, blocks[-1].height + 1)
        hosts = tuple(dict.fromkeys(block.host for block in blocks if block.host))
        try:
            rows = tables_of.decode(self.datasets, blocks)
        except MalformedAnswer as error:
            told = f"{self.chain.name} {range_}: {error}{batches.served(hosts)}"
            raise MalformedAnswer(told) from error
        size = sum(block.size for block in blocks)
        blocks.clear()
        # Here and not in the merge's thread, which would wait for the interpreter at every piece.
        csv = {name: batches.written(table) for name, table in rows.items()}
        return batches.Slice(self.chain, range_, self.datasets, rows, size, hosts, csv)

    async def merge(self, slice_: Slice) -> None:
        """Check and merge rows, once, and count them; what fails stays in staging."""
        seconds = self.total.lap()
        try:
            await outlast_in_thread(
                batches.merging(
                    self.engine,
                    slice_,
                    lambda connection: _require_sound(connection, slice_),
                    seconds=seconds,
                    run_id=self.run_id,
                )
            )
        except (CheckFailed, RowsRefused) as refused:
            kept = await outlast_in_thread(partial(_kept, self.engine, slice_, refused))
            raise kept from None
        counts = slice_.counts
        log.info(
            "merged chain=%s range=%s rows=%d bytes=%d elapsed_ms=%d",
            self.chain.name,
            slice_.blocks,
            sum(counts.values()),
            slice_.size,
            1000 * seconds,
        )
        self.total.blocks += len(slice_.blocks)
        self.total.rows.update(counts)
        self.total.size += slice_.size
        if self.on_merge:
            self.on_merge(slice_.blocks, counts)


def _require_sound(connection: Connection, slice_: Slice) -> None:
    """Refuse rows that fail a check.

    Raises:
        Unlinked: All that fails is the link to merged blocks beside them, of which none is final.
        ReorgDetected: All that fails is the link to the merged block below, which was final.
        CheckFailed: Anything else.
    """
    findings = checks.arrived(connection, slice_)
    if not findings:
        return
    chain, blocks = slice_.chain, slice_.blocks
    ends = {blocks.start} if chain.finality_tag else {blocks.start, blocks.stop}
    if any(f.check != "linked" or not ends.issuperset(f.heights) for f in findings):
        raise CheckFailed(chain.name, blocks, findings)
    told = f"{chain.name} {blocks}: {findings[0].sample}{batches.served(slice_.hosts)}"
    if chain.finality_tag:
        raise ReorgDetected(
            f"{told}: the chain was reorganised below height {blocks.start} after it was merged, "
            "though it was final; nothing more is merged"
        )
    raise Unlinked(
        f"{told}: the node's blocks and those merged beside them are of two branches, and nothing "
        "of them is merged; if that lasts, do the chain's endpoints follow different branches?"
    )


def _kept(
    engine: Engine, slice_: Slice, refused: CheckFailed | RowsRefused
) -> CheckFailed | RowsRefused:
    """Stage rows that could not be merged, and tell what is wrong with them there.

    Where no check has anything against them (a constraint that is not ours), as it was refused.
    """
    staged = batches.stage(engine, slice_)
    findings = checks.run(engine, staged)
    if not findings:
        batches.drop(engine, staged)
        return refused
    return CheckFailed(slice_.chain.name, slice_.blocks, findings)
