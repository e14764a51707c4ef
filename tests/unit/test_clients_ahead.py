"""Reading ahead of the consumer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace

import pytest

from chainflow.clients._ahead import ahead
from chainflow.clients._pace import DEFAULT
from chainflow.errors import NotYet
from chainflow.types import BlockRange, RawBlock

MIB = 2**20


class Reader:
    """Reads spans at once or late, and remembers which it was asked for.

    `most` is how many bytes, and `widest` how many heights, were at most asked for and not yet
    taken by the consumer.
    """

    def __init__(
        self, size: Callable[[int], int] = lambda _: 1000, *, late: int = -1, fails: int = -1
    ) -> None:
        self.size = size
        self.late = late
        self.fails = fails
        self.asked: list[BlockRange] = []
        self.cancelled = 0
        self.taken = 0
        self.most = 0
        self.widest = 0

    async def read(self, blocks: BlockRange) -> list[RawBlock]:
        """Blocks of the span."""
        self.asked.append(blocks)
        open_ = range(self.taken, max(span.stop for span in self.asked))
        self.most = max(self.most, sum(map(self.size, open_)))
        self.widest = max(self.widest, len(open_))
        try:
            await asyncio.sleep(0.02 if blocks.start == self.late else 0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if blocks.start == self.fails:
            raise NotYet("no")
        return [RawBlock(h, f"{h}", f"{h - 1}", 0, None, self.size(h)) for h in blocks]


def _take(
    reader: Reader,
    stop: int,
    *,
    width: int = 4,
    span: int = 2,
    most: int = 10**9,
    budget: int = MIB,
) -> list[int]:
    """The heights read of [0, stop), up to `most` of them."""

    async def work() -> list[int]:
        got: list[int] = []
        spans = ahead(
            BlockRange(0, stop),
            reader.read,
            span=lambda: span,
            width=lambda: width,
            limits=replace(DEFAULT, buffer_blocks=20, buffer_bytes=budget),
        )
        async with aclosing(spans):
            async for found in spans:
                got += [block.height for block in found]
                reader.taken = got[-1] + 1
                await asyncio.sleep(0.001)
                if len(got) >= most:
                    break
        return got

    return asyncio.run(work())


def test_spans_come_in_order_whichever_ends_first() -> None:
    """A late span holds the others back, and loses none."""
    reader = Reader(late=1)
    assert _take(reader, 32) == list(range(32))
    assert reader.asked[-1] == BlockRange(31, 32)


def test_the_first_block_is_read_alone() -> None:
    """How large blocks are is not known before; then as many spans are under way as may be."""
    reader = Reader()
    _take(reader, 32, most=1)
    assert reader.asked[0] == BlockRange(0, 1)
    assert reader.widest == 4 * 2


def test_no_more_spans_are_under_way_than_the_width() -> None:
    """The first not yet given out, a width of one asks for nothing else."""
    reader = Reader()
    assert _take(reader, 10, width=1) == list(range(10))
    assert reader.widest == 2


@pytest.mark.parametrize("size", [1, 4_000, 30_000, 200_000, MIB, 60 * MIB])
def test_what_is_asked_for_ahead_stays_within_the_bytes_that_may_wait(size: int) -> None:
    """But for a share of them, or for one block where it alone is more; whatever is free to ask."""
    reader = Reader(lambda _: size)
    assert _take(reader, 60, width=16, span=25) == list(range(60))
    assert reader.most <= max(size, MIB + MIB // 4)


def test_large_blocks_are_asked_for_one_at_a_time() -> None:
    """One is read while the consumer has the one below it."""
    reader = Reader(lambda _: 60 * MIB)
    _take(reader, 20, width=16, span=25)
    assert {len(span) for span in reader.asked} == {1}
    assert reader.widest == 1


def test_one_huge_block_is_soon_forgotten() -> None:
    """Below it nothing is read ahead, and some spans later as much as before."""
    reader = Reader(lambda height: 2 * MIB if height == 0 else 1_000)
    _take(reader, 12, width=50, span=1)
    assert reader.widest <= 10
    _take(reader, 100, width=50, span=1)
    assert reader.widest == 20


def test_a_slow_consumer_holds_the_reading_back_by_bytes() -> None:
    """What waits stays near the bound: spans of 20 kB, bound 20 kB."""
    reader = Reader(lambda _: 10_000)
    assert _take(reader, 200, most=7, budget=20_000) == list(range(7))
    assert max(span.stop for span in reader.asked) <= 7 + 4


def test_a_slow_consumer_holds_the_reading_back_by_count() -> None:
    """Tiny blocks are bounded in number."""
    reader = Reader(lambda _: 1)
    assert _take(reader, 400, most=7, width=50) == list(range(7))
    assert reader.widest <= 20 + 2 + 2


def test_leaving_early_ends_what_is_under_way() -> None:
    """Closing the generator cancels the spans ahead."""
    reader = Reader(late=5)
    assert _take(reader, 200, most=3) == [0, 1, 2]
    assert reader.cancelled == 1


def test_a_failed_span_is_raised_in_its_place_and_nothing_more_is_read() -> None:
    """What lies below comes first; what lies above is not asked for any more."""
    reader = Reader(fails=7)

    with pytest.raises(NotYet):
        _take(reader, 400)
    assert reader.taken == 7
    assert max(span.start for span in reader.asked) <= 7 + 2 * 5
