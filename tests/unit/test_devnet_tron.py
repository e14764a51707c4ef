"""The simulated Tron network: blocks that our own proofs accept, and a node's manners."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from chainflow import datasets
from chainflow.clients import tron as client
from chainflow.devnet import server
from chainflow.devnet import tron as devnet
from chainflow.endpoints import Endpoint
from chainflow.types import BlockRange, Chain, Heights, RawBlock
from tests import tron
from tests.contract import test_recorded_tron as tables
from tests.fake_node import FAST
from tests.tron_node import ALL

Json = Any
CHAIN = Chain("tron", "tron", 728126428, 20.0, finality_tag="finalized")
BACKLOG = 100


def simulated(name: str = "tron", *, seed: int = 7, backlog: int = BACKLOG) -> devnet.Tron:
    """A network with that backlog, a block every three seconds."""
    chain = replace(CHAIN, name=name)
    return devnet.simulate(chain, seed=seed, began=1_790_000_000.0, interval=3.0, backlog=backlog)


def fetched(simulation: devnet.Tron) -> tuple[Heights, list[RawBlock]]:
    """Its heights and all its blocks, through the client."""

    async def work() -> tuple[Heights, list[RawBlock]]:
        async with server.serving({"tron": simulation}) as url:
            endpoint = Endpoint("devnet", f"{url}/tron")
            async with client.connect(CHAIN, [endpoint], FAST) as opened:
                heights = await opened.heights()
                blocks = BlockRange(simulation.first, heights.head + 1)
                return heights, [block async for block in opened.fetch(blocks, ALL)]

    return asyncio.run(work())


def asked(simulation: devnet.Tron, path: str, **parameters: object) -> Json:
    """What it answers."""
    answer = simulation.respond(path, json.dumps(parameters).encode())
    assert answer is not None
    return json.loads(answer)


def test_client_proves_every_block() -> None:
    """Ids, roots, infos and links, for mainnet's chain id."""
    simulation = simulated()
    heights, blocks = fetched(simulation)
    assert heights == Heights(simulation.head, simulation.head - devnet.FINALITY_BLOCKS)
    assert len(blocks) == BACKLOG
    assert blocks[-1].time_ms == 1_790_000_000_000
    assert blocks[-1].hash == simulation.tip.hex()


def test_blocks_hold_what_the_tables_are_for() -> None:
    """Stablecoins, TRX, TRC-10, failures, calls inside calls; some blocks are empty."""
    _, blocks = fetched(simulated(backlog=300))
    rows = {d.name: d.decode(blocks).to_pylist() for d in datasets.get("tron", ALL)}
    assert all(rows.values())
    tokens = {row["token_address"] for row in rows["token_transfers"]}
    usdc = "TEkxiTehnzSmSe2XqrBj4w32RUN966rdz8"
    assert {"TRX", "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t", usdc, "1002000"} <= tokens
    assert {row["receipt_status"] for row in rows["transactions"]} == {0, 1}
    assert {row["rejected"] for row in rows["internal_transactions"]} == {False, True}
    assert any(row["transaction_count"] == 0 for row in rows["blocks"])
    kinds = {row["contract_type"] for row in rows["transactions"]}
    assert len(kinds) >= 6


def test_generated_blocks_come_back_field_by_field() -> None:
    """Ids and roots are right by the tests' own encoding, and the tables hold every field."""
    for block, infos in devnet.generate(1, 3):
        recorded = tron.Recorded(json.loads(block), json.loads(infos))
        assert tron.sealed(recorded.block) == recorded.block
        leaves = [tron.leaf(tx) for tx in recorded.block.get("transactions", ())]
        assert tron.root(leaves) == recorded.block["block_header"]["raw_data"]["txTrieRoot"]
        tables.assert_as_recorded(recorded, tables.decoded(recorded))


def test_benchmark_blocks_are_as_heavy_as_mainnets() -> None:
    """Linked, a few hundred transactions each."""
    made = [json.loads(block) for block, _ in devnet.generate(1, 6)]
    counts = [len(block.get("transactions", ())) for block in made]
    assert max(counts) > 200
    links = [(b["block_header"]["raw_data"]["parentHash"], b["blockID"]) for b in made]
    assert all(above[0] == below[1] for below, above in pairwise(links))


def test_genesis_block_is_the_main_networks() -> None:
    """So the chain id can be proved."""
    assert asked(simulated(backlog=1), "wallet/getblockbynum", num=0) == tron.genesis()


@pytest.mark.parametrize(
    ("path", "parameters", "answer"),
    [
        ("wallet/getblockbynum", {"num": devnet.FIRST + 5}, {}),
        ("wallet/getblockbynum", {"num": 5}, {}),
        ("wallet/getblockbylimitnext", {"startNum": 9, "endNum": 12}, {}),
        ("wallet/getblockbylimitnext", {"startNum": devnet.FIRST, "endNum": devnet.FIRST}, {}),
        ("wallet/getblockbylimitnext", {"startNum": devnet.FIRST}, {}),
        ("wallet/gettransactioninfobyblocknum", {"num": 0}, {}),
        ("wallet/gettransactioninfobyblocknum", {"num": devnet.FIRST + 5}, []),
    ],
)
def test_what_there_is_not_is_empty(path: str, parameters: dict[str, int], answer: Json) -> None:
    """Past the head and beyond its bounds it answers as java-tron."""
    assert asked(simulated(backlog=5), path, **parameters) == answer


def test_range_of_more_than_a_hundred_blocks_is_empty() -> None:
    """As there; a hundred is not too many."""
    simulation, path = simulated(backlog=102), "wallet/getblockbylimitnext"
    some = asked(simulation, path, startNum=devnet.FIRST, endNum=devnet.FIRST + 100)
    assert len(some["block"]) == 100
    assert asked(simulation, path, startNum=devnet.FIRST, endNum=devnet.FIRST + 101) == {}


def test_bad_question_is_an_error_with_status_200() -> None:
    """java-tron's manner."""
    simulation = simulated(backlog=1)
    answer = simulation.respond("wallet/getblockbynum", b'{"num":"x"}')
    assert answer is not None
    assert answer.startswith(b'{"Error":"class JsonFormat$ParseException')
    assert simulation.respond("wallet/createtransaction", b"{}") is None


def test_same_seed_makes_the_same_blocks_and_forgotten_ones_again() -> None:
    """Another name or seed makes others."""
    first, second = simulated(backlog=30), simulated(backlog=30)
    assert first.tip == second.tip
    assert first.tip != simulated("nile", backlog=30).tip
    assert first.tip != simulated(seed=8, backlog=30).tip
    before = asked(first, "wallet/getblockbynum", num=devnet.FIRST + 3)
    first.kept.clear()
    assert asked(first, "wallet/getblockbynum", num=devnet.FIRST + 3) == before


def test_head_grows_as_due() -> None:
    """One block an interval; a short chain is not solid below its first height."""
    simulation = simulated(backlog=4)
    assert simulation.due(1_790_000_000.0) == simulation.head
    assert simulation.due(1_790_000_007.0) == simulation.head + 2
    simulation.grow()
    assert simulation.head == devnet.FIRST + 4
    assert simulation.finality_blocks == 1
