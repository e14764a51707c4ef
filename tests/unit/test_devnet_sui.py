"""The simulated Sui network: right digests, links that hold, and a store that answers as one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest

from chainflow import datasets
from chainflow.clients import sui as client
from chainflow.devnet import server
from chainflow.devnet import sui as devnet
from chainflow.devnet.sui import Sui
from chainflow.endpoints import Endpoint
from chainflow.errors import NotYet
from chainflow.types import BlockRange, Chain, Heights, RawBlock
from tests import sui_json
from tests.fake_node import FAST, SOON
from tests.sui_nodes import ALL

CHAIN = Chain("suinet", "sui", None, 240.0)
BEGAN = 1_795_000_000.0
USDC = "0xdba34672e30cb065b1f93e3ab55318768fd6fef66c15942c9f7cb846e2f900e7::usdc::USDC"


def simulation(*, backlog: int = 30, seed: int = 7, name: str = "suinet") -> Sui:
    """A network with so many checkpoints, four a second."""
    return devnet.simulate(
        replace(CHAIN, name=name), seed=seed, began=BEGAN, interval=0.25, backlog=backlog
    )


def fetched(sui: Sui, blocks: BlockRange | None = None) -> tuple[Heights, list[RawBlock]]:
    """What our client makes of it over HTTP, every proof done."""

    async def work() -> tuple[Heights, list[RawBlock]]:
        async with (
            server.serving({"suinet": sui}) as url,
            client.connect(
                CHAIN, [Endpoint("devnet", f"{url}/suinet")], FAST if blocks is None else SOON
            ) as opened,
        ):
            wanted = blocks or BlockRange(sui.first, sui.head + 1)
            found = [block async for block in opened.fetch(wanted, ALL)]
            return await opened.heights(), found

    return asyncio.run(work())


def test_checkpoints_prove_themselves_and_link() -> None:
    """The client takes every one; heights are the store's watermark."""
    sui = simulation()
    heights, blocks = fetched(sui)
    assert heights == Heights(sui.head, sui.head)
    assert [block.height for block in blocks] == list(range(sui.first, sui.head + 1))
    assert all(above.parent_hash == below.hash for below, above in pairwise(blocks))


def test_times_are_those_of_the_clock() -> None:
    """The newest at the beginning has its time, the others a quarter of a second each before."""
    _, blocks = fetched(simulation(backlog=5))
    assert [block.time_ms for block in blocks] == [
        int((BEGAN - 0.25 * back) * 1000) for back in (4, 3, 2, 1, 0)
    ]


def test_money_moves_in_usdc() -> None:
    """Balances in Circle's coin type are among the changes, and every dataset has rows."""
    _, blocks = fetched(simulation(backlog=60))
    tables = {d.name: d.decode(blocks) for d in datasets.get("sui", ALL)}
    assert all(table.num_rows for table in tables.values())
    assert USDC in set(tables["balance_changes"]["coin_type"].to_pylist())
    assert sui_json.canonical(USDC) == USDC


def test_same_seed_is_the_same_network() -> None:
    """Another seed, or another name, is another."""
    first = simulation().links
    assert simulation().links == first
    assert simulation(seed=8).links[0] != first[0]
    assert simulation(name="other").links[0] != first[0]


def test_forgotten_checkpoint_is_made_again() -> None:
    """Only the newest files are kept; an older one is the same when it is wanted."""
    sui = simulation()
    file = sui.file(sui.first + 3)
    sui.kept.clear()
    assert sui.file(sui.first + 3) == file


def test_network_grows_when_due() -> None:
    """One checkpoint every interval after the beginning."""
    sui = simulation()
    assert sui.due(BEGAN) == sui.head
    assert sui.due(BEGAN + 1.0) == sui.head + 4
    sui.grow()
    heights, blocks = fetched(sui)
    assert heights.head == blocks[-1].height == sui.head


def test_what_is_not_there_is_not_yet() -> None:
    """Above the head the store has no file."""
    sui = simulation()
    with pytest.raises(NotYet):
        fetched(sui, BlockRange(sui.head + 1, sui.head + 2))


def test_generated_files_are_as_heavy_as_asked() -> None:
    """For benchmarks: consecutive checkpoints of about ten transactions."""
    files = list(devnet.generate(20))
    assert len(files) == 20
    assert 3_000 < sum(map(len, files)) / 20 < 30_000
