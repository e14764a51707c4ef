"""What an EVM node says, as structs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from chainflow.errors import MalformedAnswer
from chainflow.wire import evm
from tests.fake_node import chain

Answer = dict[str, Any]


def _block(**fields: object) -> Answer:
    return {**chain(1).blocks[0], **fields}


def _receipts() -> list[Answer]:
    return chain(1).receipts[0]


def _encode(answer: object) -> bytes:
    return json.dumps(answer).encode()


def test_block_of_known_fields_has_no_extra() -> None:
    """Named fields land in the struct, absent ones are None, and nothing is left over."""
    block = evm.decode_block(_encode(_block(gasUsed="0x5208")))
    assert (block.gas_used, block.base_fee_per_gas, block.extra) == ("0x5208", None, None)
    assert [tx.extra for tx in block.transactions] == [None, None]


def test_unknown_fields_are_kept_at_every_level() -> None:
    """What no struct names stays, as JSON, on the object that had it."""
    answer = _block(sendRoot="0x1", nested={"a": [1, None, "é"]})
    answer["transactions"][1]["requestId"] = "0x2"
    answer["withdrawals"] = [
        {"index": "0x0", "validatorIndex": "0x1", "address": "0x", "amount": "0x2", "new": 3}
    ]
    block = evm.decode_block(_encode(answer))
    assert json.loads(block.extra or "") == {"sendRoot": "0x1", "nested": {"a": [1, None, "é"]}}
    assert [tx.extra for tx in block.transactions] == [None, '{"requestId":"0x2"}']
    assert [w.extra for w in block.withdrawals or ()] == ['{"new":3}']


def test_unknown_fields_of_receipts_and_logs_are_kept() -> None:
    """A receipt's and a log's new field stay with them, their neighbours unchanged."""
    rows = _receipts()
    rows[1]["timeboosted"] = False
    rows[1]["logs"][0]["shard"] = 7
    receipts = evm.decode_receipts(_encode(rows))
    assert [r.extra for r in receipts] == [None, '{"timeboosted":false}']
    assert [log.extra for log in receipts[1].logs] == ['{"shard":7}']
    assert receipts[0] == evm.decode_receipts(_encode(rows[:1]))[0]


def test_a_node_field_named_as_ours_is_kept_too() -> None:
    """A field called `extra`, or as our own key, is unknown like any other."""
    block = evm.decode_block(_encode(_block(extra="x")))
    assert block.extra == '{"extra":"x"}'
    block = evm.decode_block(_encode(_block() | {"chainflow:extra": "not JSON"}))
    assert block.extra == '{"chainflow:extra":"not JSON"}'


def test_big_quantities_stay_the_text_they_came_as() -> None:
    """A uint256 is not a number yet, so that nothing can round it."""
    answer = _block()
    answer["transactions"][0]["value"] = hex(2**256 - 1)
    assert evm.decode_block(_encode(answer)).transactions[0].value == hex(2**256 - 1)


def test_absent_type_status_and_signature_are_none() -> None:
    """Old nodes and deposits leave them out; the transaction is decoded all the same."""
    tx = evm.decode_block(_encode(_block())).transactions[0]
    receipt = evm.decode_receipts(_encode(_receipts()))[0]
    assert (tx.type, tx.v, tx.y_parity, receipt.status, receipt.type) == (None,) * 5


@pytest.mark.parametrize("kind", ["0x0", "0x4", "0x7e", "0x7b", "0x78", "0xff", "0x1234"])
def test_every_transaction_type_is_decoded(kind: str) -> None:
    """Known or not, a type is text."""
    answer = _block()
    answer["transactions"][0]["type"] = kind
    assert evm.decode_block(_encode(answer)).transactions[0].type == kind


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda b: b.pop("hash"), r"`hash` \(in \$\)"),
        (lambda b: b.update(hash=None), r"\$\.hash"),
        (lambda b: b.update(number=17), r"\$\.number"),
        (lambda b: b["transactions"][1].pop("blockHash"), r"`blockHash`.*\$\.transactions\[1\]"),
        (lambda b: b.update(transactions=["0xab"]), r"\$\.transactions\[0\]"),
        (lambda b: b.update(transactions=None), r"\$\.transactions|transactions"),
    ],
)
def test_a_block_with_a_wrong_field_is_malformed_and_its_path_named(
    change: Callable[[Answer], object], path: str
) -> None:
    """A missing or wrongly typed field that we need is refused by its path."""
    answer = _block()
    change(answer)
    with pytest.raises(MalformedAnswer, match=path):
        evm.decode_block(_encode(answer))


def test_a_wrong_log_is_malformed_and_its_path_named() -> None:
    """The path leads through receipts into logs, beside unknown fields too."""
    rows = _receipts()
    rows[0]["new"] = 1
    del rows[1]["logs"][0]["topics"]
    with pytest.raises(MalformedAnswer, match=r"`topics`.*\$\[1\]\.logs\[0\]"):
        evm.decode_receipts(_encode(rows))


@pytest.mark.parametrize(
    ("field", "text"),
    [("address", "0x" + "ab" * 21), ("topics", ["0x" + "ab" * 31]), ("topics", ["0x" + "ab" * 33])],
)
def test_a_log_of_words_of_another_size_is_malformed(field: str, text: object) -> None:
    """An address has 20 bytes and a topic 32: their sizes are relied upon from here on."""
    rows = _receipts()
    rows[1]["logs"][0][field] = text
    with pytest.raises(MalformedAnswer, match=rf"length .*{field}"):
        evm.decode_receipts(_encode(rows))


@pytest.mark.parametrize(
    "answer",
    [b"", b"null", b"[]", b"{", b'"0x"', b"\xff", b'{"a":"\xff"}', b"[" * 5000, b'{"a":\x00}'],
)
def test_what_is_no_block_is_malformed(answer: bytes) -> None:
    """Empty, null, cut, not UTF-8, too deep: one error class, no crash."""
    with pytest.raises(MalformedAnswer):
        evm.decode_block(answer)


@pytest.mark.parametrize("answer", [b"null", b"{}", b"[null]", b"[1]", b'[{"a":"\xff"}]'])
def test_what_are_no_receipts_is_malformed(answer: bytes) -> None:
    """A list of objects is needed, whatever else comes."""
    with pytest.raises(MalformedAnswer):
        evm.decode_receipts(answer)


def test_a_transaction_alone_is_the_one_in_its_block() -> None:
    """`decode_transaction` gives the struct that the block's list holds."""
    answer = _block()
    answer["transactions"][0]["requestId"] = "0x2"
    block = evm.decode_block(_encode(answer))
    assert evm.decode_transaction(_encode(answer["transactions"][0])) == block.transactions[0]


def test_quantity_is_the_number_in_hex() -> None:
    """Any width, leading zeros or not."""
    assert [evm.quantity(t) for t in ("0x0", "0x00ff", hex(2**256))] == [0, 255, 2**256]


@pytest.mark.parametrize("text", ["", "12", "0x", "0xg", "-0x1", "latest"])
def test_what_is_no_quantity_is_malformed(text: str) -> None:
    """A height that cannot be read is an error, never 0."""
    with pytest.raises(MalformedAnswer, match="not a hex quantity"):
        evm.quantity(text)
