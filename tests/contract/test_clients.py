"""What every client family promises: one suite, run over all modules in the room `clients`.

A family brings `tests/contract/clients_<family>.py` with `DATASETS` and `client(...)`.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import AbstractAsyncContextManager, aclosing
from importlib import import_module
from itertools import pairwise
from typing import Any, Protocol, cast

import pytest

from chainflow import clients, lookup
from chainflow.endpoints import Endpoint
from chainflow.errors import NodeUnavailable, NotYet, WorkError
from chainflow.types import BlockRange, Chain, Heights, RawBlock

HEAD, FINALIZED = 40, 33


class Family(Protocol):
    """What a family brings to this suite.

    It may also say `FIRST`, its lowest height if that is not 0, and `FINAL_AT_ONCE`, that what a
    node has is final.
    """

    DATASETS: tuple[str, ...]

    def client(
        self, *, stop: int, finalized: int, bad_bodies: float = 0
    ) -> AbstractAsyncContextManager[clients.Client]:
        """A client of a chain with the heights from its first up to, not including, `stop`."""
        ...


@pytest.fixture(params=lookup.names("clients"))
def family(request: pytest.FixtureRequest) -> Family:
    """Each family in turn."""
    return cast("Family", import_module(f"tests.contract.clients_{request.param}"))


def _fetch(family: Family, blocks: BlockRange, *, bad_bodies: float = 0) -> list[RawBlock]:
    async def work() -> list[RawBlock]:
        opened = family.client(stop=HEAD + 1, finalized=FINALIZED, bad_bodies=bad_bodies)
        async with opened as client, aclosing(client.fetch(blocks, family.DATASETS)) as stream:
            return [block async for block in stream]

    return asyncio.run(work())


def _first(family: Family) -> int:
    return int(getattr(family, "FIRST", 0))


def _all(family: Family) -> BlockRange:
    return BlockRange(_first(family), HEAD + 1)


def test_there_is_a_family() -> None:
    """The suite is not empty."""
    assert "evm" in lookup.names("clients")


def test_heights_are_head_and_finalized(family: Family) -> None:
    """Both inclusive, as the node has them."""

    async def work() -> Heights:
        async with family.client(stop=HEAD + 1, finalized=FINALIZED) as client:
            return await client.heights()

    final = HEAD if getattr(family, "FINAL_AT_ONCE", False) else FINALIZED
    assert asyncio.run(work()) == Heights(HEAD, final)


def test_a_block_is_shown_where_there_is_one(family: Family) -> None:
    """By which endpoints prove heights far beyond the others'."""

    async def work() -> None:
        async with family.client(stop=HEAD + 1, finalized=FINALIZED) as opened:
            client: Any = opened
            await client._shows(client._nodes.best, HEAD)
            with pytest.raises(WorkError):
                await client._shows(client._nodes.best, HEAD + 1000)

    asyncio.run(work())


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (7, 30), (0, HEAD)])
def test_fetch_gives_exactly_the_range_ascending(family: Family, start: int, stop: int) -> None:
    """Every height once, none beside, in order; the range is half-open."""
    blocks = BlockRange(_first(family) + start, _first(family) + stop)
    assert [block.height for block in _fetch(family, blocks)] == list(blocks)


def test_fetched_blocks_are_linked(family: Family) -> None:
    """Each names the one before it as parent, over request boundaries too."""
    blocks = _fetch(family, _all(family))
    assert all(above.parent_hash == below.hash for below, above in pairwise(blocks))


def test_fetched_blocks_know_their_time_and_size(family: Family) -> None:
    """Unix milliseconds that do not go back, the bytes the node sent, and which node that was."""
    blocks = _fetch(family, _all(family))
    assert all(above.time_ms >= below.time_ms for below, above in pairwise(blocks))
    assert all(block.time_ms > 10**12 and block.size > 0 for block in blocks)
    assert {block.host.partition(":")[0] for block in blocks} == {"127.0.0.1"}


def test_fetching_twice_gives_the_same(family: Family) -> None:
    """Same range, same blocks."""
    blocks = BlockRange(3, 20)
    assert [b.hash for b in _fetch(family, blocks)] == [b.hash for b in _fetch(family, blocks)]


def test_fetching_past_the_head_is_not_yet(family: Family) -> None:
    """A height to come is a transient error; no empty block stands in for it."""
    with pytest.raises(NotYet):
        _fetch(family, BlockRange(HEAD, HEAD + 2))


def test_a_bad_body_is_asked_for_again(family: Family) -> None:
    """Something else in place of an answer, twice: every block comes all the same."""
    blocks = BlockRange(_first(family), 20)
    assert [block.height for block in _fetch(family, blocks, bad_bodies=2)] == list(blocks)


def test_bad_bodies_for_ever_are_node_unavailable(family: Family) -> None:
    """Transient, and within the deadline."""
    with pytest.raises(NodeUnavailable):
        _fetch(family, BlockRange(_first(family), 20), bad_bodies=math.inf)


def test_leaving_early_leaves_nothing_running(family: Family) -> None:
    """After the first block, closing ends all that was asked ahead."""

    async def work() -> int:
        async with family.client(stop=HEAD + 1, finalized=FINALIZED) as client:
            async with aclosing(client.fetch(_all(family), family.DATASETS)) as stream:
                first = await anext(stream)
            assert first.height == _first(family)
            others = asyncio.all_tasks() - {asyncio.current_task()}
            return sum("ahead" in str(task.get_coro()) for task in others)

    assert asyncio.run(work()) == 0


@pytest.mark.parametrize("name", lookup.names("clients"))
def test_connect_finds_the_family_by_its_word(name: str) -> None:
    """`clients.connect` opens the client of the chain's family and asks nothing yet."""

    async def work() -> None:
        chain = Chain("testnet", name, 1, 5.0)
        async with clients.connect(chain, [Endpoint("x", "http://127.0.0.1:9")]) as client:
            assert callable(client.heights)

    asyncio.run(work())
