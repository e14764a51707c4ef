"""Reading ahead: spans of heights fetched at once, given in order, bounded in count and bytes."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING

from chainflow.types import BlockRange, RawBlock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from chainflow.clients._pace import Limits

    Read = Callable[[BlockRange], Awaitable[list[RawBlock]]]

# A span is expected to take no more of the bytes that may wait than this share of them.
_SHARE = 4


async def ahead(
    blocks: BlockRange,
    read: Read,
    *,
    span: Callable[[], int],
    width: Callable[[], int],
    limits: Limits,
) -> AsyncGenerator[list[RawBlock], None]:
    """The range in consecutive spans, ascending, later ones being read meanwhile.

    How large blocks are is known from those before: the first is read alone.

    Args:
        blocks: Heights to read.
        read: Reads one span whole.
        span: How many heights the next span shall have.
        width: How many spans may be under way.
        limits: Bound what is read and waits to be taken.
    """
    reading: deque[tuple[int, asyncio.Task[list[RawBlock]]]] = deque()
    start = blocks.start
    expected: int | None = None
    got: list[RawBlock] = []
    try:
        while True:
            while start < blocks.stop and _room(reading, width(), expected, limits):
                stop = start + _heights(span(), expected, limits)
                part = BlockRange(start, min(stop, blocks.stop))
                reading.append((len(part), asyncio.create_task(_read(read, part))))
                start = part.stop
            # Given out only now, so that the next spans are read while the consumer works.
            if got:
                yield got
            if not reading:
                break
            got = await reading[0][1]
            reading.popleft()
            expected = _expected(got, expected)
    finally:
        for _, task in reading:
            task.cancel()
        await asyncio.gather(*(task for _, task in reading), return_exceptions=True)


async def linked(
    blocks: BlockRange,
    read: Callable[[BlockRange, str | None], Awaitable[list[RawBlock]]],
    *,
    span: Callable[[], int],
    width: Callable[[], int],
    limits: Limits,
) -> AsyncGenerator[RawBlock, None]:
    """The range block by block, each naming the one before it as parent.

    Spans that were read side by side may come of two branches; the upper is then read again.

    Args:
        blocks: Heights to read.
        read: Reads one span whole, linked inside, and to the hash below it where that is given.
        span: How many heights the next span shall have.
        width: How many spans may be under way.
        limits: Bound what is read and waits to be taken.
    """
    spans = ahead(blocks, lambda part: read(part, None), span=span, width=width, limits=limits)
    below: str | None = None
    async with aclosing(spans):
        async for found in spans:
            fitting = found
            if below is not None and found[0].parent_hash != below:
                part = BlockRange(found[0].height, found[-1].height + 1)
                fitting = await read(part, below)
            for block in fitting:
                yield block
            below = fitting[-1].hash


async def _read(read: Read, part: BlockRange) -> list[RawBlock]:
    return await read(part)


def _bytes(blocks: Sequence[RawBlock]) -> int:
    return sum(block.size for block in blocks)


def _expected(blocks: Sequence[RawBlock], before: int | None) -> int:
    """The bytes of a block that is not here yet: as the largest lately, at first in doubt more.

    One huge block among small ones is forgotten by halves.
    """
    largest = max(block.size for block in blocks)
    return max(largest, 1 if before is None else (before + largest) // 2)


def _heights(span: int, expected: int | None, limits: Limits) -> int:
    """How many heights the next span has, at least 1."""
    if expected is None:
        return 1
    return max(1, min(span, limits.buffer_bytes // _SHARE // expected))


def _room(
    reading: Sequence[tuple[int, asyncio.Task[list[RawBlock]]]],
    width: int,
    expected: int | None,
    limits: Limits,
) -> bool:
    """Whether one more span may be started; the first always may, and none after a failed one."""
    if not reading:
        return True
    done = [task for _, task in reading if task.done()]
    if expected is None or any(task.exception() for task in done):
        return False
    if len(reading) - len(done) >= width:
        return False
    heights = sum(count for count, _ in reading)
    coming = sum(count for count, task in reading if not task.done())
    held = sum(_bytes(task.result()) for task in done) + coming * expected
    return heights < limits.buffer_blocks and held < limits.buffer_bytes
