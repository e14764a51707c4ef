"""The Cosmos devnet: chains whose hashes are right, answered as CometBFT answers."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
from msgspec import UNSET

from chainflow import datasets
from chainflow.clients import cosmos as client
from chainflow.devnet import cosmos, server
from chainflow.devnet._cosmos_profiles import profile
from chainflow.devnet._cosmos_transactions import address
from chainflow.endpoints import Endpoint
from chainflow.types import BlockRange, Chain, RawBlock
from tests.cosmos import ALL
from tests.fake_node import FAST

CHAINS = {
    "noble": Chain("noble", "cosmos", "noble-1", 40.0),
    "injective": Chain("injective", "cosmos", "injective-1", 92.0),
    "dydx": Chain("dydx", "cosmos", "dydx-mainnet-1", 55.0),
    "other": Chain("other", "cosmos", None, 10.0),
}
every_chain = pytest.mark.parametrize("name", CHAINS)


def simulated(name: str, backlog: int = 30, seed: int = 7) -> cosmos.Cosmos:
    """A chain with a backlog."""
    return cosmos.simulate(CHAINS[name], seed=seed, began=1.79e9, interval=1.5, backlog=backlog)


def asked(chain: cosmos.Cosmos, method: str, **params: Any) -> Any:  # noqa: ANN401 - any JSON
    """One answer, its envelope left on."""
    call = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    return json.loads(chain.respond(json.dumps(call).encode()))


def fetched(name: str) -> list[RawBlock]:
    """The whole chain, through the server and our client, which proves it."""
    chain = simulated(name)

    async def work() -> list[RawBlock]:
        async with server.serving({name: chain}) as url:
            endpoint = Endpoint("devnet", f"{url}/{name}")
            async with client.connect(CHAINS[name], [endpoint], FAST) as opened:
                assert (await opened.heights()).head == chain.head
                blocks = BlockRange(chain.first, chain.head + 1)
                async with aclosing(opened.fetch(blocks, ALL)) as stream:
                    return [block async for block in stream]

    return asyncio.run(work())


@every_chain
def test_a_simulated_chain_passes_every_proof(name: str) -> None:
    """Header hashes, data hashes, links and the hashes of results are right."""
    found = fetched(name)
    assert len(found) == 30
    assert found[0].parent_hash == ""
    assert all(above.parent_hash == below.hash for below, above in pairwise(found))
    assert all(above.time_ms - below.time_ms == 1500 for below, above in pairwise(found))


@every_chain
def test_every_table_has_rows(name: str) -> None:
    """Transfers of USDC, failures, events of blocks and of transactions."""
    found = fetched(name)
    tables = {d.name: d.decode(found) for d in datasets.get("cosmos", ALL)}
    assert all(table.num_rows for table in tables.values())
    usdc = profile(str(CHAINS[name].chain_id)).usdc
    assert usdc in tables["token_transfers"]["token_address"].to_pylist()
    assert len(set(tables["events"]["source"].to_pylist())) > 1


def test_the_dialect_changes_within_a_chain() -> None:
    """Noble is upgraded twice in its backlog: each answer must tell its own dialect."""
    found = fetched("noble")
    old = [b.payload.results.finalize_block_events is UNSET for b in found]
    assert old == [True] * 20 + [False] * 10
    chain = simulated("noble")
    texts = [chain._answers(height)[1] for height in (chain.first, chain.first + 15)]
    assert [b'"c3BlbmRlcg=="' in text for text in texts] == [True, False]


def test_dydx_begins_each_block_with_what_is_no_transaction() -> None:
    """A vote extension, and an event that has no type."""
    (first, *_) = fetched("dydx")
    (transactions,) = datasets.get("cosmos", ["transactions"])
    row = transactions.decode([first]).to_pylist()[0]
    assert row["message_types"] is None
    assert row["code"] == 2
    (events,) = datasets.get("cosmos", ["events"])
    assert None in events.decode([first])["event_type"].to_pylist()


def test_the_same_seed_makes_the_same_chain() -> None:
    """And another one another."""
    one, same, other = simulated("noble"), simulated("noble"), simulated("noble", seed=8)
    assert one.links == same.links
    assert one.links[-1] != other.links[-1]


def test_forgotten_blocks_are_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only hashes are kept for good."""
    monkeypatch.setattr(cosmos, "_KEPT_BLOCKS", 5)
    chain, whole = simulated("noble"), simulated("noble")
    assert len(chain.kept) == 5
    monkeypatch.setattr(cosmos, "_KEPT_BLOCKS", 50)
    for height in range(chain.first, chain.head + 1):
        assert chain._answers(height) == whole._answers(height)


def test_a_chain_grows_when_a_block_is_due() -> None:
    """Every interval since it began."""
    chain = simulated("noble")
    assert chain.due(1.79e9) == chain.head
    assert chain.due(1.79e9 + 4.6) == chain.head + 3
    before = chain.head
    chain.grow()
    assert chain.head == before + 1
    assert chain.finality_blocks == 0


@pytest.mark.parametrize(
    ("method", "params", "words"),
    [
        ("block", {"height": "0"}, "height must be greater than 0, but got 0"),
        ("block", {"height": "45000030"}, "height 45000030 must be less than or equal to the"),
        ("block_results", {"height": "9"}, "height 9 is not available, lowest height is 45000000"),
        ("block", {"height": "x"}, "not a height: 'x'"),
        ("block", ["5"], "named ones"),
    ],
)
def test_heights_it_has_not_are_refused_in_cometbfts_words(
    method: str, params: object, words: str
) -> None:
    """The words are what the client tells such errors apart by."""
    call = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    answer = json.loads(simulated("noble").respond(json.dumps(call).encode()))
    assert answer["id"] == 7
    assert words in answer["error"]["data"]


def test_other_requests_are_refused() -> None:
    """No JSON, no object, no such method, too many at once."""
    chain = simulated("other", 3)
    codes = {
        b"{": -32700,
        b"1": -32600,
        b'{"method": "abci_info"}': -32601,
        json.dumps([{"id": i, "method": "status"} for i in range(11)]).encode(): -32600,
    }
    for body, code in codes.items():
        assert json.loads(chain.respond(body))["error"]["code"] == code


def test_headers_come_newest_first_and_at_most_twenty() -> None:
    """As `blockchain` has them."""
    chain = simulated("noble")
    said = asked(chain, "blockchain", minHeight="1", maxHeight="45000024")["result"]
    heights = [meta["header"]["height"] for meta in said["block_metas"]]
    assert heights == [str(height) for height in range(45_000_024, 45_000_004, -1)]
    assert said["last_height"] == "45000029"


def test_it_answers_by_get_too() -> None:
    """As a person with curl asks; an error is HTTP 500."""
    chain = simulated("noble")

    async def work() -> list[tuple[int, Any]]:
        async with server.serving({"noble": chain}) as url, aiohttp.ClientSession() as session:
            found = []
            for path in ("status", "block?height=45000003", "block?height=1", "health"):
                async with session.get(f"{url}/noble/{path}") as response:
                    found.append((response.status, await response.json()))
            return found

    status, block, refused, health = asyncio.run(work())
    assert status[1]["result"]["sync_info"]["latest_block_height"] == "45000029"
    assert block[1]["result"]["block"]["header"]["height"] == "45000003"
    assert (refused[0], refused[1]["id"]) == (500, -1)
    assert health == (200, {"jsonrpc": "2.0", "id": -1, "result": {}})


def test_addresses_are_bech32() -> None:
    """The module account of fees, as every Cosmos chain has it, with its checksum."""
    fees = bytes.fromhex("f1829676db577682e944fc3493d451b67ff3e29f")
    assert address("cosmos", fees) == "cosmos17xpfvakm2amg962yls6f84z3kell8c5lserqta"
    assert address("inj", fees) == "inj17xpfvakm2amg962yls6f84z3kell8c5l6s5ye9"


def test_generated_blocks_are_heavy_and_linked() -> None:
    """For benchmarks: 20 transactions or so, and consecutive heights."""
    found = list(cosmos.generate("dydx-mainnet-1", 3, start=500))
    headers = [json.loads(block)["block"]["header"] for block, _ in found]
    assert [header["height"] for header in headers] == ["500", "501", "502"]
    ids = [json.loads(block)["block_id"]["hash"] for block, _ in found]
    assert [header["last_block_id"]["hash"] for header in headers] == ["", *ids[:-1]]
    assert all(len(json.loads(results)["txs_results"]) > 8 for _, results in found)
