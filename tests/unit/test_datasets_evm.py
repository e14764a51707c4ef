"""What each table says of the odd blocks that real chains have."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainflow import datasets
from chainflow.errors import MalformedAnswer
from tests import evm

Row = dict[str, Any]
ODD = evm.odd_blocks()


def rows(dataset: str, *recorded: evm.Recorded) -> list[Row]:
    """Rows of a table, as the dataset decodes them."""
    (decoder,) = datasets.get("evm", [dataset])
    return decoder.decode([one.raw() for one in recorded]).to_pylist()


def decode(dataset: str, block: evm.Json, *receipts: evm.Json) -> list[Row]:
    """Rows of a table of one block."""
    return rows(dataset, evm.Recorded("odd", block, list(receipts)))


def extra(row: Row) -> Row:
    """What the column extra holds; nothing where it is NULL."""
    return dict(json.loads(row["extra"] or "{}"))


def test_state_sync_transaction_without_a_receipt_has_none() -> None:
    """Polygon's state-sync transaction is stored; what only a receipt knows stays NULL."""
    paid, synced = rows("transactions", ODD["state-sync-without-receipt"])
    assert paid["receipt_status"] == 1
    assert synced["transaction_index"] == 1
    assert {v for k, v in synced.items() if k.startswith("receipt_")} == {None}
    assert synced["extra"] is None


def test_state_sync_transaction_with_a_receipt_keeps_it() -> None:
    """Where the node has a receipt for it, it is like any other transaction, with its logs."""
    (synced,) = rows("transactions", ODD["state-sync-with-receipt"])
    assert (synced["transaction_type"], synced["receipt_status"]) == (0x7F, 1)
    assert len(rows("logs", ODD["state-sync-with-receipt"])) == 1


def test_deposit_keeps_what_layer_one_sent() -> None:
    """An OP deposit has its source, its mint, its nonce and version, and the fees of layer one."""
    (deposit,) = rows("transactions", ODD["deposit"])
    assert deposit["transaction_type"] == 0x7E
    assert deposit["source_hash"] == "0x" + "5e" * 32
    assert deposit["mint"] == str(2**256 - 1)
    assert deposit["is_system_tx"] is False
    assert deposit["receipt_deposit_nonce"] == str(0x1B2C3D)
    assert deposit["receipt_deposit_receipt_version"] == "1"
    assert deposit["receipt_l1_fee_scalar"] == "0.684"
    assert deposit["receipt_l1_blob_base_fee_scalar"] == str(0x101C12)
    assert extra(deposit) == {
        "transaction": {"depositReceiptVersion": "0x1"},
        "receipt": {
            "operatorFeeScalar": "0x0",
            "operatorFeeConstant": "0x0",
            "daFootprintGasScalar": "0x190",
        },
    }


def test_recorded_deposit_is_the_first_of_its_block() -> None:
    """A block recorded from an OP chain begins with a deposit, and others pay for layer one."""
    first, *others = rows("transactions", evm.recorded("base-goerli", 1041847))
    assert (first["transaction_index"], first["transaction_type"]) == (0, 0x7E)
    assert first["source_hash"] is not None
    assert all(row["source_hash"] is None for row in others)
    assert all(row["receipt_l1_fee"] is not None for row in others)


def test_classic_arbitrum_transaction_is_stored_as_it_is() -> None:
    """Type 0x78 used more gas than the block's cumulative gas says; both numbers stay."""
    (classic,) = rows("transactions", ODD["classic-arbitrum"])
    assert classic["transaction_type"] == 0x78
    assert classic["receipt_gas_used"] == str(0xEDA4B)
    assert classic["receipt_cumulative_gas_used"] == str(0x65317)
    assert classic["receipt_gas_used_for_l1"] == str(0x88734)
    assert classic["receipt_l1_block_number"] == 0xE26AC9
    assert rows("blocks", ODD["classic-arbitrum"])[0]["l1_block_number"] == 0xE26AC9


def test_zero_roots_are_stored_as_zero() -> None:
    """The roots of zkSync, which proves itself elsewhere, are zeros, and the table says so."""
    zksync = evm.recorded("zksync", 35533)
    (block,) = rows("blocks", zksync)
    zero = "0x" + "00" * 32
    roots = ("state_root", "transactions_root", "receipts_root")
    assert {block[root] for root in roots} == {zero}
    assert extra(block)["l1BatchNumber"] == "0x239"
    (transaction,) = rows("transactions", zksync)
    assert transaction["transaction_type"] == 0x71


def test_missing_type_stays_missing() -> None:
    """A type that the node does not give is NULL, not 0."""
    (transaction,) = rows("transactions", ODD["missing-type"])
    assert transaction["transaction_type"] is None
    assert transaction["extra"] is None


def test_missing_status_stays_missing() -> None:
    """Before Byzantium a receipt has a root in place of a status, which is NULL and not 0."""
    (transaction,) = rows("transactions", ODD["missing-status"])
    assert transaction["receipt_status"] is None
    assert transaction["receipt_root"] == "0x" + "ab" * 32


def test_recorded_receipts_before_byzantium_have_roots() -> None:
    """The last block before Byzantium has a root for every transaction and a status for none."""
    found = rows("transactions", evm.recorded("ethereum", 4369999))
    assert {row["receipt_status"] for row in found} == {None}
    assert all(row["receipt_root"] for row in found)


def test_cip64_keeps_the_fee_currency() -> None:
    """Celo's fee in a token names the token; the receipt's base fee is in extra."""
    (transaction,) = rows("transactions", ODD["cip64"])
    assert transaction["transaction_type"] == 0x7B
    assert transaction["fee_currency"] == "0x2f25deb3848c207fc8e0c34035b3ba7fc157602b"
    assert transaction["access_list"] == "[]"
    assert extra(transaction) == {"receipt": {"baseFee": "0x1adff4f03"}}


def test_gas_near_2_63_is_exact() -> None:
    """BNB's system transactions allow themselves 2^63 - 1 gas, and one more would be no trouble."""
    found = rows("transactions", ODD["gas-near-2-63"])
    assert [row["gas"] for row in found] == [str(2**63 - 1), str(2**63)]
    assert rows("blocks", ODD["gas-near-2-63"])[0]["gas_limit"] == str(2**64 - 1)


def test_uint256_maximum_is_exact_everywhere() -> None:
    """Value, difficulty and token amount hold 2^256 - 1, a gas price 2^70, a nonce 2^64."""
    (transaction,) = rows("transactions", ODD["uint256-maximum"])
    (block,) = rows("blocks", ODD["uint256-maximum"])
    (moved,) = rows("token_transfers", ODD["uint256-maximum"])
    wide = (transaction["value"], block["difficulty"], block["total_difficulty"], moved["value"])
    assert set(wide) == {str(2**256 - 1)}
    assert (transaction["gas_price"], transaction["nonce"]) == (str(2**70), str(2**64))


def test_log_indexes_that_restart_are_counted_through_the_block() -> None:
    """Where each transaction counts its logs from 0, the index is the block's count."""
    found = rows("logs", ODD["log-indexes-per-transaction"])
    assert [row["log_index"] for row in found] == [0, 1, 2, 3, 4]
    assert [extra(row) for row in found] == [
        {},
        {},
        {"logIndex": "0x0"},
        {"logIndex": "0x1"},
        {"logIndex": "0x2"},
    ]
    moved = rows("token_transfers", ODD["log-indexes-per-transaction"])
    assert [row["log_index"] for row in moved] == [0, 2]


def test_log_indexes_are_the_nodes_where_they_are_the_blocks() -> None:
    """Indexes that do not repeat stay, even where they begin elsewhere than at 0."""
    block = evm.block(evm.transaction(0), evm.transaction(1))
    receipts = evm.receipt(0, evm.log(3)), evm.receipt(1, evm.log(5), evm.log(4))
    assert [row["log_index"] for row in decode("logs", block, *receipts)] == [3, 5, 4]


def test_doubled_log_index_is_left_for_the_checks() -> None:
    """An index that repeats without restarting is a node's mistake, which counting would hide."""
    block = evm.block(evm.transaction(0), evm.transaction(1))
    receipts = evm.receipt(0, evm.log(0), evm.log(1)), evm.receipt(1, evm.log(1))
    assert [row["log_index"] for row in decode("logs", block, *receipts)] == [0, 1, 1]


def test_system_logs_belong_to_no_transaction() -> None:
    """A log with the zero hash keeps it; one that names no transaction has NULL."""
    zero, absent = rows("logs", ODD["system-logs"])
    assert zero["transaction_hash"] == "0x" + "00" * 32
    assert (absent["transaction_hash"], absent["transaction_index"]) == (None, None)


def test_time_is_the_blocks_in_whole_seconds() -> None:
    """A finer clock of the chain stays in extra; every table has the block's own second."""
    for chain, height in (("fantom", 2), ("sonic", 500)):
        (block,) = rows("blocks", evm.recorded(chain, height))
        assert block["block_timestamp"].microsecond == 0
        assert "timestampNano" in extra(block)
    odd = ODD["gas-near-2-63"]
    assert extra(rows("blocks", odd)[0]) == {"milliTimestamp": "0x197d2b4a1f4"}
    times = {
        row["block_timestamp"] for name in ("blocks", "transactions") for row in rows(name, odd)
    }
    assert times == {datetime.fromtimestamp(0x65000000, UTC)}


def test_unknown_fields_are_kept_beside_what_no_column_holds() -> None:
    """A future fork's fields, and a node that contradicts itself, lose nothing."""
    odd = ODD["unknown-everything"]
    assert extra(rows("blocks", odd)[0]).keys() == {
        "slotNumber",
        "blockAccessListHash",
        "timestampNano",
    }
    (transaction,) = rows("transactions", odd)
    assert transaction["transaction_type"] == 0x99
    assert extra(transaction) == {
        "transaction": {"novelty": {"deep": [1, None, "0xAb"]}},
        "receipt": {"novelty": True, "type": "0x9a", "to": evm.TOKEN},
    }
    assert [extra(row) for row in rows("logs", odd)] == [
        {"surprise": None, "weight": 1.5},
        {"removed": True, "blockTimestamp": "0x65000001"},
    ]


def test_signature_halves_are_words() -> None:
    """Two nodes that pad r and s differently give the same row."""
    (short,) = decode("transactions", evm.block(evm.transaction(r="0x1", s="0xAB")))
    (padded,) = decode(
        "transactions", evm.block(evm.transaction(r=evm.word("0x1"), s=evm.word("0xab")))
    )
    assert short == padded
    assert short["r"] == evm.word("0x1")


def test_hex_is_lower_case_whoever_wrote_it() -> None:
    """A checksummed address is stored in the one form that queries use."""
    mixed = "0xDE0B295669a9FD93d5F28D9Ec85E40f4cb697BAe"
    (transaction,) = decode("transactions", evm.block(evm.transaction(to=mixed)))
    assert transaction["to_address"] == mixed.lower()


@pytest.mark.parametrize(("given_list", "stored"), [(None, None), ([], "[]"), (["0x1"], '["0x1"]')])
def test_empty_access_list_is_not_a_missing_one(given_list: object, stored: str | None) -> None:
    """A typed transaction's empty list is kept apart from a legacy one's none."""
    (transaction,) = decode("transactions", evm.block(evm.transaction(accessList=given_list)))
    assert transaction["access_list"] == stored


def test_withdrawals_are_rows_in_gwei() -> None:
    """Each withdrawal keeps its index, its validator and its exact amount."""
    found = rows("withdrawals", evm.recorded("ethereum", 18000000))
    recorded = evm.recorded("ethereum", 18000000).block["withdrawals"]
    assert [row["withdrawal_index"] for row in found] == [int(w["index"], 16) for w in recorded]
    assert [row["amount"] for row in found] == [str(int(w["amount"], 16)) for w in recorded]


@pytest.mark.parametrize("fields", [{}, {"withdrawals": None}, {"withdrawals": []}])
def test_block_without_withdrawals_has_no_rows(fields: Row) -> None:
    """Before Shanghai, and on layer two, there is nothing to pay out."""
    assert decode("withdrawals", evm.block(**fields)) == []


def test_blocks_alone_need_no_receipts() -> None:
    """Transactions of a block that came without any receipts have none, and no logs."""
    block = evm.block(evm.transaction())
    assert decode("transactions", block)[0]["receipt_gas_used"] is None
    assert decode("logs", block) == []


def test_receipts_find_their_transactions_in_any_order() -> None:
    """A node that orders receipts otherwise does not mix up who used which gas."""
    block = evm.block(evm.transaction(0), evm.transaction(1))
    receipts = evm.receipt(1, gasUsed="0x2"), evm.receipt(0, gasUsed="0x1")
    found = decode("transactions", block, *receipts)
    assert [row["receipt_gas_used"] for row in found] == ["1", "2"]


@pytest.mark.parametrize(
    "receipts",
    [
        [evm.receipt(0), evm.receipt(0)],
        [evm.receipt(2)],
        [evm.receipt(0), evm.receipt(1), evm.receipt(2)],
    ],
    ids=["doubled", "foreign", "one too many"],
)
def test_receipt_of_no_transaction_is_refused(receipts: list[evm.Json]) -> None:
    """A receipt that belongs to none of the block's transactions is never dropped in silence."""
    block = evm.block(evm.transaction(0), evm.transaction(1))
    with pytest.raises(MalformedAnswer, match="height 1000: expected at most one receipt"):
        decode("transactions", block, *receipts)


def test_fifth_topic_is_refused() -> None:
    """The EVM has no such log; its fifth topic would have no column."""
    block = evm.block(evm.transaction())
    receipt = evm.receipt(0, evm.log(0, *5 * ["0x" + "01" * 32]))
    with pytest.raises(MalformedAnswer, match=r"height 1000: logs\.topics: .* four, got 5"):
        decode("logs", block, receipt)


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), max_size=6))
def test_topics_stand_in_their_columns(counts: list[int]) -> None:
    """Logs of every number of topics, side by side, keep each topic in its place."""
    logs = [
        evm.log(index, *(f"0x{place:064x}" for place in range(count)))
        for index, count in enumerate(counts)
    ]
    found = decode("logs", evm.block(evm.transaction()), evm.receipt(0, *logs))
    assert [[row[f"topic{i}"] for i in range(4)] for row in found] == [
        [f"0x{place:064x}" if place < count else None for place in range(4)] for count in counts
    ]
