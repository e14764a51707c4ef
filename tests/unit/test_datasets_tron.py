"""Tron's tables: what stands in which column, and addresses in their two forms."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainflow import datasets
from chainflow.datasets.tron import _address
from tests import tron

Row = dict[str, Any]
ODD = tron.odd_blocks()


def rows(name: str, *recorded: tron.Recorded) -> list[Row]:
    """A table of some blocks."""
    (dataset,) = datasets.get("tron", [name])
    return dataset.decode([one.raw() for one in recorded]).to_pylist()


def short(given: Row, *names: str) -> tuple[Any, ...]:
    """Some columns of a row."""
    return tuple(given[name] for name in names)


@pytest.mark.parametrize(
    ("hexadecimal", "base58"),
    [
        ("41a614f803b6fd780986a42c78ec9c7f77e6ded13c", "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"),
        ("410000000000000000000000000000000000000000", "T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb"),
        ("41f16412b9a17ee9408646e2a21e16478f72ed1e95", "TXyZjVcYurrbE43b2MfMtN34uA3tJL85zy"),
    ],
)
def test_address_has_two_forms(hexadecimal: str, base58: str) -> None:
    """USDT, the zero address, and a producer of the test network."""
    assert _address.base58(hexadecimal) == base58
    assert _address.hexadecimal(base58) == hexadecimal


@given(st.binary(min_size=20, max_size=20))
def test_address_comes_back_from_base58(raw: bytes) -> None:
    """Each has 34 characters and begins with T."""
    address = _address.of_log(raw.hex())
    assert (len(address), address[0]) == (34, "T")
    assert _address.hexadecimal(address) == f"41{raw.hex()}"


@pytest.mark.parametrize("text", ["", "00", "30" * 23, "a0" + "00" * 20])
def test_bytes_that_are_no_address_stay_hex(text: str) -> None:
    """The genesis block has one of 23 bytes."""
    assert _address.base58(text) == text


@pytest.mark.parametrize("text", ["TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6u", "T0", "0x41", ""])
def test_text_that_is_no_address_is_refused(text: str) -> None:
    """A wrong checksum, or a digit that base58 lacks."""
    with pytest.raises(ValueError, match=r"checksum|not found"):
        _address.hexadecimal(text)


def test_column_of_addresses_keeps_its_gaps() -> None:
    """Empty bytes are none, as protobuf has it."""
    found = _address.each(pa.array([None, "", tron.SENDER, tron.SENDER]))
    sender = _address.base58(tron.SENDER)
    assert found.to_pylist() == [None, None, sender, sender]


def test_block_has_its_header_and_count() -> None:
    """Time in the envelope, the producer in base58."""
    (row,) = rows("blocks", tron.recordings())
    assert row["witness_address"] == _address.base58(tron.WITNESS)
    assert short(row, "transaction_count", "block_version") == (4, "34")


def test_genesis_block_is_a_block() -> None:
    """Its time is the epoch; its producer's place holds a motto, not an address."""
    (row,) = rows("blocks", ODD["genesis"])
    assert row["block_timestamp"].timestamp() == 0
    assert bytes.fromhex(row["witness_address"]).startswith(b"A new system")


def test_transactions_name_sender_receiver_and_value() -> None:
    """Recorded: a transfer of TRX, a call, staking, a vote."""
    coin, token, freeze, stake = rows("transactions", tron.recordings())
    assert short(coin, "contract_type", "value", "total_fee", "net_fee") == (
        *("TransferContract", "25000000", "1100000", "100000"),
    )
    assert coin["from_address"] == "TEB39Rt69QkgD1BKhqaRNqGxfQzCarkRCb"
    assert token["to_address"] == "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
    assert token["input"].startswith("a9059cbb")
    assert short(token, "value", "fee_limit") == (None, "32831820")
    assert freeze["contract_parameter"] == '{"frozen_balance":100000000}'
    assert '"vote_count":2125' in stake["contract_parameter"].replace(" ", "")
    assert {row["receipt_status"] for row in (coin, token, freeze, stake)} == {1}


def test_result_says_whether_a_transaction_failed() -> None:
    """A failed one has status 0; the oldest say nothing and did what they were to do."""
    (failed,) = rows("transactions", ODD["failed"])
    assert short(failed, "result", "receipt_status", "info_result") == (
        *("OUT_OF_ENERGY", 0, "FAILED"),
    )
    oldest = rows("transactions", ODD["oldest"])
    assert [short(row, "result", "receipt_status") for row in oldest] == [
        *[(None, 1), (None, 1), ("SUCCESS", 0)],
    ]


def test_tokens_of_trc10_have_their_own_columns() -> None:
    """`value` is sun alone; a token is named by its number, the oldest by a name or bytes."""
    found = rows("transactions", ODD["assets"])
    assert [short(row, "value", "asset_id", "asset_value") for row in found] == [
        (None, "1002000", "5"),
        (None, "0xff00", "6"),
        (None, "1000016", "7"),
        ("8", "SEED", None),
    ]


def test_made_contract_is_the_contract_address() -> None:
    """`to_address` is NULL, as on EVM chains; what was paid in is its value."""
    made = rows("transactions", ODD["created"])[0]
    assert short(made, "to_address", "value") == (None, "9")
    assert made["contract_address"] == _address.base58(tron.OTHER)
    assert made["contract_parameter"] == '{"new_contract":{"name":"Thing"}}'


def test_receiver_of_lent_resources_is_whom_the_transaction_is_to() -> None:
    """The parameter has another name."""
    lent = rows("transactions", ODD["created"])[2]
    assert lent["to_address"] == _address.base58(tron.OTHER)


def test_logs_are_counted_through_the_block() -> None:
    """Over its transactions; Tron itself gives them no index."""
    made = tron.of(
        *((tron.transaction(salt=i), {}) for i in range(3)),
        logs={0: [tron.trc20(), tron.log()], 2: [tron.trc20()]},
    )
    found = rows("logs", made)
    assert [short(row, "transaction_index", "log_index") for row in found] == [
        *[(0, 0), (0, 1), (2, 2)],
    ]
    assert {row["address"] for row in found} == {_address.base58(tron.TOKEN)}
    assert found[1]["topic0"] is None
    assert found[0]["topic0"] == tron.TRANSFER


def test_internal_transactions_have_value_and_tokens_apart() -> None:
    """Sun in a column, TRC-10 as the node lists it; what is listed otherwise is kept whole."""
    found = rows("internal_transactions", ODD["internal-transactions"])
    assert [short(row, "note", "value", "token_values", "rejected") for row in found] == [
        ("call", "0", None, False),
        ("call", "700000", None, False),
        ("call", "1", '[{"callValue":2,"tokenId":"1002000"}]', False),
        ("create", None, None, False),
        ("suicide", None, None, False),
        ("call", "6", None, True),
        ("freezeForEnergy", "7", None, False),
        ("call", None, None, False),
    ]
    kept = [row["extra"] for row in found]
    assert kept[3] == '{"callValueInfo":[{"callValue":3,"tokenId":"1000016"}]}'
    assert kept[:3] == [None] * 3
    assert [row["internal_transaction_index"] for row in found] == list(range(8))


def moves(recorded: tron.Recorded) -> list[tuple[Any, ...]]:
    """Standard, token, value and id of every transfer."""
    names = ("token_standard", "token_address", "value", "token_id")
    return [short(row, *names) for row in rows("token_transfers", recorded)]


def test_transfers_are_the_chains_own_and_those_of_events() -> None:
    """First what the transaction sends, then what is sent inside it, then its events."""
    token = _address.base58(tron.TOKEN)
    assert moves(ODD["internal-transactions"]) == [
        ("trx", "TRX", "14000000", None),
        ("trx", "TRX", "700000", None),
        ("trx", "TRX", "1", None),
        ("trc10", "1002000", "2", None),
        ("trc10", "1000016", "3", None),
        ("trx", "TRX", "4", None),
        ("trx", "TRX", "5", None),
        ("trc20", token, str(2**256 - 1), None),
    ]
    found = rows("token_transfers", ODD["internal-transactions"])
    assert [row["transfer_index"] for row in found] == list(range(8))
    assert [row["log_index"] for row in found] == [None] * 7 + [0]
    assert short(found[1], "from_address", "to_address") == (*(token, _address.base58(tron.OTHER)),)
    assert short(found[7], "from_address", "to_address") == (
        *(_address.base58(tron.SENDER), _address.base58(tron.RECEIVER)),
    )


def test_failed_transaction_moves_nothing() -> None:
    """Nor do its calls, nor events that a node should not have given."""
    assert moves(ODD["failed"]) == []
    assert (
        moves(tron.of((ODD["failed"].block["transactions"][0], {}), logs={0: [tron.trc20()]})) == []
    )


def test_trc10_moves_with_transfers_and_calls() -> None:
    """The public sale of a token is none: it says the price, not the tokens."""
    assert moves(ODD["assets"]) == [
        ("trc10", "1002000", "5", None),
        ("trc10", "0xff00", "6", None),
        ("trc10", "1000016", "7", None),
    ]


def test_making_a_contract_pays_into_it() -> None:
    """From the maker to the new contract."""
    (paid,) = rows("token_transfers", ODD["created"])
    assert short(paid, "value", "to_address") == ("9", _address.base58(tron.OTHER))


def test_genesis_block_gives_what_is_more_than_nothing() -> None:
    """Of its three accounts one begins with TRX; the sender is no address."""
    (given_,) = rows("token_transfers", ODD["genesis"])
    assert short(given_, "value", "to_address") == (
        *("99000000000000000", "TLLM21wteSPs4hKjbxgmH1L6poyMjeTbHm"),
    )


def event(*topics: str, data: str = "") -> list[tuple[Any, ...]]:
    """The transfers of a transaction with one log."""
    return moves(tron.of((tron.transaction(), {}), logs={0: [tron.log(*topics, data=data)]}))


def test_trc721_has_its_id_in_a_topic() -> None:
    """Its value is 1."""
    sides = (tron.word("aa" * 20), tron.word("bb" * 20))
    found = event(tron.TRANSFER, *sides, tron.word("ff"))
    assert found == [("trc721", _address.base58(tron.TOKEN), "1", "255")]


@pytest.mark.parametrize(
    ("topics", "data"),
    [
        ((), ""),
        (("01" * 32, tron.word("aa"), tron.word("bb")), "00" * 32),
        ((tron.TRANSFER,), "00" * 96),
        ((tron.TRANSFER, tron.word("aa")), "00" * 64),
        ((tron.TRANSFER, tron.word("aa"), tron.word("bb")), ""),
        ((tron.TRANSFER, tron.word("aa"), tron.word("bb")), "00" * 33),
        ((tron.TRANSFER, tron.word("aa"), tron.word("bb"), tron.word("cc")), "00" * 32),
        ((tron.TRANSFER, "41" + tron.word("aa")[2:], tron.word("bb")), "00" * 32),
    ],
)
def test_event_of_another_shape_is_no_transfer(topics: tuple[str, ...], data: str) -> None:
    """It stays in logs."""
    assert event(*topics, data=data) == []


def test_unknown_fields_stand_in_extra_under_their_messages() -> None:
    """Nothing is lost, nothing is doubled."""
    (row,) = rows("transactions", ODD["unknown-everything"])
    assert json.loads(row["extra"]) == {
        "transaction": {"visible": False},
        "raw_data": {"scripts": "00"},
        "info": {"novelty": True},
        "receipt": {"novel_usage": 2},
    }
    assert json.loads(row["contract_parameter"]) == {"novelty": {"deep": [1, None, "Ab"]}}
