"""Sui's tables, where a recorded checkpoint does not reach: failures, balances of all kinds."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from chainflow import datasets
from chainflow.devnet import _sui_types as types
from chainflow.errors import MalformedAnswer
from chainflow.types import RawBlock
from tests import sui, sui_json

NAMES = ("blocks", "transactions", "events", "balance_changes")
BLOCKS, TRANSACTIONS, EVENTS, BALANCES = datasets.get("sui", NAMES)
SAMPLE = [sui.raw(body) for body in sui.checkpoints(41)]
USDC = "0xdba34672e30cb065b1f93e3ab55318768fd6fef66c15942c9f7cb846e2f900e7::usdc::USDC"
SUI = sui_json.canonical("0x2::sui::SUI")
OWNER, RECIPIENT = f"0x{7:064x}", f"0x{8:064x}"


def rows(dataset: Any, blocks: list[RawBlock]) -> list[dict[str, Any]]:  # noqa: ANN401 - a Dataset
    """Decoded rows."""
    found: list[dict[str, Any]] = dataset.decode(blocks).to_pylist()
    return found


def changed(block: RawBlock, **fields: Any) -> RawBlock:  # noqa: ANN401 - of a struct
    """The checkpoint with another first user transaction: its effects have these fields."""
    executed = block.payload.transactions[1]
    effects = msgspec.structs.replace(executed.effects, **fields)
    return with_executed(block, msgspec.structs.replace(executed, effects=effects))


def with_executed(block: RawBlock, executed: Any) -> RawBlock:  # noqa: ANN401 - a struct
    """The checkpoint with these two transactions alone."""
    alone = [block.payload.transactions[0], executed]
    return replace(block, payload=msgspec.structs.replace(block.payload, transactions=alone))


def test_counts_of_a_checkpoint_are_those_of_its_rows() -> None:
    """What check `counted` will hold against the tables."""
    blocks = rows(BLOCKS, SAMPLE)
    for name, dataset in (("transaction_count", TRANSACTIONS), ("event_count", EVENTS)):
        heights = [row["checkpoint"] for row in rows(dataset, SAMPLE)]
        assert [row[name] for row in blocks] == [heights.count(r["checkpoint"]) for r in blocks]
    assert sum(row["event_count"] for row in blocks) > 10


def test_total_of_transactions_runs_on() -> None:
    """Each checkpoint adds its own."""
    total = 0
    for row in rows(BLOCKS, SAMPLE):
        total += row["transaction_count"]
        assert row["network_total_transactions"] == total


def test_failed_transaction_says_why_and_pays_all_the_same() -> None:
    """The abort's place and code as JSON, the command; no event, and gas is the only change."""
    failed = [row for row in rows(TRANSACTIONS, SAMPLE) if not row["success"]]
    assert failed
    for row in failed:
        assert row["error_kind"] == "MoveAbort"
        error = json.loads(row["error"])
        assert (error["code"], error["location"]["function_name"]) == (7, "swap")
        assert row["error_command"] == row["command_count"] - 1
        assert row["event_count"] == 0
        place = (row["checkpoint"], row["transaction_index"])
        own = [
            (change["owner"], change["coin_type"], int(change["amount"]))
            for change in rows(BALANCES, SAMPLE)
            if (change["checkpoint"], change["transaction_index"]) == place
        ]
        assert own == [(row["sender"], SUI, -int(row["net_gas_usage"]))]


def test_payments_in_usdc_even_out() -> None:
    """What one pays another gets, by coins and by address balances; burnt money leaves."""
    calls = {
        (row["checkpoint"], row["transaction_index"]): row["move_calls"] or ""
        for row in rows(TRANSACTIONS, SAMPLE)
        if row["success"]
    }
    sums: dict[tuple[int, int], int] = {}
    for row in rows(BALANCES, SAMPLE):
        if row["coin_type"] == USDC:
            place = (row["checkpoint"], row["transaction_index"])
            sums[place] = sums.get(place, 0) + int(row["amount"])
    payments = [
        place for place in sums if "swap" not in calls[place] and "burn" not in calls[place]
    ]
    assert len(payments) > 10
    assert {sums[place] for place in payments} == {0}
    assert all(sums[place] < 0 for place in sums if place not in payments)
    assert any("send_funds" in calls[place] for place in payments)


def test_swap_tells_what_it_moved() -> None:
    """The event's type in full, its module and sender, and its fields as BCS."""
    swaps = [row for row in rows(EVENTS, SAMPLE) if row["module"] == "pool"]
    assert swaps
    for row in swaps:
        package = row["package_id"]
        assert row["event_type"] == f"{package}::pool::Swapped<{SUI},{USDC}>"
        contents = bytes.fromhex(row["contents"][2:])
        place = (row["checkpoint"], row["transaction_index"])
        paid = [
            -int(change["amount"])
            for change in rows(BALANCES, SAMPLE)
            if (change["checkpoint"], change["transaction_index"]) == place
            and (change["owner"], change["coin_type"]) == (row["sender"], USDC)
        ]
        assert paid == [int.from_bytes(contents[32:40], "little")]


def test_events_are_counted_within_their_transaction() -> None:
    """As Sui's own event ids do."""
    burns = [row for row in rows(EVENTS, SAMPLE) if row["module"] != "pool"]
    assert [row["event_index"] for row in burns[:2]] == [0, 1]


def test_balances_of_one_owner_are_one_row() -> None:
    """Coins and address balances of one type together; what evens out makes no row."""
    accumulated = [
        (OWNER, USDC, 5),
        (RECIPIENT, USDC, -3),
        (OWNER, USDC, -7),
        (RECIPIENT, SUI, 2**64 - 1),
        (RECIPIENT, USDC, 3),
        (RECIPIENT, SUI, 2**64 - 1),
    ]
    block = changed(SAMPLE[3], took=[], wrote=[], accumulated=accumulated)
    found = [
        (r["owner"], r["coin_type"], r["amount"], r["change_index"])
        for r in rows(BALANCES, [block])
    ]
    assert found == [(OWNER, USDC, "-2", 0), (RECIPIENT, SUI, str(2**65 - 2), 1)]


def test_objects_of_old_effects_are_found_by_version() -> None:
    """Version 1 does not say the digests of what it took."""
    block = SAMPLE[3]
    versions = {digest: key for key, digest in by_digest(block).items()}
    executed = block.payload.transactions[1]
    old = [versions[digest] for digest in executed.effects.took]
    assert old
    found = rows(BALANCES, [changed(block, took=[], took_versions=old)])
    assert found == rows(BALANCES, [with_executed(block, executed)])


def by_digest(block: RawBlock) -> dict[tuple[bytes, int], bytes]:
    """The digest of every object, by id and version as a description of types reads them."""
    found = {}
    for digest, held in block.payload.objects.items():
        move = sui.Parser(held).value(types.OBJECT)["data"]["Move"]
        found[move["contents"][:32], move["version"]] = digest
    return found


def test_object_that_is_missing_is_told() -> None:
    """Balances are not guessed at; the checkpoint and the transaction are named."""
    bare = replace(SAMPLE[3], payload=msgspec.structs.replace(SAMPLE[3].payload, objects={}))
    with pytest.raises(MalformedAnswer, match=r"height 3: transaction \w+: an object is missing"):
        BALANCES.decode([bare])


@pytest.mark.parametrize("column", ["epoch", "network_total_transactions"])
def test_number_that_does_not_fit_is_told_by_its_place(column: str) -> None:
    """64 bits without a sign are one more than a bigint has."""
    summary = msgspec.structs.replace(SAMPLE[3].payload.summary, **{column: 2**63})
    block = replace(SAMPLE[3], payload=msgspec.structs.replace(SAMPLE[3].payload, summary=summary))
    with pytest.raises(
        MalformedAnswer,
        match=rf"height 3: blocks\.{column}: expected a number of 63 bits, got '92233",
    ):
        BLOCKS.decode([SAMPLE[2], block])


def test_text_that_a_jsonb_cannot_hold_is_told_by_its_place() -> None:
    """PostgreSQL's jsonb has no U+0000."""
    failed = msgspec.structs.replace(
        SAMPLE[3].payload.transactions[1].effects.status, error={"coin_type": "a\x00b"}
    )
    with pytest.raises(MalformedAnswer, match=r"height 3: transactions\.error: expected JSON"):
        TRANSACTIONS.decode([changed(SAMPLE[3], status=failed)])
