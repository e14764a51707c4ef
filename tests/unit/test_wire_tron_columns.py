"""A Tron block as columns: what is kept of which struct, and which texts are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chainflow.errors import MalformedAnswer
from chainflow.wire import _tron_arrays as arrays
from chainflow.wire import _tron_messages as messages
from chainflow.wire import tron as wire
from chainflow.wire import tron_columns
from tests import tron

Json = Any


def block(given: Json) -> wire.Block:
    """A block out of JSON."""
    return wire.decode_block(json.dumps(given).encode())


def test_payload_lets_go_of_the_transactions() -> None:
    """Their number stays; columns are made where infos came."""
    sent = block(tron.block(tron.transaction(), tron.transaction(salt=1)))
    found = tron_columns.payload(sent, tron_columns.sent(sent), None)
    assert found.transaction_count == 2
    assert found.block.transactions == []
    assert found.executed is None
    assert len(sent.transactions) == 2


def test_logs_and_calls_know_their_transactions() -> None:
    """Logs are counted through the block, calls in their transaction."""
    call = {"hash": "1a" * 32}
    calls = {"internal_transactions": [call, call]}
    made = tron.of(
        *((tron.transaction(salt=i), calls if i else {}) for i in range(3)),
        logs={0: [tron.trc20()], 2: [tron.log(), tron.trc20()]},
    )
    found = made.raw().payload.executed
    ids = [tx["txID"] for tx in made.block["transactions"]]
    assert found.logs["tx_place"].to_pylist() == [0, 2, 2]
    assert found.logs["place"].to_pylist() == [0, 1, 2]
    assert found.logs["tx_id"].to_pylist() == [ids[0], ids[2], ids[2]]
    assert found.calls["tx_place"].to_pylist() == [1, 1, 2, 2]
    assert found.calls["place"].to_pylist() == [0, 1, 0, 1]


@pytest.mark.parametrize("count", [0, 2])
def test_transaction_does_one_thing(count: int) -> None:
    """The chain admits one contract a transaction."""
    given = tron.block(tron.transaction())
    given["transactions"][0]["raw_data"]["contract"] *= count
    with pytest.raises(MalformedAnswer, match=f"0: the number of contracts is {count}"):
        tron_columns.sent(block(given))


def test_parameters_that_are_none_are_refused() -> None:
    """By transaction: they are read apart from the rest of the block."""
    given = tron.block(tron.transaction(amount=5), tron.transaction(amount="05"))
    with pytest.raises(MalformedAnswer, match=r"amount.*parameters of transaction 1"):
        tron_columns.sent(block(given))


MAKERS = arrays.makers(
    wire.TransactionInfo, but=frozenset({"receipt", "log", "internal_transactions"})
)
LOG = arrays.makers(wire.Log)


@pytest.mark.parametrize("texts", [[], [None], ["", None], ["0123456789abcdef", None, "0"]])
def test_hex_may_be_empty_or_nothing(texts: list[str | None]) -> None:
    """Bytes that a node leaves out are none."""
    assert MAKERS["contract_address"](texts).to_pylist() == texts


@pytest.mark.parametrize("text", ["0x", "AB", "é", " ", "a\n", "\x00"])
def test_text_that_is_no_hex_is_refused_among_others(text: str) -> None:
    """By itself, not by its neighbours."""
    with pytest.raises(ValueError, match="expected hex, got ") as caught:
        MAKERS["contract_address"](["ab", None, text, "cd"])
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["", "ab" * 19, "ab" * 21])
def test_text_of_another_length_is_refused(text: str) -> None:
    """An address of a log has 20 bytes."""
    with pytest.raises(ValueError, match="expected 40 digits of hex"):
        LOG["address"](["cd" * 20, text])


@pytest.mark.parametrize("text", ["\n", "é", "\x7f", "\x00"])
def test_word_is_printable(text: str) -> None:
    """Names of enums are."""
    assert MAKERS["result"](["FAILED ~", None, ""]).to_pylist() == ["FAILED ~", None, ""]
    with pytest.raises(ValueError, match="expected printable ASCII"):
        MAKERS["result"](["FAILED", text])


def test_message_says_the_last_of_what_it_says_twice() -> None:
    """And fields that are unknown, or of another type, are stepped over."""
    kind = messages.message("TransferContract")
    encoded = tron.encoded((3, 5), (3, 6), (99, 1)) + b"\x09" + bytes(8) + b"\x15" + bytes(4)
    found = kind.FromString(encoded)
    assert (found.amount, found.owner_address) == (6, b"")
