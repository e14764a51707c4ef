"""The Cosmos client: what it gives, what it proves, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from chainflow.clients import Probed, cosmos
from chainflow.errors import (
    HeightPruned,
    MalformedAnswer,
    NodeUnavailable,
    NotYet,
    RequestRefused,
    TerminalError,
    Unsupported,
    WorkError,
    WrongChain,
)
from chainflow.types import BlockRange, Heights, Verify
from tests.cosmos import NETWORK, read, result
from tests.cosmos_node import CHAIN, FakeNode, chain, fetch, heights, refuses
from tests.fake_node import FAST, SOON

Json = Any
BLOCKS = BlockRange(1, 11)


def node(stop: int = 11, *, first: int = 1, **options: Any) -> FakeNode:  # noqa: ANN401
    """A node with the heights [first, stop)."""
    return FakeNode(chain(stop, first=first, **options))


def header(**fields: str) -> Callable[[Json], Json]:
    """For `edit`: the block with other fields in its header."""

    def change(said: Json) -> Json:
        return {**said, "block": {**said["block"], "header": {**said["block"]["header"], **fields}}}

    return change


def test_heights_are_the_newest_block_and_final() -> None:
    """There is no other finality: a block that exists is final."""
    assert heights([node(8)]) == Heights(7, 7)


def test_a_node_that_is_catching_up_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Its head is its head all the same."""
    behind = node(8)
    behind.edit(lambda s: {**s, "sync_info": {**s["sync_info"], "catching_up": True}}, "status")
    with caplog.at_level(logging.WARNING):
        assert heights([behind]) == Heights(7, 7)
    (line,) = [r.getMessage() for r in caplog.records if "catching up" in r.getMessage()]
    assert line.startswith("node is catching up chain=testchain endpoint=127.0.0.1:")
    assert line.endswith("head=7")


def test_a_node_without_a_block_is_not_yet() -> None:
    """Before the chain began; not height 0, which no chain has."""
    empty = node(8)
    empty.edit(
        lambda s: {**s, "sync_info": {**s["sync_info"], "latest_block_height": "0"}}, "status"
    )
    with pytest.raises(NotYet, match=r"testchain heights: .*no block yet"):
        heights([empty], limits=SOON)


@pytest.mark.parametrize("datasets", [("blocks",), ("blocks", "events")])
def test_blocks_come_linked_with_their_results_where_wanted(datasets: tuple[str, ...]) -> None:
    """Dataset `blocks` alone costs half the requests, and works where results are pruned."""
    one = node()
    found = fetch([one], BLOCKS, datasets)
    assert [block.height for block in found] == list(BLOCKS)
    assert all(above.parent_hash == below.hash for below, above in pairwise(found))
    methods = {call["method"] for calls in one.asked for call in calls}
    assert ("block_results" in methods) == ("events" in datasets)
    assert all((block.payload.results is not None) == ("events" in datasets) for block in found)


def test_no_request_holds_more_calls_than_cometbft_takes() -> None:
    """Ten by default; more would be refused whole."""
    one = node(60)
    fetch([one], BlockRange(1, 60))
    assert max(map(len, one.asked)) == 10


def test_another_network_is_the_wrong_chain() -> None:
    """Asked before the first block."""
    one = node(network="other-1")
    with pytest.raises(WrongChain, match=f"expected chain id {NETWORK}, got other-1"):
        fetch([one], BLOCKS)
    assert {call["method"] for calls in one.asked for call in calls} == {"status"}


def test_a_chain_whose_id_is_not_told_is_not_asked() -> None:
    """Then the first block's word is taken."""
    assert len(fetch([node()], BLOCKS, of=replace(CHAIN, chain_id=None))) == 10


CONTRADICTIONS: dict[str, tuple[Callable[[Json], Json], str, str]] = {
    "another height": (header(height="6"), "block", "the answer is block 6"),
    "another chain": (header(chain_id="other-1"), "block", "a block of chain 'other-1'"),
    "an altered header": (header(app_hash="AB"), "block", "hash is [0-9A-F]{64}, but"),
    "a transaction dropped": (
        lambda s: {**s, "block": {**s["block"], "data": {"txs": []}}},
        "block",
        "data_hash is",
    ),
    "evidence dropped or added": (
        lambda s: {**s, "block": {**s["block"], "evidence": {"evidence": [{}]}}},
        "block",
        "evidence_hash and evidence disagree",
    ),
    "results of another height": (
        lambda s: {**s, "height": "6"},
        "block_results",
        "the results are of block 6",
    ),
    "a result dropped": (
        lambda s: {**s, "txs_results": None},
        "block_results",
        "0 results for [1-9] transactions",
    ),
    "an altered result": (
        lambda s: {**s, "txs_results": [{**one, "code": 99} for one in s["txs_results"]]},
        "block_results",
        "last_results_hash above is",
    ),
    "gas that is no number": (
        lambda s: {**s, "txs_results": [{**one, "gas_used": "?"} for one in s["txs_results"]]},
        "block_results",
        "gas_used is '\\?'",
    ),
}
# Whose seed gives height 5 a transaction.
SEED = 7


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_what_contradicts_itself_is_malformed(what: str) -> None:
    """The message names chain, range, endpoint and height; nothing is given out."""
    change, method, words = CONTRADICTIONS[what]
    one = node()
    one.edit(change, method, height=5)
    with pytest.raises(MalformedAnswer) as caught:
        fetch([one], BlockRange(4, 8), limits=SOON)
    text = str(caught.value)
    assert "testchain [5, " in text
    assert "127.0.0.1:" in text
    assert re.search(f"height 5: .*{words}", text)


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_what_contradicts_itself_is_asked_of_another_endpoint(what: str) -> None:
    """A single bad endpoint costs nothing but time."""
    change, method, _ = CONTRADICTIONS[what]
    bad = node()
    bad.edit(change, method, height=5)
    assert len(fetch([bad, node()], BlockRange(4, 8))) == 4


@pytest.mark.parametrize(
    ("what", "verify"),
    [
        ("a transaction dropped", "hashes"),
        ("an altered result", "hashes"),
        ("an altered header", "none"),
    ],
)
def test_less_is_proven_where_the_registry_says_so(what: str, verify: Verify) -> None:
    """A chain may hash otherwise: the error names the `verify` that would take it."""
    change, method, words = CONTRADICTIONS[what]
    one = node()
    one.edit(change, method, height=5)
    if what == "a transaction dropped":
        one.edit(lambda s: {**s, "txs_results": None}, "block_results", height=5)
    with pytest.raises(MalformedAnswer, match=f"{words}.*this chain needs `verify: {verify}`"):
        fetch([one], BlockRange(4, 8), limits=SOON)
    assert len(fetch([one], BlockRange(4, 8), of=replace(CHAIN, verify=verify))) == 4


def altered(said: Json) -> Json:
    """For `edit`: results that are not those of the chain."""
    return {**said, "txs_results": [{**one, "code": 99} for one in said["txs_results"] or ()]}


def test_results_of_every_height_are_proven_by_the_header_above() -> None:
    """Of the first and last heights of spans as well, and of the range's last one."""
    blocks = BlockRange(1, 20)
    busy = [one.height for one in fetch([node(21)], blocks) if one.payload.block.data.txs]
    assert busy[-1] == blocks.last
    for height in busy:
        one = node(21)
        one.edit(altered, "block_results", height=height)
        with pytest.raises(MalformedAnswer, match=f"height {height}: last_results_hash above is"):
            fetch([one], blocks, limits=SOON)


def test_results_that_the_header_above_disproves_are_asked_for_again() -> None:
    """Of the same endpoint first: it may stand before several nodes."""
    for height in range(1, 20):
        one = node(21)
        one.edit(altered, "block_results", height=height, times=1)
        found = fetch([one], BlockRange(1, 20))
        assert found == fetch([node(21)], BlockRange(1, 20))


def test_one_more_block_is_asked_for_and_only_where_it_proves_something() -> None:
    """Once a range, not once a span; no results of it."""
    one, headers, unproven = (node(21) for _ in range(3))
    fetch([one], BlockRange(1, 18))
    fetch([headers], BlockRange(1, 18), ("blocks",))
    fetch([unproven], BlockRange(1, 18), of=replace(CHAIN, verify="hashes"))
    assert sorted(one.heights_asked("block")) == list(range(1, 19))
    assert sorted(one.heights_asked("block_results")) == list(range(1, 18))
    for other in (headers, unproven):
        assert sorted(other.heights_asked("block")) == list(range(1, 18))


def test_results_of_the_newest_block_are_taken_and_told(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing proves them before there is another block; the log says which they are."""
    one = node()
    one.edit(altered, "block_results", height=10)
    with caplog.at_level(logging.INFO):
        assert len(fetch([one], BLOCKS, limits=SOON)) == 10
    assert max(one.heights_asked("block")) == 10
    told = [r.getMessage() for r in caplog.records if "not proven" in r.getMessage()]
    assert told == ["results not proven yet chain=testchain height=10"]


def test_an_endpoint_that_lags_hides_no_header() -> None:
    """The newest block of the one is proven by the other's, and read again from it."""
    past = "height 11 must be less than or equal to the current blockchain height 10"
    known = {"latest_block_height": "10"}
    for method, change in (
        ("block", refuses(past)),
        ("status", lambda said: {**said, "sync_info": {**said["sync_info"], **known}}),
    ):
        behind, ahead = node(12), node(12)
        behind.edit(change, method, height=11 if method == "block" else None)
        behind.edit(altered, "block_results", height=10)
        assert fetch([behind, ahead], BLOCKS) == fetch([ahead], BLOCKS)


def test_a_header_above_the_range_that_does_not_link_is_refused() -> None:
    """It proves nothing of this chain; another endpoint's does."""
    one = node(12)
    one.edit(lambda _: json.loads(node(12, seed=8).chain._answers(11)[0]), height=11)
    with pytest.raises(MalformedAnswer, match=r"testchain \[11, 12\): .*height 11: its parent is"):
        fetch([one], BLOCKS, limits=SOON)
    assert len(fetch([one, node(12)], BLOCKS)) == 10


def test_a_block_of_another_branch_is_not_linked() -> None:
    """Each header right by itself: the link shows that they are of two chains."""
    one, other = node(), node(seed=8)
    said = json.loads(other.chain._answers(6)[0])
    one.edit(lambda _: said, height=6)
    with pytest.raises(MalformedAnswer, match=r"height [67]: its parent is"):
        fetch([one], BlockRange(5, 9), ("blocks",), limits=SOON)


def test_past_the_head_is_not_yet() -> None:
    """CometBFT's refusal of a height to come is transient."""
    with pytest.raises(NotYet, match="must be less than or equal to"):
        fetch([node()], BlockRange(10, 13), limits=SOON)


def test_an_answer_without_its_block_is_not_yet() -> None:
    """Some versions answer so instead of refusing."""
    one = node()
    one.edit(lambda s: {**s, "block": None}, height=5, times=2)
    assert len(fetch([one], BLOCKS)) == 10


def test_results_of_the_newest_block_may_come_later() -> None:
    """They are stored a moment after the block."""
    one = node()
    missing = refuses("could not find results for height #10")
    one.edit(missing, "block_results", height=10, times=2)
    assert len(fetch([one], BLOCKS)) == 10


def test_results_that_are_pruned_apart_from_blocks_say_so() -> None:
    """Below the head they will not come any more."""
    one = node()
    one.edit(refuses("could not find results for height #5"), "block_results", height=5)
    words = "height 5: the node has the block and dropped its results; add an archive node"
    with pytest.raises(HeightPruned, match=words):
        fetch([one], BLOCKS)
    assert len(fetch([one], BLOCKS, ("blocks",))) == 10


def test_a_node_that_keeps_no_results_is_unsupported() -> None:
    """Its operator discards them at once (storage.discard_abci_responses)."""
    one = node()
    one.edit(refuses("node is not persisting finalize block responses"), "block_results")
    with pytest.raises(Unsupported, match="not persisting"):
        fetch([one], BLOCKS)


def test_a_pruned_height_says_from_where_the_node_has_blocks() -> None:
    """And names what to do about it."""
    one = node(31)
    pruned = refuses("height 3 is not available, lowest height is 20")
    for height in range(1, 20):
        one.edit(pruned, height=height)
        one.edit(pruned, "block_results", height=height)
    one.edit(
        lambda s: {**s, "sync_info": {**s["sync_info"], "earliest_block_height": "20"}}, "status"
    )
    words = "height 1: the node has dropped all below 20; add an archive node"
    with pytest.raises(HeightPruned, match=words):
        fetch([one], BLOCKS)


def test_a_start_below_the_chains_first_height_says_which_that_is() -> None:
    """An initial_height above 1: no archive node would help."""
    for start in (0, 4):
        with pytest.raises(RequestRefused) as caught:
            fetch([node(first=5)], BlockRange(start, 8))
        assert f"height {start}: the chain begins at 5; set `start: 5`" in str(caught.value)
        assert "archive" not in str(caught.value)


@pytest.mark.parametrize("where", ["gaia-local", "kvstore-v0_34", "kvstore-v0_38"])
def test_the_recorded_refusal_of_height_0_is_a_refusal(where: str) -> None:
    """As real nodes of both generations answered."""
    said = read(f"{where}/block_at_height_0.json")["error"]["data"]
    one = node()
    one.edit(refuses(said), height=5)
    with pytest.raises(RequestRefused, match=r"height 5: .*must be greater than 0, but got 0"):
        fetch([one], BLOCKS)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (429, b"slow down", NodeUnavailable),
        (503, b"<html><center>nginx</center></html>", NodeUnavailable),
        (403, b"<!DOCTYPE html> CloudFlare", RequestRefused),
        (200, b'{"jsonrpc":"2.0","id":1', NodeUnavailable),
        (200, b"", NodeUnavailable),
    ],
)
def test_pages_of_proxies_are_told_by_their_status(
    status: int, body: bytes, error: type[WorkError]
) -> None:
    """Public nodes stand behind nginx and CloudFlare; some trouble passes."""
    one = node()
    one.says(status, body, times=float("inf"))
    with pytest.raises(error):
        fetch([one], BLOCKS, limits=SOON)


def test_a_passing_trouble_costs_nothing_but_time() -> None:
    """What came is kept, what did not is asked for again."""
    one = node(40)
    one.says(503, b"", times=3)
    one.edit(refuses("timed out waiting for tx"), height=7, times=2)
    assert len(fetch([one], BlockRange(1, 40))) == 39


def test_a_key_in_the_url_is_in_no_error() -> None:
    """A node that quotes it does not get it into our message."""
    one = node()
    one.path = "/v1/sEcReTkEy0123456789"
    one.edit(refuses("no route for sEcReTkEy0123456789"))
    with pytest.raises(WorkError) as caught:
        fetch([one], BLOCKS, limits=SOON)
    assert "no route for ***" in str(caught.value)
    assert "sEcReT" not in str(caught.value)


def test_an_answer_that_is_no_object_is_malformed() -> None:
    """Whatever stands in the result's place."""
    one = node()
    one.edit(lambda _: [result()], height=3)
    with pytest.raises(TerminalError, match="height 3: Expected `object`"):
        fetch([one], BLOCKS)


def test_probe_says_what_a_node_is() -> None:
    """Its network, where its blocks begin, and that it has results."""

    async def work(one: FakeNode) -> Probed:
        async with one.running():
            return await cosmos.probe(one.endpoint, FAST)

    whole, pruned = node(9, first=4), node(9, first=4)
    pruned.edit(refuses("node is not persisting abci responses"), "block_results")
    assert asyncio.run(work(whole)) == Probed(
        chain_id=NETWORK, lowest=4, batches=True, receipts=True
    )
    assert asyncio.run(work(pruned)).receipts is False


def test_a_block_that_fails_its_proof_is_told_with_its_endpoint(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Another endpoint's is taken, and a person can see who lied about what."""
    liar, honest = node(), node()
    liar.edit(header(app_hash="00" * 32), height=4)
    with caplog.at_level(logging.WARNING):
        assert len(fetch([liar, honest], BLOCKS)) == 10
    told = f"refused block chain=testchain height=4 endpoint={liar.endpoint.host} reason=height 4: "
    assert caplog.messages[0].startswith(told)
