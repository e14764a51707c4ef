"""From which height on a chain no longer has what is merged of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection
from dataclasses import dataclass, field, replace

import pytest
from sqlalchemy.engine import Engine

from chainflow import reorg
from chainflow.errors import ReorgDetected
from chainflow.store.rewind import Reorg
from chainflow.types import BlockRange, Chain, Heights, RawBlock
from tests import small


@dataclass(slots=True)
class Forked:
    """A client of a chain that left the small one at a height."""

    at: int
    asked: list[int] = field(default_factory=list)

    async def heights(self) -> Heights:
        """Not asked for here."""
        raise AssertionError

    async def fetch(
        self, blocks: BlockRange, datasets: Collection[str]
    ) -> AsyncGenerator[RawBlock, None]:
        """Blocks of both branches."""
        for height in blocks:
            self.asked.append(height)
            branch, below = ("b" if h >= self.at else "a" for h in (height, height - 1))
            hash_, parent = small.block_hash(height, branch), small.block_hash(height - 1, below)
            yield RawBlock(height, hash_, parent, 0, None, 1)


def _find(engine: Engine, client: Forked, height: int, chain: Chain = small.CHAIN) -> Reorg | None:
    work = reorg.find(engine, chain, client, height, height_column="block_number")
    return asyncio.run(work)


@pytest.mark.parametrize("at", [39, 38, 37, 30, 9, 1, 0])
def test_find_names_the_lowest_replaced_height(engine: Engine, at: int) -> None:
    """However deep the branches part, down to the chain's start."""
    small.merge(engine, 0, 40)
    old, new = small.block_hash(at), small.block_hash(at, "b")
    assert _find(engine, Forked(at), 39) == Reorg(at, old, new)


def test_find_asks_for_one_block_where_nothing_was_replaced(engine: Engine) -> None:
    """The usual case costs one block."""
    small.merge(engine, 0, 40)
    client = Forked(40)
    assert _find(engine, client, 39) is None
    assert client.asked == [39]


def test_find_stops_where_nothing_is_merged(engine: Engine) -> None:
    """Below a gap there is nothing to compare with: the reorg begins above it."""
    small.merge(engine, 10, 40)
    assert _find(engine, Forked(0), 39) == Reorg(
        10, small.block_hash(10), small.block_hash(10, "b")
    )


def test_find_refuses_a_reorg_beyond_the_limit(engine: Engine) -> None:
    """A chain that was replaced so deep is rather another chain: a person must look."""
    small.merge(engine, 0, 40)
    chain = replace(small.CHAIN, max_reorg_blocks=8)
    assert _find(engine, Forked(32), 39, chain) == Reorg(
        32, small.block_hash(32), small.block_hash(32, "b")
    )
    with pytest.raises(ReorgDetected, match=r"every block from 31 to 39 .* max_reorg_blocks = 8"):
        _find(engine, Forked(31), 39, chain)
