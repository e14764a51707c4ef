"""Burns and mints of CCTP on EVM chains: what their rows say, and what is no row."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from chainflow.datasets import _cctp
from chainflow.datasets.evm.cctp_messages import DATASET
from tests import cctp, evm
from tests.cctp import V1, V2
from tests.evm import Json

TOPICS = (
    cctp.BURN_V1,
    cctp.BURN_V2,
    cctp.MINT_V1,
    cctp.MINT_V2,
    cctp.SENT,
    cctp.RECEIVED_V1,
    cctp.RECEIVED_V2,
)


def decode(*logs: Json, **later: list[Json]) -> list[dict[str, Any]]:
    """Rows of a block whose first transaction left the logs, and further ones those in `later`."""
    receipts = [evm.receipt(i, *each) for i, each in enumerate((list(logs), *later.values()))]
    transactions = [evm.transaction(i) for i in range(len(receipts))]
    return DATASET.decode([evm.raw(evm.block(*transactions), receipts)]).to_pylist()


def b32(address: str) -> str:
    """An address as the 32 bytes of a message."""
    return "0x" + cctp.b32(address).hex()


def test_a_burn_of_version_1_says_what_its_message_says() -> None:
    """The row is the token messenger's event, completed by the transmitter's message."""
    (row,) = decode(*cctp.evm_burn(V1))
    told = {name: value for name, value in row.items() if value is not None}
    assert told == {
        "block_number": evm.HEIGHT,
        "block_hash": evm.HASH,
        "block_timestamp": row["block_timestamp"],
        "transaction_hash": f"0x{1:064x}",
        "transaction_index": 0,
        "log_index": 1,
        "address": V1.messengers[0],
        "transmitter_address": V1.transmitters[0],
        "direction": "burn",
        "cctp_version": 1,
        "source_domain": 0,
        "destination_domain": 6,
        "message_nonce": "90210",
        "message_key": "0-90210",
        "message_hash": "0x" + keccak(cctp.message(V1)).hex(),
        "token_address": V1.burn_token,
        "from_address": V1.depositor,
        "amount": "5000000",
        "burn_token": b32(V1.burn_token),
        "depositor": b32(V1.depositor),
        "mint_recipient": b32(V1.recipient),
        "message_sender": b32(V1.messengers[0]),
        "message_recipient": b32(V1.messengers[1]),
    }


def test_a_burn_of_version_2_has_no_nonce() -> None:
    """Circle numbers its messages off the chain; the key is made of what stays as it was sent."""
    (row,) = decode(*cctp.evm_burn(replace(V2, caller=b32(cctp.CALLER))))
    raw = cctp.body(V2, attested=False)
    kept = cctp.u32(0) + cctp.b32(V2.messengers[0]) + raw[:164] + raw[228:]
    assert row["message_key"] == "0x" + hashlib.sha256(kept).hexdigest()
    assert row["message_nonce"] is row["message_hash"] is row["fee_collected"] is None
    assert (row["cctp_version"], row["max_fee"], row["min_finality_threshold"]) == (2, "700", 1000)
    assert row["hook_data"] == "0x" + V2.hook.hex()
    assert row["destination_caller"] == b32(cctp.CALLER)
    assert row["finality_threshold_executed"] is row["expiration_block"] is None


@pytest.mark.parametrize("transfer", [V1, V2], ids=["v1", "v2"])
def test_both_sides_of_a_transfer_have_one_key(transfer: cctp.Transfer) -> None:
    """What joins them is the same, though fee, expiry and nonce are filled in between."""
    (burned,), (minted,) = decode(*cctp.evm_burn(transfer)), decode(*cctp.evm_mint(transfer))
    for alike in ("message_key", "burn_token", "depositor", "mint_recipient", "message_sender"):
        assert burned[alike] == minted[alike] is not None, alike


def test_a_mint_of_version_2_says_fee_and_finality() -> None:
    """The amount is what the recipient got; the nonce and what Circle filled in stand beside it."""
    (row,) = decode(*cctp.evm_mint(V2))
    told = {name: value for name, value in row.items() if value is not None}
    for place in ("block_number", "block_hash", "block_timestamp", "transaction_hash"):
        del told[place]
    assert told == {
        "transaction_index": 0,
        "log_index": 0,
        "address": V2.messengers[1],
        "transmitter_address": V2.transmitters[1],
        "direction": "mint",
        "cctp_version": 2,
        "source_domain": 0,
        "message_nonce": "0x" + "9f" * 32,
        "message_key": told["message_key"],
        "token_address": V2.mint_token,
        "to_address": V2.recipient,
        "caller_address": cctp.CALLER,
        "amount": "4999500",
        "fee_collected": "500",
        "max_fee": "700",
        "burn_token": b32(V2.burn_token),
        "depositor": b32(V2.depositor),
        "mint_recipient": b32(V2.recipient),
        "message_sender": b32(V2.messengers[0]),
        "finality_threshold_executed": 1000,
        "expiration_block": "21000999",
        "hook_data": "0x" + V2.hook.hex(),
    }


def test_many_in_one_transaction_keep_their_own_messages() -> None:
    """Two burns and two mints of one transaction, one of them of each version, are told apart."""
    other = replace(V2, amount=77_000, nonce=4)
    logs = [
        *cctp.evm_burn(V1, 0),
        *cctp.evm_burn(V2, 2),
        *cctp.evm_mint(V1, 4),
        *cctp.evm_mint(other, 6),
    ]
    rows = decode(*logs)
    assert [row["log_index"] for row in rows] == [1, 3, 4, 6]
    assert [row["message_nonce"] for row in rows] == ["90210", None, "90210", f"0x{4:064x}"]
    assert [row["amount"] for row in rows] == ["5000000", "5000000", "5000000", "76500"]


def test_a_message_is_not_taken_from_another_transaction() -> None:
    """A burn whose message is missing keeps what it says itself, and has no key."""
    sent, burned = cctp.evm_burn(V1)
    (row,) = decode(sent, second=[burned | {"transactionHash": f"0x{2:064x}"}])
    assert (row["message_nonce"], row["amount"]) == ("90210", "5000000")
    assert row["message_key"] is row["source_domain"] is row["transmitter_address"] is None


def test_a_message_of_another_amount_is_not_the_burns() -> None:
    """Events of one transaction belong together only if they tell of the same transfer."""
    sent, _ = cctp.evm_burn(replace(V2, amount=1_000))
    _, burned = cctp.evm_burn(V2)
    (row,) = decode(sent, burned)
    assert row["message_key"] is None


def test_messages_that_carry_no_burn_are_no_rows() -> None:
    """The transmitter carries other applications' messages too, and others share its topics."""
    header = cctp.message(V1)[:116]
    for raw in (b"", header, header + b"hello", cctp.u32(9) + cctp.message(V2)[4:]):
        data = "0x" + (cctp.u256(32) + cctp.dynamic(raw)).hex()
        assert decode(evm.log(0, cctp.SENT, data=data)) == []


@pytest.mark.parametrize(
    "log",
    [
        evm.log(0, cctp.BURN_V1),
        evm.log(0, cctp.BURN_V2, *["0x" + "ff" * 32] * 2, data="0x" + "ff" * 500),
        evm.log(0, cctp.MINT_V2, "0x" + "ff" * 32, "0x" + "ff" * 32, data="0x" + "00" * 64),
        evm.log(0, cctp.SENT, data="0x" + "ff" * 64),
        evm.log(0, cctp.RECEIVED_V2, data="0x" + "ff" * 96),
        evm.log(0, cctp.MINT_V1, *["0x" + "ff" * 32] * 2, data="0x123"),
    ],
)
def test_events_that_only_look_like_the_protocols_are_no_rows(log: Json) -> None:
    """Any contract may emit any bytes under these topics."""
    assert decode(log) == []


@given(
    topic=st.sampled_from(TOPICS),
    topics=st.lists(st.binary(min_size=32, max_size=32), max_size=3),
    data=st.binary(max_size=600),
)
def test_no_bytes_under_its_topics_stop_the_dataset(
    topic: str, topics: list[bytes], data: bytes
) -> None:
    """Whatever a contract emits, decoding goes on and its table keeps its shape."""
    log = evm.log(0, topic, *("0x" + t.hex() for t in topics), data="0x" + data.hex())
    assert len(decode(log)) <= 1


def test_addresses_are_lower_case_whatever_the_node_writes() -> None:
    """The contract's address joins chainflow.cctp_contract, which has it in lower case."""
    logs = [
        log | {"address": log["address"].upper().replace("0X", "0x")} for log in cctp.evm_burn(V2)
    ]
    (row,) = decode(*logs)
    assert (row["address"], row["transmitter_address"]) == (V2.messengers[0], V2.transmitters[0])


def test_a_body_of_no_burns_length_is_another_applications() -> None:
    """Version 1 has 132 bytes, version 2 at least 228; nothing else is a burn."""
    assert [_cctp.body(bytes(n)) is not None for n in (0, 131, 132, 133, 227, 228, 500)] == [
        False, False, True, False, False, True, True,
    ]  # fmt: skip
