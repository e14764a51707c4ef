"""What the EVM client asks a node, and what it makes of true answers."""

from __future__ import annotations

import gc
import math
from dataclasses import replace
from typing import Any

import pytest

from chainflow.errors import (
    AnswerTooLarge,
    Unsupported,
    WrongChain,
)
from chainflow.types import BlockRange, Heights, RawBlock
from chainflow.wire import evm as wire
from tests import fake_node
from tests.fake_node import CHAIN, FAST, FakeNode, Reaction, chain, fetch, heights

RECEIPTS = "eth_getBlockReceipts"
ALWAYS = math.inf
TAGGED = replace(CHAIN, finality_tag="finalized")
ONE_RECEIPT = "eth_getTransactionReceipt"
TEN = BlockRange(0, 10)
# One request at a time: what is asked can be counted.
SINGLE = replace(FAST, requests_in_flight=1)


def _heights(blocks: list[RawBlock]) -> list[int]:
    return [block.height for block in blocks]


# Honest nodes


def test_blocks_come_whole_with_their_receipts() -> None:
    """Envelope, transactions, receipts and logs are the node's own, in the chain's order."""
    node = FakeNode(chain(10))
    blocks = fetch([node], TEN)
    assert _heights(blocks) == list(TEN)
    for block in blocks:
        served = node.chain.blocks[block.height]
        assert (block.hash, block.parent_hash) == (served["hash"], served["parentHash"])
        assert block.time_ms == int(served["timestamp"], 16) * 1000
        sent = [tx["hash"] for tx in served["transactions"]]
        assert block.payload.transactions["hash"].to_pylist() == sent
        assert block.payload.receipts["transaction_hash"].to_pylist() == sent
        assert block.payload.logs["transaction_hash"].to_pylist() == sent[1:]
        assert block.size > 500


def test_receipts_are_not_asked_for_where_no_dataset_needs_them() -> None:
    """`blocks` and `withdrawals` cost half the calls, and carry no receipts."""
    node = FakeNode(chain(10))
    blocks = fetch([node], TEN, ("blocks", "withdrawals"))
    assert [block.payload.logs.num_rows for block in blocks] == [0] * 10
    assert not node.calls(RECEIPTS)


def test_several_heights_go_into_one_request() -> None:
    """A batch holds the calls of more than one height, and grows while all goes well."""
    node = FakeNode(chain(200))
    fetch([node], BlockRange(0, 200), limits=SINGLE)
    sizes = [len(calls) for calls in node.asked]
    assert sizes[0] == 1  # the chain id
    assert sizes[1] == 2  # the first height, alone
    assert sizes[2] >= 4
    assert max(sizes) > sizes[2]
    assert max(sizes) <= FAST.calls_per_request


def test_answers_of_a_batch_are_matched_by_id() -> None:
    """The order of a batch's answers means nothing."""
    node = FakeNode(chain(10))

    node.react(fake_node.rewrite(lambda _, answers: answers[::-1]), times=ALWAYS)
    assert _heights(fetch([node], TEN)) == list(TEN)


def test_ids_may_come_back_as_text() -> None:
    """Some gateways turn the id into a string."""
    node = FakeNode(chain(10))

    node.react(
        fake_node.rewrite(lambda _, answers: [{**a, "id": str(a["id"])} for a in answers]),
        times=ALWAYS,
    )
    assert _heights(fetch([node], TEN)) == list(TEN)


def test_a_range_of_one_height_is_one_block() -> None:
    """The smallest range there is."""
    assert _heights(fetch([FakeNode(chain(10))], BlockRange(9, 10))) == [9]


def test_requests_in_flight_stay_within_their_bound() -> None:
    """Never more at once than the limits say."""
    node = FakeNode(chain(100))
    node.react(fake_node.hang(0.01), times=ALWAYS)
    fetch([node], BlockRange(0, 100), limits=replace(FAST, requests_in_flight=3))
    assert 1 < node.most_at_once <= 3


def test_blocks_are_held_no_longer_than_by_their_consumer() -> None:
    """Dropped blocks are gone at once: waiting for a garbage collection tripled the memory.

    By type(), because isinstance asks other packages' lazy objects what they are.
    """
    gc.collect()
    gc.disable()
    try:
        before = sum(type(held) is RawBlock for held in gc.get_objects())
        fetch([FakeNode(chain(100))], BlockRange(0, 100))
        after = sum(type(held) is RawBlock for held in gc.get_objects())
    finally:
        gc.enable()
    assert after == before


# Heights


def test_heights_are_the_head_and_the_tagged_block() -> None:
    """The head as a number, the finalized height by its tag; one request."""
    node = FakeNode(chain(30), tags={"finalized": 22})
    assert heights([node], of=TAGGED) == Heights(29, 22)
    assert [len(calls) for calls in node.asked] == [1, 2]


def test_heights_of_a_chain_without_a_tag_ask_for_none() -> None:
    """Where the target counts confirmations, no tag is asked for."""
    node = FakeNode(chain(30))
    assert heights([node]) == Heights(29, None)
    assert not node.calls("eth_getBlockByNumber")


def test_heights_never_put_the_head_below_the_finalized_block() -> None:
    """A lagging backend may answer one of the two calls."""
    node = FakeNode(chain(30), tags={"finalized": 29})
    node.react(fake_node.edit(lambda _: "0x14", method="eth_blockNumber"), method="eth_blockNumber")
    assert heights([node], of=TAGGED) == Heights(29, 29)


@pytest.mark.parametrize(
    "reaction",
    [
        fake_node.edit(fake_node.null, method="eth_getBlockByNumber"),
        fake_node.edit(
            fake_node.fails(-32602, "invalid argument 0: hex string without 0x prefix"),
            method="eth_getBlockByNumber",
        ),
        fake_node.edit(
            fake_node.fails(-32000, "finalized block not found"), method="eth_getBlockByNumber"
        ),
        fake_node.edit(fake_node.fails(-32601, "no such tag"), method="eth_getBlockByNumber"),
    ],
)
def test_a_tag_that_no_node_serves_tells_what_to_set(reaction: Reaction) -> None:
    """The operator learns which tag, at which endpoint, and the setting that helps."""
    node = FakeNode(chain(30))
    node.react(reaction, times=ALWAYS)
    with pytest.raises(Unsupported, match=r"finality: \{confirmations: N\}") as caught:
        heights([node], of=TAGGED)
    assert node.host in str(caught.value)
    assert "'finalized'" in str(caught.value)


def test_a_tag_is_taken_from_an_endpoint_that_serves_it() -> None:
    """One node without the tag does not stop the chain."""
    poor, good = FakeNode(chain(30)), FakeNode(chain(30), tags={"finalized": 20})
    assert heights([poor, good], of=TAGGED) == Heights(29, 20)


def test_heights_that_a_node_has_not_are_not_believed() -> None:
    """One endpoint that tells a head and a finalized block far too high does not stop the chain."""
    honest = FakeNode(chain(30), tags={"finalized": 22})
    liar = FakeNode(chain(30), tags={"finalized": 22})
    liar.react(fake_node.edit(_a_thousand_higher))
    assert heights([liar, honest], of=TAGGED) == Heights(29, 22)
    stuck = FakeNode(chain(10), tags={"finalized": 2})
    assert heights([stuck, honest], of=TAGGED) == Heights(29, 22)


def _a_thousand_higher(said: Any) -> Any:  # noqa: ANN401 - a node's JSON
    if isinstance(said, str):
        return hex(int(said, 16) + 1000)
    return {**said, "number": _a_thousand_higher(said["number"])}


# Chain id


def test_chain_id_is_asked_once_before_the_first_block() -> None:
    """One call per endpoint, before anything else."""
    node = FakeNode(chain(100))
    fetch([node], BlockRange(0, 100))
    assert len(node.calls("eth_chainId")) == 1
    assert node.asked[0][0]["method"] == "eth_chainId"


def test_a_node_of_another_chain_stops_the_work(caplog: pytest.LogCaptureFixture) -> None:
    """No block of it is asked for; the message names both ids and the endpoint, and is all."""
    node = FakeNode(chain(10), chain_id=56)
    with pytest.raises(WrongChain, match="expected chain id 1, got 56") as caught:
        fetch([node], TEN)
    assert "testnet" in str(caught.value)
    assert node.host in str(caught.value)
    assert not node.calls("eth_getBlockByNumber")
    assert [r for r in caplog.records if r.levelname in ("WARNING", "ERROR")] == []


def test_a_node_of_another_chain_is_passed_over_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The right one is used; the wrong one is logged as an error, once."""
    wrong, right = FakeNode(chain(10), chain_id=56), FakeNode(chain(10))
    assert _heights(fetch([wrong, right], TEN)) == list(TEN)
    told = [r for r in caplog.records if r.levelname == "ERROR"]
    assert len(told) == 1
    assert wrong.host in told[0].getMessage()
    assert [len(calls) for calls in wrong.asked] == [1]


# Batches


def test_a_node_without_batches_is_asked_singly() -> None:
    """A single error object for a batch: from then on one call a request."""
    node = FakeNode(chain(10), batches=False)
    assert _heights(fetch([node], TEN, limits=SINGLE)) == list(TEN)
    assert [len(calls) for calls in node.asked].count(2) == 1
    assert {len(calls) for calls in node.asked[2:]} == {1}


def test_a_single_result_for_a_batch_means_no_batches() -> None:
    """A node that answers only the first call of a batch is asked singly too."""
    node = FakeNode(chain(10))
    node.react(fake_node.rewrite(lambda _, answers: answers[0]), times=ALWAYS)
    assert _heights(fetch([node], TEN, limits=SINGLE)) == list(TEN)
    assert {len(calls) for calls in node.asked[2:]} == {1}


def test_a_batch_limit_halves_the_batch() -> None:
    """Refused at ten calls and at five: the next are smaller, and all blocks come."""
    node = FakeNode(chain(10), max_batch=4)
    six = BlockRange(0, 6)  # the first alone, the others in one span
    assert _heights(fetch([node], six, limits=SINGLE)) == list(six)
    assert [len(calls) for calls in node.asked[:5]] == [1, 2, 10, 5, 2]


def test_an_answer_too_large_for_one_block_is_terminal() -> None:
    """Nothing smaller can be asked for."""
    node = FakeNode(chain(10))
    node.react(fake_node.edit(fake_node.fails(-32000, "response too large")), times=ALWAYS)
    with pytest.raises(AnswerTooLarge, match="response too large"):
        fetch([node], TEN)


def test_a_body_over_the_limit_is_refused_unread() -> None:
    """Our own bound holds as the node's would: smaller requests, and an end at one block."""
    node = FakeNode(chain(10))
    assert _heights(fetch([node], TEN, limits=replace(FAST, body_bytes=5000))) == list(TEN)
    with pytest.raises(AnswerTooLarge, match="larger than 300 bytes"):
        fetch([FakeNode(chain(10))], TEN, limits=replace(FAST, body_bytes=300))


def test_large_answers_make_the_next_request_smaller() -> None:
    """No trouble needed: the size that is wished for is kept to."""
    node = FakeNode(chain(60, transactions=20))
    fetch([node], BlockRange(0, 60), limits=replace(SINGLE, answer_bytes=20_000))
    assert [len(calls) for calls in node.asked][-1] < 10


# Receipts one by one


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (-32601, "the method eth_getBlockReceipts does not exist/is not available"),
        (-32004, "Method eth_getBlockReceipts is not supported"),
        (-32603, "method is not whitelisted"),
    ],
)
def test_a_node_without_block_receipts_is_asked_for_each(code: int, text: str) -> None:
    """The same blocks come, and block receipts are not asked of it again."""
    node = FakeNode(chain(40))
    node.react(
        fake_node.edit(fake_node.fails(code, text), method=RECEIPTS), method=RECEIPTS, times=ALWAYS
    )
    blocks = fetch([node], BlockRange(0, 40), limits=SINGLE)
    honest = fetch([FakeNode(chain(40))], BlockRange(0, 40))
    assert [b.payload for b in blocks] == [b.payload for b in honest]
    asked = {
        index for index, calls in enumerate(node.asked) for c in calls if c["method"] == RECEIPTS
    }
    assert len(asked) <= 2
    assert max(len(calls) for calls in node.asked if calls[0]["method"] == ONE_RECEIPT) > 1


def test_a_null_receipt_is_asked_for_again_alone() -> None:
    """The receipts that came are kept."""
    node = FakeNode(chain(1, transactions=4), lacks=(RECEIPTS,))
    first = node.chain.receipts[0][2]["transactionHash"]

    def one_null(calls: fake_node.Calls, answers: list[fake_node.Answer]) -> fake_node.Json:
        return [
            {**answer, "result": None} if call["params"][0] == first else answer
            for call, answer in zip(calls, answers, strict=True)
        ]

    node.react(fake_node.rewrite(one_null), method=ONE_RECEIPT)
    (block,) = fetch([node], BlockRange(0, 1))
    (honest,) = fetch([FakeNode(chain(1, transactions=4))], BlockRange(0, 1))
    assert block.payload == honest.payload
    assert [c["params"][0] for c in node.calls(ONE_RECEIPT)][4:] == [first]


def test_block_receipts_of_one_endpoint_only_are_no_matter() -> None:
    """Each endpoint is remembered for what it lacks itself."""
    poor, rich = FakeNode(chain(10), lacks=(RECEIPTS,)), FakeNode(chain(10))
    poor.react(fake_node.http(503), method=ONE_RECEIPT, times=ALWAYS)
    assert _heights(fetch([poor, rich], TEN)) == list(TEN)
    assert rich.calls(RECEIPTS)
    assert not rich.calls(ONE_RECEIPT)


def test_answers_with_unknown_fields_are_read_one_by_one_from_then_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An endpoint whose blocks have fields of their own is not read in one go in vain each time."""
    tried = 0

    def decode(body: bytes) -> list[wire.Answer] | None:
        nonlocal tried
        tried += 1
        return read(body)

    read = wire.decode_answers
    monkeypatch.setattr(wire, "decode_answers", decode)
    node = FakeNode(chain(40))
    edited = fake_node.edit(fake_node.puts(sendRoot="0x1"), method="eth_getBlockByNumber")
    node.react(edited, times=ALWAYS)
    blocks = fetch([node], BlockRange(0, 40), limits=SINGLE)
    assert [block.payload.block.extra for block in blocks] == ['{"sendRoot":"0x1"}'] * 40
    assert tried == 1
