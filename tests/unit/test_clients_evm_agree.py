"""What the EVM client makes of answers that contradict themselves."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from chainflow.clients._evm_agree import state_sync_hash
from chainflow.errors import (
    MalformedAnswer,
    NotYet,
    Unsupported,
    WorkError,
)
from chainflow.types import BlockRange, RawBlock
from chainflow.wire import evm
from tests import fake_node
from tests.fake_node import CHAIN, FAST, SOON, FakeNode, chain, fetch

RECEIPTS = "eth_getBlockReceipts"
ALWAYS = math.inf
TEN = BlockRange(0, 10)
# One request at a time: what is asked can be counted.
SINGLE = replace(FAST, requests_in_flight=1)


def _heights(blocks: list[RawBlock]) -> list[int]:
    return [block.height for block in blocks]


def _said(blocks: list[RawBlock]) -> list[RawBlock]:
    """The blocks without their share of an answer's bytes, which goes by what else was asked."""
    return [replace(block, size=0) for block in blocks]


# Answers that contradict themselves


def _shuffled(receipts: fake_node.Json) -> fake_node.Json:
    return receipts[::-1]


def _log(receipts: fake_node.Json, **fields: fake_node.Json) -> fake_node.Json:
    receipts[1]["logs"][0].update(fields)
    return receipts


def _tx(block: fake_node.Json, **fields: fake_node.Json) -> fake_node.Json:
    block["transactions"][1].update(fields)
    return block


ELSEWHERE = fake_node.word("elsewhere")
BLOCK = "eth_getBlockByNumber"
LIES: dict[str, tuple[str, Callable[[fake_node.Json], fake_node.Json], str]] = {
    "another height": (BLOCK, fake_node.puts(number="0x4"), "height 3: the answer is block 0x4"),
    "no number": (BLOCK, fake_node.puts(number="pending"), "height 3: .*not a hex quantity"),
    "null hash": (BLOCK, fake_node.puts(hash=None), r"height 3: .*\$\.hash"),
    "short hash": (BLOCK, fake_node.puts(hash="0x12"), "height 3: hash or parentHash"),
    "another hash": (BLOCK, fake_node.puts(hash=ELSEWHERE), "height 3: transaction 0 is of block"),
    "another parent": (BLOCK, fake_node.puts(parentHash=ELSEWHERE), "height 3: its parent is"),
    "hashes only": (BLOCK, fake_node.puts(transactions=[ELSEWHERE]), r"\$\.transactions\[0\]"),
    "bad time": (BLOCK, fake_node.puts(timestamp="soon"), "height 3: .*not a hex quantity"),
    "tx of a block": (
        BLOCK,
        lambda b: _tx(b, blockHash=ELSEWHERE),
        "height 3: transaction 1 is of block",
    ),
    "tx index": (BLOCK, lambda b: _tx(b, transactionIndex="0x0"), "transaction 1 says"),
    "one receipt short": (RECEIPTS, lambda r: r[:1], "height 3: 1 receipts, 2 transactions"),
    "one receipt more": (RECEIPTS, lambda r: [*r, r[0]], "3 receipts, 2 transactions"),
    "shuffled": (RECEIPTS, _shuffled, "height 3: receipt 0 is of transaction"),
    "another block's": (
        RECEIPTS,
        lambda r: [{**row, "blockHash": ELSEWHERE} for row in r],
        "receipt 0 is of block",
    ),
    "receipt index": (
        RECEIPTS,
        lambda r: [{**row, "transactionIndex": "0x7"} for row in r],
        "receipt 0 says",
    ),
    "log of a block": (RECEIPTS, lambda r: _log(r, blockHash=ELSEWHERE), "log of receipt 1 is of"),
    "log of a tx": (
        RECEIPTS,
        lambda r: _log(r, transactionHash=ELSEWHERE),
        "log of receipt 1 is of transaction",
    ),
    "removed log": (RECEIPTS, lambda r: _log(r, removed=True), "is marked removed"),
    "no log topics": (RECEIPTS, lambda r: _log(r, topics=None), r"\$\[1\]\.logs\[0\]"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_contradiction_is_asked_for_anew_and_then_refused(lie: str) -> None:
    """Always there, it is malformed, after the attempts allowed; the height is named."""
    method, change, words = LIES[lie]
    node = FakeNode(chain(10))
    node.react(fake_node.edit(change, method=method, height=3), times=ALWAYS)
    with pytest.raises(MalformedAnswer, match=words) as caught:
        fetch([node], TEN, limits=SINGLE)
    assert node.host in str(caught.value)
    asked = [c for c in node.calls(method) if c["params"][0] == "0x3"]
    assert len(asked) == FAST.malformed_attempts


@pytest.mark.parametrize("lie", LIES)
def test_a_contradiction_that_passes_does_no_harm(lie: str) -> None:
    """Once there, the blocks come all the same, true."""
    method, change, _ = LIES[lie]
    node = FakeNode(chain(10))
    node.react(fake_node.edit(change, method=method, height=3))
    assert fetch([node], TEN) == fetch([FakeNode(chain(10))], TEN)


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_endpoint_is_passed_over(lie: str) -> None:
    """The other endpoint's answer is taken."""
    method, change, _ = LIES[lie]
    liar, honest = FakeNode(chain(10)), FakeNode(chain(10))
    liar.react(fake_node.edit(change, method=method, height=3), times=ALWAYS)
    assert _said(fetch([liar, honest], TEN)) == _said(fetch([FakeNode(chain(10))], TEN))


def test_a_link_broken_between_two_requests_is_seen() -> None:
    """Each request holds one block, so the break lies between two of them."""
    limits = replace(FAST, calls_per_request=2)
    node = FakeNode(chain(10))
    wrong = fake_node.edit(fake_node.puts(parentHash=ELSEWHERE), method=BLOCK, height=5)
    node.react(wrong)
    assert len(fetch([FakeNode(chain(10))], TEN, limits=limits)) == 10
    node.react(wrong, times=ALWAYS)
    with pytest.raises(MalformedAnswer, match="height 5: its parent is"):
        fetch([node], TEN, limits=limits)


def test_receipts_of_a_fork_are_not_mixed_with_the_block() -> None:
    """Block from one backend, receipts from another: both are asked for anew."""
    node = FakeNode(chain(10))
    fork = chain(10, fork="b")
    # Once: the first request is for height 0.
    node.react(fake_node.edit(lambda _: fork.receipts[3], method=RECEIPTS, height=3), times=2)
    assert fetch([node], TEN) == fetch([FakeNode(chain(10))], TEN)
    assert len([c for c in node.calls(BLOCK) if c["params"][0] == "0x3"]) == 2


def test_indexes_with_leading_zeros_are_the_same_indexes() -> None:
    """Some nodes pad quantities."""
    node = FakeNode(chain(10))
    padded = fake_node.edit(lambda b: _tx(b, transactionIndex="0x01"), method=BLOCK)
    node.react(padded, times=ALWAYS)
    assert _heights(fetch([node], TEN)) == list(TEN)


# Chains' own ways


def test_logs_without_a_transaction_are_taken_on_zksync_only() -> None:
    """Its bootloader's logs have a zero transaction hash; elsewhere that is a fault."""
    zero = fake_node.edit(lambda r: _log(r, transactionHash="0x" + "0" * 64), method=RECEIPTS)
    zksync, other = FakeNode(chain(10), chain_id=324), FakeNode(chain(10))
    zksync.react(zero, times=ALWAYS)
    other.react(zero, times=ALWAYS)
    assert len(fetch([zksync], TEN, of=replace(CHAIN, chain_id=324))) == 10
    with pytest.raises(MalformedAnswer):
        fetch([other], TEN)


def test_a_missing_result_is_null() -> None:
    """Erigon leaves `result` out where others say null."""
    node = FakeNode(chain(10))
    bare = fake_node.rewrite(
        lambda _, answers: [{"jsonrpc": "2.0", "id": answer["id"]} for answer in answers]
    )
    node.react(bare)
    assert _heights(fetch([node], TEN)) == list(TEN)
    node.react(bare, times=ALWAYS)
    with pytest.raises(NotYet):
        fetch([node], TEN, limits=SOON)


def test_every_error_is_ours() -> None:
    """Random bytes in place of an answer never end in another exception class."""
    for body in (b"[1]", b"[[]]", b'{"id":{}}', b'{"error":7}', b'[{"id":1,"error":[]}]', b"1"):
        node = FakeNode(chain(2))
        node.react(fake_node.http(200, body), times=ALWAYS)
        with pytest.raises(WorkError):
            fetch([node], BlockRange(0, 2), limits=SOON)


# Polygon's state-sync transaction


def _state_sync() -> FakeNode:
    """A node whose block 3 ends in a state-sync transaction with a log, all of it served."""
    node = FakeNode(chain(10))
    block, receipts = node.chain.blocks[3], node.chain.receipts[3]
    block["hash"] = fake_node.word("bor")
    node.chain.blocks[4]["parentHash"] = block["hash"]
    added = state_sync_hash(evm.decode_block(json.dumps({**block, "transactions": []}).encode()))
    block["transactions"].append(
        {**block["transactions"][1], "hash": added, "transactionIndex": "0x2", "type": "0x0"}
    )
    log = {**receipts[1]["logs"][0], "transactionHash": added, "transactionIndex": "0x2"}
    receipts.append(
        {**receipts[1], "transactionHash": added, "transactionIndex": "0x2", "logs": [log]}
    )
    for row in (*block["transactions"], *receipts, *(g for r in receipts for g in r["logs"])):
        row["blockHash"] = block["hash"]
    return node


def test_state_sync_hash_is_the_one_that_bor_gave() -> None:
    """The last transaction of Polygon's block 63434768, as any explorer shows it."""
    block = chain(1).blocks[0] | {
        "number": "0x3c7f010",
        "hash": "0x3e1fd15b8979a190383b9eb1f5afbffd1208f5282dba9c2de327af4004811a2a",
    }
    given = state_sync_hash(evm.decode_block(json.dumps(block).encode()))
    assert given == "0x962b5ec3701a4441ceca761c77879ae112e5052d53e80b3a2948fc52abdf8aee"


def test_a_state_sync_transaction_served_whole_is_taken() -> None:
    """In the block and among the receipts: a transaction like any other."""
    node = _state_sync()
    assert fetch([node], TEN)[3].payload.receipts.num_rows == 3
    assert not node.calls("eth_getTransactionReceipt")


@pytest.mark.parametrize(
    ("method", "change", "asked"),
    [
        (RECEIPTS, lambda r: r[:-1], "eth_getTransactionReceipt"),
        (
            BLOCK,
            lambda b: {**b, "transactions": b["transactions"][:-1]},
            "eth_getTransactionByHash",
        ),
    ],
)
def test_a_state_sync_part_left_out_is_asked_for_by_hash(
    method: str, change: Callable[[fake_node.Json], fake_node.Json], asked: str
) -> None:
    """Some Bor nodes list it with the block only, some with the receipts only: nothing is lost."""
    node = _state_sync()
    node.react(fake_node.edit(change, method=method, height=3), times=ALWAYS)
    assert fetch([node], TEN) == [
        replace(block, size=mended.size)
        for block, mended in zip(fetch([_state_sync()], TEN), fetch([node], TEN), strict=True)
    ]
    assert len(node.calls(asked)) == 2


def test_a_state_sync_receipt_that_no_endpoint_has_stops_the_chain() -> None:
    """Its logs are transfers: rather no block than one without them."""
    node = _state_sync()
    node.react(
        fake_node.edit(lambda r: r[:-1], method=RECEIPTS, height=3), method=RECEIPTS, times=ALWAYS
    )
    node.react(fake_node.edit(fake_node.null), method="eth_getTransactionReceipt", times=ALWAYS)
    with pytest.raises(Unsupported, match=r"state-sync transaction 0x.*logs would be lost"):
        fetch([node], TEN)


def test_another_receipt_left_out_is_no_state_sync() -> None:
    """Only the derived hash makes the exception."""
    node = FakeNode(chain(10))
    node.react(fake_node.edit(lambda r: r[:-1], method=RECEIPTS, height=3), times=ALWAYS)
    with pytest.raises(MalformedAnswer, match="1 receipts, 2 transactions"):
        fetch([node], TEN)
    assert not node.calls("eth_getTransactionReceipt")
