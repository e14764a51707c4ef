"""Cosmos tables: what is read out of transactions, events and bank transfers, and what is not."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainflow import datasets
from chainflow.clients._cosmos_hashes import chunk, number
from chainflow.datasets.cosmos import _protobuf
from chainflow.datasets.cosmos._protobuf import Coin, Tx
from chainflow.errors import MalformedAnswer
from chainflow.types import Dataset, RawBlock
from tests.cosmos import ALL, block, event, raw, result, results_of
from tests.cosmos_node import chain

Row = dict[str, Any]
BLOCKS, TRANSACTIONS, EVENTS, TRANSFERS = datasets.get("cosmos", ALL)
SEND = "/cosmos.bank.v1beta1.MsgSend"


def rows(dataset: Dataset, *blocks: RawBlock) -> list[Row]:
    """The decoded rows."""
    found: list[Row] = dataset.decode(blocks).to_pylist()
    return found


def tx(*, types: Sequence[str] = (SEND,), memo: str = "", fee: bytes = b"") -> bytes:
    """A transaction's bytes."""
    messages = b"".join(chunk(1, chunk(1, one.encode()) + chunk(2, b"\x08\x01")) for one in types)
    body = messages + (chunk(2, memo.encode()) if memo else b"")
    return chunk(1, body) + chunk(2, chunk(1, b"signer") + chunk(2, fee)) + chunk(3, b"s" * 64)


def sent(*transactions: bytes, **fields: object) -> RawBlock:
    """A block with those transactions, all with the same result."""
    results = [result(**fields) for _ in transactions]
    return raw(block(5, transactions), results_of(5, results))


def happened(*events: dict[str, Any]) -> RawBlock:
    """A block with one transaction that left those events."""
    return raw(block(5, [b"tx"]), results_of(5, [result(*events)]))


def test_a_transaction_is_read() -> None:
    """Messages, memo, timeout; fee, its payer and granter."""
    coins = chunk(1, chunk(1, b"uusdc") + chunk(2, b"7" * 70)) + chunk(1, chunk(1, b"ibc/AB"))
    fee = coins + number(2, 200_000) + chunk(3, b"noble1payer") + chunk(4, b"noble1granter")
    raw_tx = tx(types=(SEND, "/x.y.MsgZ"), memo="grüße", fee=fee)
    assert _protobuf.transaction(raw_tx) == Tx(
        message_types=(SEND, "/x.y.MsgZ"),
        memo="grüße",
        timeout_height=0,
        fee=(Coin("uusdc", "7" * 70), Coin("ibc/AB", "")),
        gas_limit=200_000,
        payer="noble1payer",
        granter="noble1granter",
    )
    (row,) = rows(TRANSACTIONS, sent(raw_tx))
    assert json.loads(row["fee"])[0] == {"denom": "uusdc", "amount": "7" * 70}
    assert json.loads(row["message_types"]) == [SEND, "/x.y.MsgZ"]
    assert (row["fee_payer"], row["fee_granter"]) == ("noble1payer", "noble1granter")
    assert (row["gas_limit"], row["size"]) == ("200000", str(len(raw_tx)))


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\x28\xb5\x2f\xfd" + bytes(40),  # zstd: the vote extensions of the Connect oracle
        b'{"votes":[]}',
        b"\x0a\x05abc",  # cut short
        b"\x0a\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x08\x01",  # a number where bytes belong
        b"\x0b\x0c",  # a group, which proto3 has not
        chunk(1, chunk(1, chunk(1, b"no slash"))),
        chunk(1, chunk(2, b"\xff\xfe")),  # a memo that is no UTF-8
        chunk(1, b"") + chunk(4, b"more"),
        chunk(1, tx()),  # an envelope around one
    ],
)
def test_what_is_no_transaction_keeps_its_row(blob: bytes) -> None:
    """Hash, bytes and result stand; what it would say of itself is null."""
    (row,) = rows(TRANSACTIONS, sent(blob, code=2, log="tx parse error"))
    own = ("gas_limit", "fee", "fee_payer", "fee_granter", "memo", "message_types")
    assert [row[name] for name in own] == [None] * 6
    assert (row["code"], row["raw_log"]) == (2, "tx parse error")
    assert len(row["transaction_hash"]) == 64


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_are_a_transaction_or_none(blob: bytes) -> None:
    """Nothing a proposer puts into a block stops it."""
    found = _protobuf.transaction(blob)
    assert found is None or isinstance(found, Tx)


WHOLE = tx(memo="memo", fee=chunk(1, chunk(1, b"uusdc") + chunk(2, b"7")) + number(2, 200_000))


@settings(max_examples=500, deadline=None)
@given(
    st.integers(0, len(WHOLE)),
    st.integers(0, len(WHOLE)),
    st.one_of(st.binary(max_size=3), st.sampled_from([tx(), chunk(2, b""), chunk(9, b"later")])),
)
def test_a_transaction_is_read_alike_by_both_readers(start: int, stop: int, put: bytes) -> None:
    """Whatever bytes of one are replaced or put into it."""
    changed = WHOLE[:start] + put + WHOLE[max(start, stop) :]
    usual = _protobuf._usual(changed)
    assert usual is None or usual == _protobuf._any(changed)


def test_an_unusual_transaction_is_read() -> None:
    """Fields in another order, an unknown one, and one that stands twice, whose last counts."""
    fee = chunk(2, number(2, 7) + number(2, 8))
    body = chunk(2, b"first") + chunk(1, chunk(1, SEND.encode())) + chunk(2, b"memo")
    said = _protobuf.transaction(chunk(2, fee) + chunk(1, body + chunk(77, b"later")))
    assert said == Tx((SEND,), "memo", 0, (), 8, "", "")


def test_a_log_is_kept_of_failures_alone() -> None:
    """A success's log repeats its events, up to Cosmos SDK 0.50."""
    good, bad = sent(tx(), log="[{...}]"), sent(tx(), log="out of gas", code=11, codespace="sdk")
    assert rows(TRANSACTIONS, good)[0]["raw_log"] is None
    assert rows(TRANSACTIONS, bad)[0]["raw_log"] == "out of gas"


def test_a_memo_with_a_null_character_stops_no_chain() -> None:
    """Anybody may write one; PostgreSQL holds none. The exact bytes are in `raw`."""
    (row,) = rows(TRANSACTIONS, sent(tx(memo="a\0b")))
    assert row["memo"] == "a\ufffdb"


def test_events_stand_in_the_order_they_happened() -> None:
    """Of 0.38's one list, what ended the block comes after the transactions."""
    begin = event("b", ("mode", "BeginBlock"))
    end = event("e", ("mode", "EndBlock"))
    one = raw(
        block(5, [b"x", b"y"]),
        results_of(5, [result(event("t")), result(event("u"), event("v"))], begin, end, event("p")),
    )
    found = rows(EVENTS, one)
    assert [(r["event_index"], r["source"], r["event_type"]) for r in found] == [
        (0, "finalize_block", "b"),
        (1, "finalize_block", "p"),
        (2, "tx", "t"),
        (3, "tx", "u"),
        (4, "tx", "v"),
        (5, "finalize_block", "e"),
    ]
    assert [r["transaction_index"] for r in found] == [None, None, 0, 1, 1, None]
    assert [r["transaction_hash"] is None for r in found] == [True, True, False, False, False, True]
    (header,) = rows(BLOCKS, one)
    assert (header["event_count"], header["transaction_count"]) == (6, 2)


def test_an_event_keeps_what_it_has() -> None:
    """No type, a key twice, a null value: nothing is lost, nothing invented."""
    odd = event(None, ("k", "1"), ("k", "2"), ("empty", None))
    (row,) = rows(EVENTS, happened(odd))
    assert row["event_type"] is None
    assert json.loads(row["attributes"]) == [
        {"key": "k", "value": "1"},
        {"key": "k", "value": "2"},
        {"key": "empty", "value": None},
    ]


@pytest.mark.parametrize("index", [{}, {"index": True}, {"index": False}, {"index": None}])
def test_whether_a_node_indexes_an_attribute_is_not_kept(index: dict[str, object]) -> None:
    """Its rows would differ by endpoint; a text that looks like it stays."""
    odd = event("x", ("index", '{"index":false}')) | {"later": '"index":'}
    odd["attributes"][0] = {k: v for k, v in odd["attributes"][0].items() if k != "index"} | index
    (row,) = rows(EVENTS, happened(odd))
    assert row["attributes"] == json.dumps(
        [{"key": "index", "value": '{"index":false}'}], separators=(",", ":")
    )
    assert json.loads(row["extra"]) == {"later": '"index":'}


def test_unknown_fields_of_events_and_attributes_are_in_extra() -> None:
    """An attribute's under its place."""
    odd = event("x", ("k", "1"), ("l", "2")) | {"later": 1}
    odd["attributes"][1]["more"] = "m"
    (row,) = rows(EVENTS, happened(odd))
    assert json.loads(row["extra"]) == {"later": 1, "attributes": [[1, {"more": "m"}]]}


def transfer(amount: str | None, *more: tuple[str, str | None]) -> dict[str, Any]:
    """A bank transfer."""
    return event("transfer", ("recipient", "b"), ("sender", "a"), ("amount", amount), *more)


def test_each_coin_of_a_transfer_is_a_row() -> None:
    """Denominations exactly as the chain writes them, amounts to the last digit."""
    usdc = "ibc/8E27BA2D5493AF5636760E354E46004562C46AB7EC0CC4C1CA14E9E20E2545B5"
    most = str(2**256 - 1)
    text = f"{most}uusdc,4{usdc},5erc20:0xa00C59fF5a,6factory/inj1x/a.b-c_d,0peggy0xdAC1"
    found = rows(TRANSFERS, happened(event("x"), transfer(text, ("msg_index", "0"))))
    assert [(r["transfer_index"], r["value"], r["token_address"]) for r in found] == [
        (0, most, "uusdc"),
        (1, "4", usdc),
        (2, "5", "erc20:0xa00C59fF5a"),
        (3, "6", "factory/inj1x/a.b-c_d"),
        (4, "0", "peggy0xdAC1"),
    ]
    same = {
        (r["log_index"], r["from_address"], r["to_address"], r["token_standard"]) for r in found
    }
    assert same == {(1, "a", "b", "bank")}


def test_a_transfer_without_its_sender_is_one() -> None:
    """Cosmos SDK before 0.40 told it in another event."""
    old = event("transfer", ("recipient", "b"), ("amount", "7stake"))
    (row,) = rows(TRANSFERS, happened(old))
    assert (row["from_address"], row["to_address"], row["value"]) == (None, "b", "7")


@pytest.mark.parametrize(
    "other",
    [
        transfer(""),
        transfer(None),
        transfer("1.5stake"),
        transfer("5stake,"),
        transfer("stake"),
        transfer("-5stake"),
        transfer("05stake"),
        transfer("9" * 79 + "stake"),
        transfer("5 stake"),
        transfer("5stake", ("amount", "6stake")),
        transfer("5stake", ("recipient", "c")),
        event("transfer", ("class_id", "kitty"), ("sender", "a"), ("receiver", "b")),
        event("coin_spent", ("spender", "a"), ("amount", "5stake")),
        event("ibc_transfer", ("recipient", "b"), ("sender", "a"), ("amount", "5stake")),
    ],
)
def test_what_is_no_bank_transfer_is_none(other: dict[str, Any]) -> None:
    """Other modules use the name; nothing is raised, and the event is in `events`."""
    assert rows(TRANSFERS, happened(other)) == []
    assert len(rows(EVENTS, happened(other))) == 1


def test_the_fee_of_a_failed_transaction_was_moved() -> None:
    """Its own transfers were undone, and are no events of it."""
    failed = raw(block(5, [tx()]), results_of(5, [result(transfer("9uusdc"), code=5, log="x")]))
    assert [r["value"] for r in rows(TRANSFERS, failed)] == ["9"]


def test_transfers_are_what_accounts_spent_and_received() -> None:
    """The bank's own bookkeeping says the same, with coins made and destroyed beside them.

    Of the devnet's blocks: on real chains staking moves coins with no transfer, as 0094 tells.
    """
    signs = {"coin_spent": 1, "coin_received": -1, "coinbase": 1, "burn": -1}
    made = chain(60, network="noble-1", first=1)
    texts = [made._answers(height) for height in range(1, 60)]
    for one in (raw(json.loads(b), json.loads(r)) for b, r in texts):
        balance: dict[tuple[str | None, str], int] = defaultdict(int)
        for r in rows(TRANSFERS, one):
            balance[r["from_address"], r["token_address"]] -= int(r["value"])
            balance[r["to_address"], r["token_address"]] += int(r["value"])
        assert sum(balance.values()) == 0
        for r in (r for r in rows(EVENTS, one) if r["event_type"] in signs):
            who, coins = (a["value"] for a in json.loads(r["attributes"])[:2])
            for coin in coins.split(","):
                denom = coin.lstrip("0123456789")
                amount = int(coin.removesuffix(denom))
                balance[who, denom] += signs[r["event_type"]] * amount
        assert not {who: left for who, left in balance.items() if left}


def test_a_block_without_its_results_has_a_header_alone() -> None:
    """Dataset `blocks` fetched by itself: what results would tell is null."""
    bare = raw(block(5, [b"x"]), None)
    (row,) = rows(BLOCKS, bare)
    assert row["transaction_count"] == 1
    assert row["event_count"] is None
    with pytest.raises(ValueError, match="height 5 was fetched without its results"):
        EVENTS.decode([bare])


def test_unknown_fields_of_a_block_are_in_extra() -> None:
    """Under the name of the object they stood in."""
    one = block(5, later=1)
    one["block"]["more"] = {"a": 1.25}
    (row,) = rows(BLOCKS, raw(one, results_of(5, next_height="6")))
    extra = json.loads(row["extra"])
    assert extra == {"more": {"a": 1.25}, "header": {"later": 1}, "results": {"next_height": "6"}}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"gas_used": "1.5"}, "height 5: transactions.gas_used: expected a number"),
        ({"gas_wanted": "9" * 79}, "height 5: transactions.gas_wanted: expected a number"),
    ],
)
def test_a_number_that_does_not_fit_is_refused(fields: dict[str, str], words: str) -> None:
    """By height, table and column."""
    with pytest.raises(MalformedAnswer, match=words):
        rows(TRANSACTIONS, sent(tx(), **fields))
