"""Token transfers: the three standards told apart, and read as web3's codec reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from eth_abi import abi as eth_abi
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st
from web3 import Web3
from web3.exceptions import Web3Exception

from chainflow.datasets.evm import token_transfers
from tests import evm

Row = dict[str, Any]
UINT256 = st.one_of(st.integers(0, 2**256 - 1), st.integers(0, 2**70))
ADDRESS = st.binary(min_size=20, max_size=20)
ZERO = "0x" + "00" * 20
OPERATOR = "0x" + "dd" * 20


def moved(*logs: evm.Json) -> list[Row]:
    """Transfers that these logs of one transaction are."""
    block = evm.raw(evm.block(evm.transaction()), [evm.receipt(0, *logs)])
    return token_transfers.DATASET.decode([block]).to_pylist()


def words(*numbers: int) -> str:
    """ABI words of numbers."""
    return "0x" + "".join(f"{number:064x}" for number in numbers)


def single(index: int = 0, **fields: object) -> evm.Json:
    """A TransferSingle of token id 7, value 9."""
    topics = [token_transfers.TRANSFER_SINGLE, *map(evm.word, (OPERATOR, evm.SENDER, evm.RECEIVER))]
    return evm.log(index, *topics, data=words(7, 9)) | fields


def batch(ids: list[int], values: list[int], **fields: object) -> evm.Json:
    """A TransferBatch of those."""
    topics = [token_transfers.TRANSFER_BATCH, *map(evm.word, (OPERATOR, evm.SENDER, evm.RECEIVER))]
    data = "0x" + eth_abi.encode(("uint256[]", "uint256[]"), (ids, values)).hex()
    return evm.log(0, *topics, data=data) | fields


def nft(token_id: int, **fields: object) -> evm.Json:
    """An ERC-721 Transfer of a token."""
    topics = [evm.TRANSFER, evm.word(evm.SENDER), evm.word(evm.RECEIVER), words(token_id)]
    return evm.log(0, *topics) | fields


def test_topics_are_the_hashes_of_the_events() -> None:
    """The constants are keccak-256 of the signatures in the standards."""
    signatures = [
        "Transfer(address,address,uint256)",
        "TransferSingle(address,address,address,uint256,uint256)",
        "TransferBatch(address,address,address,uint256[],uint256[])",
    ]
    assert ["0x" + keccak(text=signature).hex() for signature in signatures] == [
        token_transfers.TRANSFER,
        token_transfers.TRANSFER_SINGLE,
        token_transfers.TRANSFER_BATCH,
    ]


def test_erc20_has_a_value_and_no_token_id() -> None:
    """Three topics and one word: the word is an amount."""
    (row,) = moved(evm.erc20(4, "0x2a"))
    assert (row["token_standard"], row["token_id"], row["value"]) == ("erc20", None, "42")
    assert (row["log_index"], row["transfer_index"]) == (4, 0)
    assert row["token_address"] == evm.TOKEN
    assert (row["from_address"], row["to_address"]) == (evm.SENDER, evm.RECEIVER)
    assert row["operator_address"] is None


def test_erc721_has_a_token_id_and_the_value_one() -> None:
    """Four topics and no data: the fourth is a token's id and never an amount."""
    (row,) = moved(nft(2**256 - 1))
    assert (row["token_standard"], row["token_id"]) == ("erc721", str(2**256 - 1))
    assert row["value"] == "1"


def test_erc1155_single_has_operator_id_and_value() -> None:
    """One kind of token, moved by an operator."""
    (row,) = moved(single())
    assert (row["token_standard"], row["token_id"], row["value"]) == ("erc1155", "7", "9")
    assert row["operator_address"] == OPERATOR
    assert (row["from_address"], row["to_address"]) == (evm.SENDER, evm.RECEIVER)


def test_erc1155_batch_is_a_row_for_each_token() -> None:
    """Every pair of the batch is its own row, counted in the log's order."""
    found = moved(batch([7, 7, 2**256 - 1], [0, 2**256 - 1, 3]))
    assert [row["transfer_index"] for row in found] == [0, 1, 2]
    assert [row["token_id"] for row in found] == ["7", "7", str(2**256 - 1)]
    assert [row["value"] for row in found] == ["0", str(2**256 - 1), "3"]
    assert {row["operator_address"] for row in found} == {OPERATOR}


def test_batch_of_nothing_has_no_rows() -> None:
    """An empty batch moves nothing."""
    assert moved(batch([], [])) == []


def test_transfers_keep_the_order_of_their_logs() -> None:
    """Standards mixed in one transaction stay in the order of the block."""
    found = moved(evm.erc20(0), single(1), nft(5, logIndex="0x2"), evm.erc20(3))
    assert [row["log_index"] for row in found] == [0, 1, 2, 3]


ADDRESS_TOO_WIDE = "0x" + "01" + "00" * 11 + "aa" * 20
NO_TRANSFERS = {
    "CryptoKitties": evm.log(0, evm.TRANSFER, data=words(0xAA, 0xBB, 1)),
    "two topics": evm.log(0, evm.TRANSFER, evm.word(evm.SENDER), data=words(0xBB, 1)),
    "no data": evm.erc20(0) | {"data": "0x"},
    "data too short": evm.erc20(0) | {"data": "0x2a"},
    "data too long": evm.erc20(0) | {"data": words(1, 2)},
    "wide sender": evm.erc20(0) | {"topics": [evm.TRANSFER, ADDRESS_TOO_WIDE, evm.word(ZERO)]},
    "wide receiver": evm.erc20(0) | {"topics": [evm.TRANSFER, evm.word(ZERO), ADDRESS_TOO_WIDE]},
    "ERC-721 with data": nft(1, data=words(1)),
    "single, nothing indexed": single(topics=[token_transfers.TRANSFER_SINGLE]),
    "single, three words": single(data=words(1, 2, 3)),
    "single, wide operator": single(
        topics=[token_transfers.TRANSFER_SINGLE, ADDRESS_TOO_WIDE, *single()["topics"][2:]]
    ),
    "batch, nothing indexed": batch([1], [2], topics=[token_transfers.TRANSFER_BATCH]),
    "batch, unequal": batch([1, 2], [3]),
    "batch, no data": batch([1], [2], data="0x"),
    "batch, cut": batch([1, 2], [3, 4], data=batch([1, 2], [3, 4])["data"][:-64]),
    "batch, odd number of digits": batch([1], [2], data="0x123"),
    "batch, offset outside": batch([1], [2], data=words(2**255, 2**255)),
    "batch, endless": batch([1], [2], data=words(64, 64, 2**256 - 1)),
    "anonymous": evm.log(0),
    "another event": evm.log(0, "0x" + "01" * 32, evm.word(ZERO), evm.word(ZERO), data=words(1)),
}


@pytest.mark.parametrize("case", NO_TRANSFERS)
def test_what_does_not_fit_exactly_is_no_transfer(case: str) -> None:
    """Odd events stay in logs, raise nothing, and cost no neighbour its row."""
    assert moved(NO_TRANSFERS[case]) == []
    assert len(moved(evm.erc20(0), NO_TRANSFERS[case] | {"logIndex": "0x1"}, evm.erc20(2))) == 2


def as_eth_abi_reads(data: bytes) -> list[tuple[int, int]]:
    """The ids and values of a batch's data by web3's codec; none where it refuses."""
    try:
        ids, values = eth_abi.decode(("uint256[]", "uint256[]"), data)
    except (DecodingError, ValueError, OverflowError):
        return []
    return list(zip(ids, values, strict=True)) if len(ids) == len(values) else []


def as_read(data: bytes) -> list[tuple[int, int]]:
    """The same of rows."""
    rows = moved(batch([1], [2], data="0x" + data.hex()))
    return [(int(row["token_id"]), int(row["value"])) for row in rows]


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_batch_of_any_bytes_is_read_as_by_eth_abi(data: bytes) -> None:
    """A contract may emit anything under the standard's topic."""
    assert as_read(data) == as_eth_abi_reads(data)


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.one_of(st.integers(0, 12), st.sampled_from([64, 96, 128, 160, 192])), max_size=12),
    st.binary(max_size=33),
)
def test_batch_of_small_words_is_read_as_by_eth_abi(numbers: list[int], tail: bytes) -> None:
    """Offsets and lengths that point into the data, at each other or at themselves do no harm."""
    data = b"".join(number.to_bytes(32, "big") for number in numbers) + tail
    assert as_read(data) == as_eth_abi_reads(data)


def abi(name: str, *inputs: tuple[str, str, bool]) -> Row:
    """The ABI of an event, as its standard has it."""
    return {
        "type": "event",
        "name": name,
        "anonymous": False,
        "inputs": [{"name": n, "type": kind, "indexed": indexed} for n, kind, indexed in inputs],
    }


FROM_TO = (("from", "address", True), ("to", "address", True))
OPERATED = (("operator", "address", True), *FROM_TO)
ABIS = {
    "erc20": [abi("Transfer", *FROM_TO, ("value", "uint256", False))],
    "erc721": [abi("Transfer", *FROM_TO, ("id", "uint256", True))],
    "erc1155": [
        abi("TransferSingle", *OPERATED, ("id", "uint256", False), ("value", "uint256", False)),
        abi("TransferBatch", *OPERATED, ("id", "uint256[]", False), ("value", "uint256[]", False)),
    ],
}
EVENTS = [
    (standard, getattr(Web3().eth.contract(abi=[event]).events, event["name"])())
    for standard, events in ABIS.items()
    for event in events
]


def as_web3_reads(log: evm.Json) -> list[tuple[Any, ...]]:
    """Standard, parties, ids and values of a log, by web3's codec."""
    names = ("transactionHash", "transactionIndex", "blockHash", "blockNumber")
    entry: Any = {
        **dict.fromkeys(names),
        **log,
        "topics": [bytes.fromhex(topic[2:]) for topic in log["topics"]],
        "data": bytes.fromhex(log["data"][2:]),
    }
    for standard, event in EVENTS:
        try:
            return pairs(standard, event.process_log(entry)["args"])
        except (Web3Exception, DecodingError):
            continue
    return []


def pairs(standard: str, arguments: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """One tuple for each token the arguments move."""
    parties = [arguments.get(key, "").lower() or None for key in ("operator", "from", "to")]
    ids, values = arguments.get("id"), arguments.get("value", 1)
    if isinstance(ids, tuple | list):
        return [(standard, *parties, i, v) for i, v in zip(ids, values, strict=True)]
    return [(standard, *parties, ids, values)]


def as_decoded(rows: list[Row]) -> list[tuple[Any, ...]]:
    """The same of decoded rows."""
    parties = ("operator_address", "from_address", "to_address")
    return [
        (
            row["token_standard"],
            *(row[party] for party in parties),
            None if row["token_id"] is None else int(row["token_id"]),
            int(row["value"]),
        )
        for row in rows
    ]


@settings(deadline=None)
@given(ADDRESS, ADDRESS, UINT256)
def test_erc20_and_erc721_are_read_as_by_web3(sender: bytes, receiver: bytes, number: int) -> None:
    """The quick path gives what web3's codec gives, for any parties and number."""
    parties = [evm.word("0x" + party.hex()) for party in (sender, receiver)]
    for log in (
        evm.log(0, evm.TRANSFER, *parties, data=words(number)),
        evm.log(0, evm.TRANSFER, *parties, words(number)),
    ):
        assert as_decoded(moved(log)) == as_web3_reads(log) != []


@settings(deadline=None)
@given(ADDRESS, ADDRESS, ADDRESS, st.lists(st.tuples(UINT256, UINT256), max_size=5))
def test_erc1155_is_read_as_by_web3(
    operator: bytes, sender: bytes, receiver: bytes, tokens: list[tuple[int, int]]
) -> None:
    """Single and batch give what web3's codec gives, for any parties and tokens."""
    parties = [evm.word("0x" + party.hex()) for party in (operator, sender, receiver)]
    ids, values = [i for i, _ in tokens], [v for _, v in tokens]
    log = batch(ids, values, topics=[token_transfers.TRANSFER_BATCH, *parties])
    assert as_decoded(moved(log)) == as_web3_reads(log)
    for token_id, value in tokens:
        one = single(
            topics=[token_transfers.TRANSFER_SINGLE, *parties], data=words(token_id, value)
        )
        assert as_decoded(moved(one)) == as_web3_reads(one) != []


@settings(deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_address_words_are_refused_where_web3_refuses_them(first: bytes, second: bytes) -> None:
    """A topic wider than an address is an address to neither."""
    log = evm.log(0, evm.TRANSFER, "0x" + first.hex(), "0x" + second.hex(), data=words(1))
    assert as_decoded(moved(log)) == as_web3_reads(log)


@pytest.mark.parametrize("recorded", [r for r in evm.recordings() if r.receipts], ids=str)
def test_recorded_transfers_are_read_as_by_web3(recorded: evm.Recorded) -> None:
    """Every log of a real block is a transfer exactly when web3's codec reads one in it."""
    logs = [log for receipt in recorded.receipts or [] for log in receipt["logs"]]
    found = token_transfers.DATASET.decode([recorded.raw()]).to_pylist()
    assert as_decoded(found) == [one for log in logs for one in as_web3_reads(log)]
