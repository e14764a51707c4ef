"""A sample of blocks, asked of two endpoints by themselves before it is merged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from chainflow import cross_check, datasets
from chainflow.clients import evm
from chainflow.cross_check import CrossCheck
from chainflow.endpoints import Endpoint
from chainflow.errors import HeightPruned, InputError, MalformedAnswer
from chainflow.types import BlockRange, Chain
from tests import evm as recordings
from tests import fake_node
from tests.fake_node import SOON, FakeChain, FakeNode, edit

SONIC = Chain("sonic", "evm", 146, 100.0, verify="none")
RUN = BlockRange(1_000_000, 1_000_004)
BLOCK, RECEIPTS = "eth_getBlockByNumber", "eth_getBlockReceipts"
TABLES = datasets.get("evm", ["blocks", "transactions", "logs"])
ALWAYS = float("inf")


def _sonic() -> FakeNode:
    """A node with a run of recorded blocks."""
    made = FakeChain()
    for height in RUN:
        one = recordings.recorded("sonic", height)
        made.blocks[height], made.receipts[height] = one.block, one.receipts or []
    return FakeNode(made, chain_id=146)


def _other(method: str, change: Callable[[fake_node.Json], fake_node.Json]) -> FakeNode:
    """A node that says something else of one thing, always."""
    node = _sonic()
    node.react(edit(change, method=method), method=method, times=ALWAYS)
    return node


def _demand(*nodes: FakeNode, every: int = 2) -> list[list[int]]:
    """Compare the blocks of a run with what these nodes have; the heights each was asked for."""

    async def run() -> None:
        async with AsyncExitStack() as stack:
            witnesses = {}
            for node in nodes:
                await stack.enter_async_context(node.running())
                opened = evm.connect(SONIC, [node.endpoint], SOON)
                witnesses[node.host] = await stack.enter_async_context(opened)
            blocks = [recordings.recorded("sonic", height).raw() for height in RUN]
            await CrossCheck(SONIC, every, witnesses).demand(blocks, TABLES)

    asyncio.run(run())
    return [[int(call["params"][0], 16) for call in node.calls(BLOCK)] for node in nodes]


def test_every_so_many_blocks_one_is_asked_of_two_endpoints() -> None:
    """Of the first two in the registry's order; the heights are those the number divides."""
    sampled = [RUN.start, RUN.start + 2]
    assert _demand(_sonic(), _sonic(), _sonic()) == [sampled, sampled, []]


@pytest.mark.parametrize(
    ("method", "change", "words"),
    [
        (BLOCK, fake_node.puts(hash="0x" + "7e" * 32), "0x7e7e"),
        (RECEIPTS, lambda rows: [{**row, "logs": []} for row in rows], "0 logs"),
    ],
)
def test_another_block_or_other_rows_are_refused_in_the_words_of_both(
    method: str, change: Callable[[fake_node.Json], fake_node.Json], words: str
) -> None:
    """A hash that differs, and logs left out where no hash covers them."""
    honest, other = _sonic(), _other(method, change)
    if method == BLOCK:
        for rows in other.chain.receipts.values():
            rows.clear()
        for block in other.chain.blocks.values():
            block["transactions"] = []
    with pytest.raises(MalformedAnswer, match=r"sonic height 100000\d: the endp") as told:
        _demand(honest, other, every=1)
    said = str(told.value)
    assert f"{honest.host} has 0x" in said
    assert words in said.partition(f"{other.host} has ")[2]


def test_an_endpoint_without_the_block_gives_way_to_the_next() -> None:
    """Two are enough, whichever."""
    pruned = _other(BLOCK, fake_node.fails(-32000, "pruned"))
    assert _demand(pruned, _sonic(), _sonic())[2] == [RUN.start, RUN.start + 2]


def test_fewer_than_two_answers_are_an_error() -> None:
    """What was wanted is not done in silence by halves."""
    pruned = _other(BLOCK, fake_node.fails(-32000, "pruned"))
    with pytest.raises(HeightPruned, match=r"wants 2 endpoints .* and 1 had: .*pruned"):
        _demand(_sonic(), pruned)


def _opened(chain: Chain, *urls: str) -> CrossCheck | None:
    async def run() -> CrossCheck | None:
        found = [Endpoint(url, url) for url in urls]
        async with cross_check.opened(chain, found) as opened:
            return opened

    return asyncio.run(run())


def test_nothing_is_compared_unless_the_entry_wants_it() -> None:
    """Off is what is usual."""
    assert _opened(SONIC, "http://a.example") is None


def test_one_host_cannot_be_compared_with_itself() -> None:
    """The error says what is missing."""
    wanted = replace(SONIC, cross_check_blocks=10)
    with pytest.raises(InputError, match=r"needs 2 endpoints .* \(found a.example\)"):
        _opened(wanted, "http://a.example/x", "http://a.example/y")
    both = _opened(wanted, "http://a.example", "http://b.example")
    assert both is not None
    assert list(both.witnesses) == ["a.example", "b.example"]
