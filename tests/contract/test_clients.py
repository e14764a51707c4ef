"""What every client family promises: one suite, run over all modules in the room `clients`.

A family brings `tests/contract/clients_<family>.py` with `DATASETS` and `client(...)`.
"""

from __future__ import annotations

import asyncio
import math
import re
from contextlib import AbstractAsyncContextManager, aclosing
from importlib import import_module
from itertools import pairwise
from typing import Any, Protocol, cast

import pytest

from chainflow import clients, lookup
from chainflow.endpoints import Endpoint
from chainflow.errors import (
    HeightPruned,
    NodeUnavailable,
    NotYet,
    RateLimited,
    RequestRefused,
    TerminalError,
    TransientError,
    WorkError,
)
from chainflow.types import BlockRange, Chain, Heights, RawBlock

HEAD, FINALIZED = 40, 33


class Family(Protocol):
    """What a family brings to this suite.

    It may also say `FIRST`, its lowest height if that is not 0; `FINAL_AT_ONCE`, that what a node
    has is final; and `PRUNED`, which error it is that a node has dropped heights, if that is not
    HeightPruned.
    """

    DATASETS: tuple[str, ...]
    CHAIN: Chain

    def client(
        self, *, stop: int, finalized: int, trouble: str = "", times: float = 0
    ) -> AbstractAsyncContextManager[clients.Client]:
        """A client of CHAIN with the heights from its first up to, not including, `stop`.

        Its one node answers so many requests for blocks with a trouble:

            bad body  something else in place of an answer
            busy      it is asked too often
            refused   the caller may not ask
            pruned    the blocks were dropped; however many times, and all but the newest
        """
        ...


@pytest.fixture(params=lookup.names("clients"))
def family(request: pytest.FixtureRequest) -> Family:
    """Each family in turn."""
    return cast("Family", import_module(f"tests.contract.clients_{request.param}"))


def _fetch(
    family: Family, blocks: BlockRange, *, trouble: str = "", times: float = math.inf
) -> list[RawBlock]:
    async def work() -> list[RawBlock]:
        opened = family.client(stop=HEAD + 1, finalized=FINALIZED, trouble=trouble, times=times)
        async with opened as client, aclosing(client.fetch(blocks, family.DATASETS)) as stream:
            return [block async for block in stream]

    return asyncio.run(work())


def _first(family: Family) -> int:
    return int(getattr(family, "FIRST", 0))


def _names_place(family: Family, height: int, message: str) -> bool:
    """Whether an error names the chain, the height, and the endpoint by its host."""
    asked = rf"(\[{height}, \d+\)|(checkpoint|height) {height})"
    return bool(re.match(rf"{family.CHAIN.name} {asked}: 127\.0\.0\.1:\d+: ", message))


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


@pytest.mark.parametrize("trouble", ["bad body", "busy"])
def test_trouble_that_passes_costs_nothing_but_time(family: Family, trouble: str) -> None:
    """Something else in place of an answer, or a rate limit, twice: every block comes."""
    blocks = BlockRange(_first(family), 20)
    found = _fetch(family, blocks, trouble=trouble, times=2)
    assert [block.height for block in found] == list(blocks)


@pytest.mark.parametrize(
    ("trouble", "error"),
    [("bad body", NodeUnavailable), ("busy", RateLimited), ("refused", RequestRefused)],
)
def test_trouble_that_stays_is_the_error_that_it_is(
    family: Family, trouble: str, error: type[WorkError]
) -> None:
    """The first two are worth a retry, a refusal is not; the message says whose and where."""
    first = _first(family) + 5
    with pytest.raises(error) as caught:
        _fetch(family, BlockRange(first, 20), trouble=trouble)
    assert isinstance(caught.value, TransientError) == (trouble != "refused")
    assert _names_place(family, first, str(caught.value))


def test_heights_that_a_node_has_dropped_are_terminal(family: Family) -> None:
    """An archive is needed; the message says so of the lowest height that is missing."""
    first = _first(family) + 5
    with pytest.raises(getattr(family, "PRUNED", HeightPruned)) as caught:
        _fetch(family, BlockRange(first, 20), trouble="pruned")
    assert isinstance(caught.value, TerminalError)
    assert _names_place(family, first, str(caught.value))


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
