"""Transactions, receipts and headers as their chains encode them, held against PyPI's `rlp`.

Recorded blocks prove the forms that they hold (test_clients_evm_proof.py). These are made by hand,
after the chains' own sources: the forms that no recording here has.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from chainflow.clients import _evm_headers as headers
from chainflow.clients import _evm_receipts as receipts
from chainflow.clients import _evm_rlp as rlp
from chainflow.clients import _evm_transactions as transactions
from chainflow.clients._keccak import keccak
from chainflow.wire import evm as wire
from tests import evm
from tests import evm_oracle as oracle
from tests.evm import RECEIVER, SENDER, TOKEN
from tests.evm_oracle import ETHEREUM, HEADER, number, octets

WORD = "0x" + "5e" * 32
ACCESS = [
    {"address": TOKEN, "storageKeys": [WORD, "0x" + "00" * 32]},
    {"address": SENDER, "storageKeys": []},
]
ACCESSED = [[octets(TOKEN), [octets(WORD), bytes(32)]], [octets(SENDER), []]]
SIGNED = {"yParity": "0x1", "v": "0x1", "r": "0x12345", "s": "0x" + "f" * 64}
SIGNATURE = [b"\x01", b"\x01\x23\x45", b"\xff" * 32]
FEES = {"maxPriorityFeePerGas": "0x80", "maxFeePerGas": "0x3b9aca00", "chainId": "0xa4ec"}
CHAIN = [b"\xa4\xec"]
NONCE_AND_FEES = [b"\x01", b"\x80", number("0x3b9aca00")]
GAS = [number("0x5208")]
CALL = [octets(RECEIVER), b"", octets("0xc0de")]
PRICE = [number("0x3b9aca00")]


FORMS: dict[str, tuple[int, dict[str, Any], list[Any]]] = {
    "legacy without EIP-155": (
        0x00,
        {"v": "0x1b", "r": "0x80", "s": "0x0"},
        [b"\x01", *PRICE, *GAS, *CALL, b"\x1b", b"\x80", b""],
    ),
    "legacy that creates": (
        0x00,
        {"to": None, "v": "0x25", "r": "0x1", "s": "0x2", "value": "0xff"},
        [b"\x01", *PRICE, *GAS, b"", b"\xff", octets("0xc0de"), b"\x25", b"\x01", b"\x02"],
    ),
    "access list": (
        0x01,
        {"chainId": "0x1", "accessList": ACCESS, **SIGNED},
        [b"\x01", b"\x01", *PRICE, *GAS, *CALL, ACCESSED, *SIGNATURE],
    ),
    "dynamic fee without yParity": (
        0x02,
        {**FEES, "v": "0x1", "r": "0x12345", "s": "0x" + "f" * 64},
        [*CHAIN, *NONCE_AND_FEES, *GAS, *CALL, [], *SIGNATURE],
    ),
    "blobs": (
        0x03,
        {
            **FEES,
            **SIGNED,
            "accessList": [],
            "maxFeePerBlobGas": "0x7",
            "blobVersionedHashes": [WORD, WORD],
        },
        [*CHAIN, *NONCE_AND_FEES, *GAS, *CALL, [], b"\x07", [octets(WORD)] * 2, *SIGNATURE],
    ),
    "set code": (
        0x04,
        {
            **FEES,
            **SIGNED,
            "accessList": ACCESS,
            "authorizationList": [
                {"chainId": "0x0", "address": TOKEN, "nonce": "0x9", "yParity": "0x0"}
                | {"r": "0x1", "s": "0x2"},
                {"chainId": "0x1", "address": SENDER, "nonce": "0x0", "v": "0x1"}
                | {"r": "0x3", "s": "0x4"},
            ],
        },
        [
            *CHAIN,
            *NONCE_AND_FEES,
            *GAS,
            *CALL,
            ACCESSED,
            [
                [b"", octets(TOKEN), b"\x09", b"", b"\x01", b"\x02"],
                [b"\x01", octets(SENDER), b"", b"\x01", b"\x03", b"\x04"],
            ],
            *SIGNATURE,
        ],
    ),
    "Arbitrum's deposit": (
        0x64,
        {"chainId": "0xa4ec", "requestId": WORD, "value": "0x1dc0"},
        [*CHAIN, octets(WORD), octets(SENDER), octets(RECEIVER), b"\x1d\xc0"],
    ),
    "Arbitrum's unsigned": (
        0x65,
        {"chainId": "0xa4ec"},
        [*CHAIN, octets(SENDER), b"\x01", *PRICE, *GAS, *CALL],
    ),
    "Arbitrum's contract": (
        0x66,
        {"chainId": "0xa4ec", "requestId": WORD},
        [*CHAIN, octets(WORD), octets(SENDER), *PRICE, *GAS, *CALL],
    ),
    "Arbitrum's retry": (
        0x68,
        {
            "chainId": "0xa4ec",
            "ticketId": WORD,
            "refundTo": TOKEN,
            "maxRefund": "0xaa",
            "submissionFeeRefund": "0x0",
        },
        [
            *CHAIN,
            b"\x01",
            octets(SENDER),
            *PRICE,
            *GAS,
            *CALL,
            octets(WORD),
            octets(TOKEN),
            b"\xaa",
            b"",
        ],
    ),
    "Arbitrum's submitted retryable": (
        0x69,
        {
            "chainId": "0xa4ec",
            "requestId": WORD,
            "l1BaseFee": "0x55",
            "depositValue": "0x66",
            "retryTo": RECEIVER,
            "retryValue": "0x77",
            "beneficiary": TOKEN,
            "maxSubmissionFee": "0x88",
            "refundTo": SENDER,
            "retryData": "0xdada",
        },
        [
            *CHAIN,
            octets(WORD),
            octets(SENDER),
            b"\x55",
            b"\x66",
            *PRICE,
            *GAS,
            octets(RECEIVER),
            b"\x77",
            octets(TOKEN),
            b"\x88",
            octets(SENDER),
            b"\xda\xda",
        ],
    ),
    "Arbitrum's internal": (0x6A, {"chainId": "0xa4ec"}, [*CHAIN, octets("0xc0de")]),
    "Celo's fee currency": (
        0x7B,
        {**FEES, **SIGNED, "feeCurrency": TOKEN, "accessList": []},
        [*CHAIN, *NONCE_AND_FEES, *GAS, *CALL, [], octets(TOKEN), *SIGNATURE],
    ),
    "Celo's gateway fee": (
        0x7C,
        {**FEES, **SIGNED, "feeCurrency": TOKEN, "gatewayFee": "0x3"}
        | {"gatewayFeeRecipient": SENDER, "accessList": []},
        [
            *CHAIN,
            *NONCE_AND_FEES,
            *GAS,
            octets(TOKEN),
            octets(SENDER),
            b"\x03",
            *CALL,
            [],
            *SIGNATURE,
        ],
    ),
    "OP stack's deposit": (
        0x7E,
        {"sourceHash": WORD, "mint": "0x9", "isSystemTx": False},
        [octets(WORD), octets(SENDER), CALL[0], b"\x09", b"", *GAS, b"", octets("0xc0de")],
    ),
    "OP stack's system deposit": (
        0x7E,
        {"sourceHash": WORD, "mint": None, "isSystemTx": True},
        [octets(WORD), octets(SENDER), CALL[0], b"", b"", *GAS, b"\x01", octets("0xc0de")],
    ),
    "Mantle's deposit": (
        0x7E,
        {"sourceHash": WORD, "mint": "0x9", "ethValue": "0x7"},
        [octets(WORD), octets(SENDER), CALL[0], b"\x09", b"", *GAS, b"", b"\x07", CALL[2]],
    ),
    "Mantle's deposit that moves ETH": (
        0x7E,
        {"sourceHash": WORD, "mint": "0x9", "ethTxValue": "0x8"},
        [octets(WORD), octets(SENDER), CALL[0], b"\x09", b"", *GAS, b"", b"", CALL[2], b"\x08"],
    ),
}


def _transaction(kind: int, **fields: object) -> wire.Transaction:
    shown = {name: text for name, text in evm.transaction().items() if name not in ("v", "r", "s")}
    given = {**shown, "type": hex(kind), "input": "0xc0de", **fields}
    return wire.decode_transaction(json.dumps(given).encode())


@pytest.mark.parametrize("name", FORMS)
def test_transaction_is_rebuilt_from_what_is_shown(name: str) -> None:
    """Each type has its encoding; where it has several, that which the hash is of."""
    kind, shown, fields = FORMS[name]
    assert transactions.known(kind)
    wanted = oracle.typed(kind, fields)
    given = _transaction(kind, **{**shown, "hash": f"0x{keccak(wanted).hex()}"})
    assert transactions.rebuilt(given, kind) == wanted.hex()


@pytest.mark.parametrize("kind", [0x05, 0x67, 0x71, 0x78, 0x7F, 0xFF])
def test_transaction_of_another_type_is_not_rebuilt(kind: int) -> None:
    """Polygon's state sync and zkSync's own are shown in part only; others are not known."""
    assert not transactions.known(kind)


@pytest.mark.parametrize("missing", ["nonce", "gas", "input", "value", "gasPrice"])
def test_transaction_without_a_field_is_not_guessed(missing: str) -> None:
    """What is hashed must be there."""
    with pytest.raises(ValueError, match="a field that is hashed is missing"):
        transactions.rebuilt(_transaction(0, v="0x1b", r="0x1", s="0x1", **{missing: None}), 0)


LOGS = (evm.log(0, WORD, WORD, data="0x80"), evm.log(1), evm.log(2, WORD, data="0x" + "01" * 60))
BLOOM = {"logsBloom": "0x" + "0b" * 256}
OUTCOMES: dict[str, tuple[dict[str, Any], Sequence[bytes]]] = {
    "plain": ({"type": "0x2"}, ()),
    "failed": ({"type": "0x0", "status": "0x0"}, ()),
    "of an unknown type": ({"type": "0x99"}, ()),
    "deposit before Canyon": ({"type": "0x7e", "depositNonce": "0x5"}, ()),
    "deposit": (
        {"type": "0x7e", "depositNonce": "0x1b2c3d", "depositReceiptVersion": "0x1"},
        (b"\x1b\x2c\x3d", b"\x01"),
    ),
    "fee currency": ({"type": "0x7b", "baseFee": "0x1adff4f03"}, (number("0x1adff4f03"),)),
    "fee currency of old": ({"type": "0x7b"}, ()),
}


def _receipt(given: dict[str, Any]) -> wire.Receipt:
    return wire.decode_receipts(json.dumps([given]).encode())[0]


@pytest.mark.parametrize("name", OUTCOMES)
def test_receipt_is_encoded_as_its_type_has_it(name: str) -> None:
    """Two types have more after their logs than the others."""
    fields, tail = OUTCOMES[name]
    given = evm.receipt(0, *LOGS, **BLOOM, **fields)
    made = receipts.rebuilt(_receipt(given), int(fields["type"], 16))
    assert made == oracle.receipt(given, *tail).hex()


def test_receipt_before_byzantium_has_a_root() -> None:
    """Some nodes show an empty root beside the status that counts."""
    given = evm.receipt(0, *LOGS, **BLOOM)
    plain = receipts.rebuilt(_receipt(given), 0)
    assert receipts.rebuilt(_receipt({**given, "root": "0x"}), 0) == plain
    rooted = {name: text for name, text in given.items() if name != "status"} | {"root": WORD}
    assert WORD[2:] in receipts.rebuilt(_receipt(rooted), 0)


def test_receipt_without_bloom_has_that_of_its_logs() -> None:
    """A node may leave it out: its logs give it."""
    made = receipts.rebuilt(_receipt(evm.receipt(0, *LOGS)), 0)
    bits = receipts.bloom(receipts.words_of(_receipt(evm.receipt(0, *LOGS)).logs))
    assert bits.to_bytes(256, "big").hex() in made
    assert 0 < bits.bit_count() <= 6


FIELDS: dict[str, Any] = {
    "sha3Uncles": WORD,
    "stateRoot": WORD,
    "transactionsRoot": WORD,
    "receiptsRoot": WORD,
    "mixHash": WORD,
    **BLOOM,
}
LONDON = {"baseFeePerGas": "0x7"}
SHANGHAI = {**LONDON, "withdrawalsRoot": WORD}
CANCUN = {**SHANGHAI, "blobGasUsed": "0x0", "excessBlobGas": "0x60000"}
PRAGUE = {**CANCUN, "parentBeaconBlockRoot": WORD, "requestsHash": WORD}
AVALANCHE = {"extDataHash": WORD, "extDataGasUsed": "0x0", "blockGasCost": "0x30d40", **LONDON}
GRANITE = {
    **AVALANCHE,
    "blobGasUsed": "0x0",
    "excessBlobGas": "0x0",
    "parentBeaconBlockRoot": WORD,
    "timestampMilliseconds": "0x197d2b4a1f4",
    "minDelayExcess": "0x799d0a",
}
HELICON = {
    **GRANITE,
    "targetExponent": "0x1",
    "minPriceExponent": "0x2",
    "settledHeight": "0x3e3",
    "settledGasUnix": "0x65000000",
    "settledGasNumerator": "0x4",
    "settledExcess": "0x0",
}
FORKS: dict[str, tuple[dict[str, Any], str]] = {
    "frontier": ({}, ETHEREUM),
    "london": (LONDON, ETHEREUM),
    "shanghai": (SHANGHAI, ETHEREUM),
    "without a beacon's root": (CANCUN, ETHEREUM),
    "prague": (PRAGUE, ETHEREUM),
    "glamsterdam": ({**PRAGUE, "blockAccessListHash": WORD, "slotNumber": "0x9"}, ETHEREUM),
    "a hole among the later ones": ({**LONDON, "requestsHash": WORD}, ETHEREUM),
    "avalanche": (AVALANCHE, oracle.AVALANCHE),
    "avalanche before its base fee": ({"extDataHash": WORD}, oracle.AVALANCHE),
    "granite": (GRANITE, oracle.AVALANCHE),
    "helicon": (HELICON, oracle.AVALANCHE),
}


@pytest.mark.parametrize("name", FORKS)
def test_block_hash_is_that_of_every_fork(name: str) -> None:
    """Fields that came later are hashed in their order where they are there."""
    fields, later = FORKS[name]
    block = evm.block(**FIELDS, **fields)
    made = headers.block_hash(wire.decode_block(json.dumps(block).encode()))
    assert made == oracle.header_hash(block, HEADER + later)


def test_headers_own_words_alone_say_that_it_settles_others() -> None:
    """Before Helicon a block's bloom and receiptsRoot are its own."""
    for fields, settles in ((HELICON, True), (GRANITE, False), (PRAGUE, False)):
        block = wire.decode_block(json.dumps(evm.block(**FIELDS, **fields)).encode())
        assert headers.settles_others(block) == settles


def test_many_texts_are_made_bytes_at_once() -> None:
    """Each is cut where it ends; blanks, which Python would pass over, are refused."""
    assert rlp.every([]) == []
    assert rlp.every(["80", "", "c20102"]) == [b"\x80", b"", b"\xc2\x01\x02"]
    for wrong in (["80", "8 "], [" 80", "80"], ["8g"]):
        with pytest.raises(ValueError):  # noqa: PT011 - Python's own words, or ours
            rlp.every(wrong)
