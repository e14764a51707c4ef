"""The Tron client: what it asks, what it makes of the answers, and when it asks again."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from chainflow.clients import Probed
from chainflow.clients import tron as client
from chainflow.errors import (
    MalformedAnswer,
    NodeUnavailable,
    NotYet,
    RateLimited,
    RequestRefused,
    Unsupported,
    WrongChain,
)
from chainflow.types import BlockRange, Heights
from tests import tron
from tests.fake_node import FAST, SOON
from tests.tron_node import (
    ALL,
    BLOCKS,
    CHAIN,
    CHAIN_ID,
    GENESIS,
    HEAD,
    INFOS,
    OVERLOAD,
    SOLID,
    TronNode,
    cut,
    edit,
    fetch,
    heights,
    http,
    say,
    slow,
)

Json = Any
SEVERAL = BlockRange(0, 30)


def test_heights_are_those_of_head_and_solidified_block() -> None:
    """Two questions, and the numbers in the headers."""
    node = TronNode(tron.chain(12), solid=5)
    assert heights([node]) == Heights(11, 5)


def test_heights_without_a_tag_ask_for_the_head_alone() -> None:
    """With confirmations the solidified block is nobody's business."""
    node = TronNode(tron.chain(12))
    assert heights([node], of=replace(CHAIN, finality_tag=None)) == Heights(11, None)
    assert not node.requests(SOLID)


def test_heights_of_a_lagging_backend_are_not_below_the_solidified_one() -> None:
    """Two questions may be answered by two backends."""
    node = TronNode(tron.chain(12), solid=9)
    node.react(say(tron.chain(3)[2].block), path=HEAD)
    assert heights([node]) == Heights(9, 9)


@pytest.mark.parametrize("refusal", [(404, "Not Found"), (405, ""), (403, "forbidden")])
def test_heights_without_a_solidity_api_say_what_to_set(refusal: tuple[int, str]) -> None:
    """A node that serves only /wallet needs confirmations instead."""
    node = TronNode(tron.chain(3))
    node.react(http(*refusal), path=SOLID, times=9)
    with pytest.raises(Unsupported, match=r"finality: \{confirmations: 19\}"):
        heights([node])


def test_heights_know_no_tag_but_finalized() -> None:
    """`safe` is an EVM word."""
    with pytest.raises(Unsupported, match="only 'finalized'"):
        heights([TronNode(tron.chain(3))], of=replace(CHAIN, finality_tag="safe"))


def test_blocks_are_asked_for_in_ranges_whose_end_is_excluded() -> None:
    """Ranges that touch and do not overlap; never more than a hundred heights."""
    limits = replace(FAST, calls_per_request=500)
    node = TronNode(tron.chain(30))
    assert [block.height for block in fetch([node], SEVERAL, limits=limits)] == list(SEVERAL)
    asked = sorted((one["startNum"], one["endNum"]) for one in node.requests(BLOCKS))
    assert asked[0][0] == 0
    assert asked[-1][1] == 30
    assert all(above[0] == below[1] for below, above in pairwise(asked))


def test_infos_are_asked_for_once_per_block_that_has_transactions() -> None:
    """Not of the genesis block, not of empty blocks."""
    chain = tron.chain(30)
    node = TronNode(chain)
    blocks = fetch([node], SEVERAL)
    wanted = [height for height, made in chain.items() if made.infos]
    assert sorted(one["num"] for one in node.requests(INFOS)) == wanted
    sizes = [block.payload.executed.transactions.num_rows for block in blocks]
    assert sizes == [len(chain[height].infos) for height in SEVERAL]


def test_blocks_alone_need_no_infos() -> None:
    """Headers and counts are in the blocks."""
    node = TronNode(tron.chain(9))
    blocks = fetch([node], BlockRange(0, 9), ["blocks"])
    assert not node.requests(INFOS)
    assert all(block.payload.executed is None for block in blocks)


def test_infos_in_another_order_are_put_into_that_of_the_transactions() -> None:
    """They name their transactions."""
    node = TronNode(tron.chain(3))
    node.react(edit(lambda infos: infos[::-1]), path=INFOS)
    (block,) = fetch([node], BlockRange(2, 3))
    given = {info["id"]: info for info in tron.chain(3)[2].infos}
    rows = block.payload.executed.transactions
    assert len(rows) > 1
    ids = rows["tx_id"].to_pylist()
    assert rows["info.fee"].to_pylist() == [given[one].get("fee") for one in ids]


def test_genesis_block_has_transactions_and_no_infos() -> None:
    """No node has infos of it: each transaction gets one that says nothing."""
    node = TronNode({0: tron.Recorded(tron.genesis())})
    (block,) = fetch([node], BlockRange(0, 1), of=replace(CHAIN, chain_id=728126428))
    assert block.hash == tron.GENESIS_ID
    assert block.time_ms == 0
    assert block.payload.executed.transactions["info.fee"].to_pylist() == [None] * 3


@pytest.mark.parametrize("path", [GENESIS, BLOCKS, INFOS])
def test_overload_with_status_200_is_waited_out(path: str) -> None:
    """`lack of computing resources` is a rate limit."""
    node = TronNode(tron.chain(6))
    node.react(say(OVERLOAD), path=path, times=2)
    assert len(fetch([node], BlockRange(0, 6))) == 6


def test_overload_for_ever_is_a_rate_limit() -> None:
    """Transient; chain, range and endpoint are named."""
    node = TronNode(tron.chain(6))
    node.react(say(OVERLOAD), times=1000)
    with pytest.raises(RateLimited, match=r"tron \[0, 1\): 127.0.0.1.*lack of computing"):
        fetch([node], BlockRange(0, 6), limits=SOON)


def test_trongrid_tells_in_words_how_long_it_wants_to_be_left_alone() -> None:
    """A 403 that says `suspended for N s` is a rate limit, not a refusal."""
    text = (
        '{"Error":"The key exceeds the frequency limit(15), and the query server is suspended '
        'for 1s"}'
    )
    node = TronNode(tron.chain(3))
    node.react(http(403, text))
    began = time.monotonic()
    assert len(fetch([node], BlockRange(0, 3))) == 3
    assert time.monotonic() - began >= 1


def test_lite_full_node_gives_way_to_the_next_endpoint() -> None:
    """It has no history, and says so; another endpoint may."""
    closed = {"Error": "this API is closed because this node is a lite fullnode"}
    lite, full = TronNode(tron.chain(6)), TronNode(tron.chain(6))
    lite.react(say(closed), times=1000)
    assert len(fetch([lite, full], BlockRange(0, 6))) == 6
    with pytest.raises(Unsupported, match="lite fullnode"):
        fetch([lite], BlockRange(0, 6), limits=SOON)


def test_key_goes_into_a_header_and_into_no_error() -> None:
    """TronGrid's key is the connection's header; a node that quotes it is not quoted."""
    key = "0f0f0f0f-1234-5678-9999-abcdefabcdef"
    node = TronNode(tron.chain(3), headers={"TRON-PRO-API-KEY": key})
    node.react(say({"Error": f"key {key} is invalid: unauthorized"}, status=401), times=99)
    with pytest.raises(RequestRefused) as caught:
        fetch([node], BlockRange(0, 3), limits=SOON)
    assert key not in str(caught.value)
    assert node.seen_headers[0]["TRON-PRO-API-KEY"] == key


def test_endpoint_may_have_a_path() -> None:
    """A provider's base address, with the API below it."""
    node = TronNode(tron.chain(3), root="/tron/v1")
    assert len(fetch([node], BlockRange(0, 3))) == 3


def test_other_network_is_the_wrong_chain() -> None:
    """The genesis block proves which one it is."""
    with pytest.raises(WrongChain, match=f"expected chain id 728126428, got {CHAIN_ID}"):
        fetch([TronNode(tron.chain(3))], BlockRange(0, 3), of=replace(CHAIN, chain_id=728126428))


def test_other_block_in_place_of_genesis_proves_nothing() -> None:
    """Whatever its id ends with."""
    chain = tron.chain(3)
    node = TronNode(chain)
    node.react(say(chain[2].block), path=GENESIS, times=99)
    with pytest.raises(MalformedAnswer, match="height 0: the answer is block 2"):
        fetch([node], BlockRange(0, 3), limits=SOON)


def test_chain_without_an_id_asks_for_no_genesis() -> None:
    """Nothing to hold it against."""
    node = TronNode(tron.chain(3))
    assert len(fetch([node], BlockRange(0, 3), of=replace(CHAIN, chain_id=None))) == 3
    assert not node.requests(GENESIS)


@pytest.mark.parametrize("answer", [{}, {"block": []}])
def test_no_block_is_not_yet(answer: dict[str, object]) -> None:
    """Past the head a node says `{}`."""
    node = TronNode(tron.chain(6))
    node.react(say(answer), times=1000)
    with pytest.raises(NotYet, match="height 3"):
        fetch([node], BlockRange(3, 6), limits=SOON)


@pytest.mark.parametrize("answer", [{}, []])
def test_no_infos_of_a_block_with_transactions_are_not_yet(answer: object) -> None:
    """A backend that lags has the block and not its infos; then it has them."""
    node = TronNode(tron.chain(3))
    node.react(say(answer), path=INFOS, times=2)
    (block,) = fetch([node], BlockRange(2, 3))
    assert block.payload.executed.transactions.num_rows == 2
    node.react(say(answer), path=INFOS, times=1000)
    with pytest.raises(NotYet, match="no infos for 2 transactions; a node that keeps no"):
        fetch([node], BlockRange(2, 3), limits=SOON)


def test_infos_of_another_fork_cost_the_block_too() -> None:
    """Which of the two is wrong cannot be told: both are asked for again."""
    node = TronNode(tron.chain(3))
    node.react(say(tron.chain(6)[5].infos), path=INFOS)
    node.react(edit(lambda infos: [{**infos[0], "blockTimeStamp": 5}, infos[1]]), path=INFOS)
    assert len(fetch([node], BlockRange(2, 3))) == 1
    assert len(node.requests(BLOCKS)) >= 2


def test_two_branches_are_read_again() -> None:
    """Blocks whose parents do not fit, inside a span and between two."""
    chain, other = tron.chain(30), tron.chain(30, fork="b")
    node = TronNode(chain)

    def fork(answer: dict[str, list[tron.Json]]) -> dict[str, list[tron.Json]]:
        heights = [one["block_header"]["raw_data"].get("number", 0) for one in answer["block"]]
        half = len(heights) // 2
        return {"block": [*answer["block"][:half], *(other[h].block for h in heights[half:])]}

    node.react(edit(fork), times=2)
    blocks = fetch([node], SEVERAL)
    assert [block.hash for block in blocks] == [chain[h].block["blockID"] for h in SEVERAL]


def test_too_large_an_answer_is_asked_for_in_parts() -> None:
    """The bound is a client's own; a single block above it is told."""
    chain = tron.chain(30)
    node = TronNode(chain)
    largest = max(len(str(made.block)) for made in chain.values())
    limits = replace(FAST, body_bytes=3 * largest)
    assert len(fetch([node], SEVERAL, limits=limits)) == 30
    assert any(one["endNum"] - one["startNum"] <= 3 for one in node.requests(BLOCKS))


def test_spans_fit_the_bytes_that_an_answer_should_have() -> None:
    """Large answers make the next range smaller."""
    node = TronNode(tron.chain(60))
    fetch([node], BlockRange(0, 60), limits=replace(FAST, answer_bytes=4000))
    widths = [one["endNum"] - one["startNum"] for one in node.requests(BLOCKS)]
    assert widths[:2] == [1, 10]
    assert min(widths) < 5


def test_what_came_is_kept_between_attempts() -> None:
    """One bad info costs no other block."""
    node = TronNode(tron.chain(10))
    node.react(cut(), path=INFOS)
    assert len(fetch([node], BlockRange(0, 10))) == 10
    asked = [one["num"] for one in node.requests(INFOS)]
    assert len(asked) == len(set(asked)) + 1


def test_requests_in_flight_stay_within_the_endpoints_pace() -> None:
    """Infos are asked for side by side, as many as the window allows."""
    node = TronNode(tron.chain(60))
    node.react(slow(0.005), path=INFOS, times=60)
    fetch([node], BlockRange(0, 60), limits=replace(FAST, requests_in_flight=3))
    assert 1 < node.most_at_once <= 3


@pytest.mark.parametrize("path", [BLOCKS, INFOS, GENESIS])
@pytest.mark.parametrize("body", ["", "null", "5", '"x"', "[", "<html>", '{"block":', "[{"])
def test_body_that_is_no_answer_is_asked_for_again(path: str, body: str) -> None:
    """Whatever stands in its place."""
    node = TronNode(tron.chain(6))
    node.react(http(200, body), path=path)
    assert len(fetch([node], BlockRange(0, 6))) == 6


def test_more_blocks_than_asked_for_are_refused() -> None:
    """A node that includes the end of a range is not what this client was built on."""
    chain = tron.chain(8)
    node = TronNode(chain)
    more = {"block": [chain[height].block for height in range(4, 8)]}
    node.react(say(more), times=99)
    with pytest.raises(MalformedAnswer, match=r"heights \[4, 5\).*4 blocks"):
        fetch([node], BlockRange(4, 7), limits=SOON)


def test_server_error_is_node_unavailable() -> None:
    """With what the node said."""
    node = TronNode(tron.chain(3))
    node.react(http(502, "bad gateway"), times=1000)
    with pytest.raises(NodeUnavailable, match="HTTP 502: bad gateway"):
        fetch([node], BlockRange(0, 3), limits=SOON)


def test_probe_tells_what_a_node_is() -> None:
    """Its network's id, and that it has infos."""

    async def work() -> Probed:
        async with TronNode(tron.chain(6)).running() as node:
            return await client.probe(node.endpoint)

    said = asyncio.run(work())
    assert (said.chain_id, said.batches, said.receipts) == (CHAIN_ID, False, True)


def test_probe_of_a_node_without_infos_says_so() -> None:
    """A node may keep no history of transactions."""

    async def work() -> Probed:
        node = TronNode(tron.chain(6))
        node.react(http(404, "no such thing"), path=INFOS, times=9)
        async with node.running():
            return await client.probe(node.endpoint)

    assert asyncio.run(work()).receipts is False


def test_fetched_blocks_carry_what_the_node_sent() -> None:
    """Size counts the bytes of block and infos; time is the header's."""
    chain = tron.chain(3)
    (block,) = fetch([TronNode(chain)], BlockRange(2, 3), ALL)
    raw = chain[2].block["block_header"]["raw_data"]
    assert block.time_ms == raw["timestamp"]
    assert block.size > len(str(raw))


def test_a_block_that_fails_its_proof_is_told_with_its_endpoint(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Another endpoint's is taken, and a person can see who lied about what."""
    liar, honest = TronNode(tron.chain(6)), TronNode(tron.chain(6))

    def lie(answer: Json) -> Json:
        for block in answer["block"]:
            if block["block_header"]["raw_data"].get("number") == 3:
                block["block_header"]["raw_data"]["timestamp"] += 1
        return answer

    liar.react(edit(lie), times=99)
    with caplog.at_level(logging.WARNING):
        assert len(fetch([liar, honest], BlockRange(0, 6))) == 6
    told = f"refused block chain=tron height=3 endpoint={liar.endpoint.host} reason=height 3: "
    assert caplog.messages[0].startswith(told)
