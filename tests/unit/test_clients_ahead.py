"""Reading ahead of the consumer."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from chainflow.clients._ahead import ahead
from chainflow.clients._pace import DEFAULT
from chainflow.errors import NotYet
from chainflow.types import BlockRange, RawBlock


class Reader:
    """Reads spans at once or late, and remembers which it was asked for."""

    def __init__(self, *, size: int = 1000, late: int = -1, fails: int = -1) -> None:
        self.size = size
        self.late = late
        self.fails = fails
        self.asked: list[BlockRange] = []
        self.cancelled = 0

    async def read(self, blocks: BlockRange) -> list[RawBlock]:
        """Blocks of the span."""
        self.asked.append(blocks)
        try:
            await asyncio.sleep(0.02 if blocks.start == self.late else 0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if blocks.start == self.fails:
            raise NotYet("no")
        return [RawBlock(h, f"{h}", f"{h - 1}", 0, None, self.size) for h in blocks]


def _take(reader: Reader, stop: int, *, width: int = 4, most: int = 10**9) -> list[int]:
    """The heights read of [0, stop) in spans of two, up to `most` spans."""

    async def work() -> list[int]:
        got: list[int] = []
        spans = ahead(
            BlockRange(0, stop),
            reader.read,
            span=lambda: 2,
            width=lambda: width,
            limits=replace(DEFAULT, buffer_blocks=20, buffer_bytes=20_000),
        )
        async with aclosing(spans):
            async for span in spans:
                got += [block.height for block in span]
                await asyncio.sleep(0.001)
                if len(got) >= 2 * most:
                    break
        return got

    return asyncio.run(work())


def test_spans_come_in_order_whichever_ends_first() -> None:
    """A late first span holds the others back, and loses none."""
    reader = Reader(late=0)
    assert _take(reader, 31) == list(range(31))
    assert reader.asked[-1] == BlockRange(30, 31)


def test_no_more_spans_are_under_way_than_the_width() -> None:
    """The first not yet given out, a width of one asks for nothing else."""
    reader = Reader()
    assert _take(reader, 10, width=1) == list(range(10))


def test_a_slow_consumer_holds_the_reading_back_by_bytes() -> None:
    """What waits stays near the bound: spans of 20 kB, bound 20 kB."""
    reader = Reader(size=10_000)
    assert _take(reader, 200, most=3) == list(range(6))
    assert len(reader.asked) <= 3 + 4


def test_a_slow_consumer_holds_the_reading_back_by_count() -> None:
    """Tiny blocks are bounded in number."""
    reader = Reader(size=1)
    assert _take(reader, 400, most=3, width=50) == list(range(6))
    assert len(reader.asked) <= 3 + 10


def test_leaving_early_ends_what_is_under_way() -> None:
    """Closing the generator cancels the spans ahead."""
    reader = Reader(late=4)
    assert _take(reader, 200, most=1) == [0, 1]
    assert reader.cancelled == 1


def test_a_failed_span_is_raised_in_its_place_and_nothing_more_is_read() -> None:
    """What lies below comes first; what lies above is not asked for any more."""
    reader = Reader(fails=6)

    with pytest.raises(NotYet):
        _take(reader, 400)
    assert max(blocks.start for blocks in reader.asked) <= 6 + 2 * 5
