"""What is recorded of Sui comes out of the tables as it was, held against code apart from ours.

A whole recorded checkpoint goes through the store. Of older transactions only JSON is recorded: it
is turned back into BCS, and where the chain's own digest comes out of that, the BCS is the chain's.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from chainflow import datasets
from chainflow.devnet import _sui_bcs as bcs
from chainflow.devnet import _sui_types as types
from chainflow.devnet._sui_scene import coin_object, type_tag
from chainflow.store import batch, database, tables
from chainflow.types import BlockRange, Chain
from chainflow.wire import _base58 as base58
from chainflow.wire import _sui_effects, _sui_objects, _sui_transaction
from chainflow.wire import sui as wire
from tests import small, sui, sui_json
from tests.sui import DATA, Parser

Row = dict[str, Any]
NAMES = ("blocks", "transactions", "events", "balance_changes")
DATASETS = datasets.get("sui", NAMES)
RECORDED = sui.recorded_checkpoint()
REPLIES = sui.recorded_transactions()
GAS = ("computation_cost", "storage_cost", "storage_rebate", "non_refundable_storage_fee")
CHECKPOINTS = sorted((*DATA.glob("*.checkpoint.json"), *DATA.glob("*.getCheckpoint.json")))
SUI = sui_json.canonical("0x2::sui::SUI")


def stored(engine: Engine) -> dict[str, list[Row]]:
    """The recorded checkpoint, merged into PostgreSQL after all checks, and read back."""
    entry = Chain("suinet", "sui", None, 240.0, datasets=NAMES)
    tables.ensure(engine, entry, DATASETS)
    block = sui.raw(RECORDED.body)
    blocks = BlockRange(block.height, block.height + 1)
    decoded = {d.name: d.decode([block]) for d in DATASETS}
    small.merge_slice(engine, batch.Slice(entry, blocks, DATASETS, decoded, block.size))
    found = {}
    for dataset in DATASETS:
        order = ", ".join(dataset.key)
        target = database.quoted(entry.name, dataset.name)
        with database.begin(engine) as connection:
            rows = connection.execute(sa.text(f"SELECT * FROM {target} ORDER BY {order}"))
            found[dataset.name] = [dict(row._mapping) for row in rows]
    return found


def test_recorded_checkpoint_is_in_the_tables_field_by_field(engine: Engine) -> None:
    """Summary, transactions and balances of checkpoint 1137 are those of its bytes."""
    found = stored(engine)
    (block,) = found["blocks"]
    assert_block(block)
    assert found["events"] == []
    assert len(found["transactions"]) == len(RECORDED.transactions) == 9
    for i, (row, given) in enumerate(
        zip(found["transactions"], RECORDED.transactions, strict=True)
    ):
        assert row["transaction_index"] == i
        assert_transaction(row, given)
    assert_balances(found["balance_changes"])


def assert_block(row: Row) -> None:
    """The summary, all of its fields."""
    given = RECORDED.summary
    assert row["checkpoint"] == given["sequence_number"] == 1137
    assert row["block_hash"] == sui.digest(RECORDED.body)
    assert row["parent_hash"] == given["previous_digest"]
    assert row["block_timestamp"].timestamp() * 1000 == given["timestamp_ms"]
    assert row["epoch"] == given["epoch"]
    assert row["network_total_transactions"] == given["network_total_transactions"]
    assert row["contents_digest"] == given["content_digest"]
    gas = {name: int(row[f"epoch_{name}"]) for name in GAS}
    assert gas == given["epoch_rolling_gas_cost_summary"]
    assert row["commitments"] == given["checkpoint_commitments"]
    assert row["end_of_epoch"] == given["end_of_epoch_data"]
    assert row["version_specific_data"] == "0x" + given["version_specific_data"].hex()
    assert row["transaction_count"] == len(RECORDED.contents["V1"]["transactions"])
    assert row["event_count"] == 0


def assert_transaction(row: Row, given: dict[str, Any]) -> None:
    """A transaction and its effects, all fields that have a column."""
    sent, done = given["transaction"], given["effects"]
    listed = RECORDED.contents["V1"]["transactions"][row["transaction_index"]]
    assert row["transaction_hash"] == given["digest"] == listed["transaction"]
    assert row["effects_digest"] == listed["effects"]
    ((kind, content),) = sent["kind"].items()
    assert row["transaction_kind"] == kind
    assert row["sender"] == sent["sender"]
    assert row["gas_owner"] == sent["gas_data"]["owner"]
    assert row["gas_price"] == sent["gas_data"]["price"]
    assert row["gas_budget"] == sent["gas_data"]["budget"]
    assert row["success"] is (done["status"] == "Success")
    assert row["epoch"] == done["executed_epoch"]
    paid = done["gas_used"]
    assert {name: int(row[name]) for name in GAS} == paid
    net = paid["computation_cost"] + paid["storage_cost"] - paid["storage_rebate"]
    assert row["net_gas_usage"] == net
    commands = content["commands"] if kind == "ProgrammableTransaction" else None
    assert row["command_count"] == (commands and len(commands))
    calls = [one["MoveCall"] for one in commands or () if "MoveCall" in one]
    named = [f"{call['package']}::{call['module']}::{call['function']}" for call in calls]
    assert row["move_calls"] == (named or None)
    assert row["events_digest"] == done["events_digest"]
    assert row["lamport_version"] == done["lamport_version"]
    assert row["error"] is row["error_kind"] is row["error_command"] is None


def assert_balances(rows: list[Row]) -> None:
    """Balances, from the lists of objects that each recorded transaction took and wrote."""
    expected = {}
    for i, given in enumerate(RECORDED.transactions):
        balances: Counter[tuple[str, str]] = Counter()
        for sign, objects in ((-1, given["took"]), (1, given["wrote"])):
            for held in objects:
                if held["data"].get("Move", {}).get("type") == "GasCoin":
                    amount = int.from_bytes(held["data"]["Move"]["contents"][32:], "little")
                    balances[held["owner"]["AddressOwner"], SUI] += sign * amount
        expected.update({(i, *key): amount for key, amount in balances.items() if amount})
    found = {(r["transaction_index"], r["owner"], r["coin_type"]): r["amount"] for r in rows}
    assert len(found) == len(rows)
    assert found == {key: Decimal(amount) for key, amount in expected.items()}


def test_balances_of_a_transaction_add_up_to_its_gas() -> None:
    """SUI is neither made nor lost but by gas: a proof of the balances that needs no other code."""
    block = sui.raw(RECORDED.body)
    changes = {d.name: d.decode([block]).to_pylist() for d in DATASETS}
    sums: Counter[int] = Counter()
    for row in changes["balance_changes"]:
        sums[row["transaction_index"]] += int(row["amount"])
    net = {r["transaction_index"]: int(r["net_gas_usage"]) for r in changes["transactions"]}
    assert {i: -amount for i, amount in sums.items()} == {i: n for i, n in net.items() if n}


@pytest.mark.parametrize(
    ("name", "expiration"), [("tx-J2Vkui75", "none"), ("tx-9aFfSrP7", {"Epoch": 25})]
)
def test_recorded_transaction_has_the_digest_of_its_bytes(name: str, expiration: Any) -> None:  # noqa: ANN401 - BCS
    """The JSON's fields, as BCS, hash to the chain's digest; and are read back from that BCS.

    When it expires the JSON does not say; of all epochs only this one gives the digest.
    """
    reply = REPLIES[name]
    data = reply["transaction"]["data"]
    sent = sui_json.transaction(data, expiration)
    assert bcs.digest("TransactionData", sent) == reply["digest"]
    found = _sui_transaction.decode(sent)
    assert found.kind == data["transaction"]["kind"]
    assert (found.sender, found.gas_owner) == (data["sender"], data["gasData"]["owner"])
    assert found.gas_price == int(data["gasData"]["price"])
    assert found.gas_budget == int(data["gasData"]["budget"])
    assert found.command_count == len(data["transaction"]["transactions"])


@pytest.mark.parametrize("name", REPLIES)
def test_recorded_effects_are_read_back(name: str) -> None:
    """Status, gas, epoch and objects of the JSON's effects come back from their BCS."""
    given = REPLIES[name]["effects"]
    found = _sui_effects.decode(sui_json.effects(given), bytes(32))
    failed = given["status"].get("error", "").split(" in command ")
    assert found.status.success is (given["status"]["status"] == "success")
    assert (found.status.kind or "") == failed[0]
    assert found.status.command == (int(failed[1]) if len(failed) > 1 else None)
    assert found.epoch == int(given["executedEpoch"])
    assert {n: getattr(found.gas, n) for n in GAS} == sui_json.gas(given["gasUsed"])
    assert base58.encode(found.transaction_digest) == given["transactionDigest"]
    took = [(f"0x{id_.hex()}", str(version)) for id_, version in found.took_versions]
    assert took == [(m["objectId"], m["sequenceNumber"]) for m in given["modifiedAtVersions"]]
    wrote = [one for n in ("created", "mutated", "unwrapped") for one in given.get(n, [])]
    digests = [base58.encode(digest) for digest in found.wrote]
    assert digests == [one["reference"]["digest"] for one in wrote]


def test_recorded_events_have_the_digest_of_their_bytes() -> None:
    """Two events of a swap on mainnet hash to the digest in its effects; and are read back."""
    reply = REPLIES["gem.swap_token_to_token"]
    told = sui_json.events(reply["events"])
    assert bcs.digest("TransactionEvents", told) == reply["effects"]["eventsDigest"]
    found = _sui_effects.events(told)
    assert len(found) == len(reply["events"])
    for event, given in zip(found, reply["events"], strict=True):
        assert event.package_id == given["packageId"]
        assert event.module == given["transactionModule"]
        assert event.sender == given["sender"]
        assert event.event_type == sui_json.canonical(given["type"])
        assert event.contents == base64.b64decode(given["bcs"])


def test_shortened_reply_is_read_back_as_far_as_it_goes() -> None:
    """What its source left out is filled in; what is there comes back from the BCS."""
    reply = json.loads((DATA / "gem.transfer_token_contract.json").read_bytes())["result"]
    given, (told,) = reply["effects"], reply["events"]
    payer = given["gasObject"]["owner"]["AddressOwner"]
    reference = {"objectId": payer, "version": 1, "digest": reply["digest"]}
    filled = {
        **given,
        "executedEpoch": "0",
        "modifiedAtVersions": [],
        "transactionDigest": reply["digest"],
        "gasObject": {**given["gasObject"], "reference": reference},
        "dependencies": [],
    }
    done = _sui_effects.decode(sui_json.effects(filled), bytes(32))
    assert done.status.success
    assert {n: getattr(done.gas, n) for n in GAS} == sui_json.gas(given["gasUsed"])
    (paid,) = [one for one in reply["balanceChanges"] if one["coinType"] == "0x2::sui::SUI"]
    assert paid["owner"]["AddressOwner"] == payer
    gas = done.gas
    assert int(paid["amount"]) == gas.storage_rebate - gas.storage_cost - gas.computation_cost
    whole = {**told, "transactionModule": "any", "sender": payer, "bcs": ""}
    (event,) = _sui_effects.events(sui_json.events([whole]))
    assert (event.package_id, event.event_type) == (told["packageId"], told["type"])


@pytest.mark.parametrize(
    ("name", "rebate"), [("tx-J2Vkui75", 988_000), ("gem.transfer_token", 1_322_400)]
)
def test_recorded_coin_has_the_digest_of_its_bytes(name: str, rebate: int) -> None:
    """A coin that a transfer made, put together from the JSON, hashes to the recorded digest.

    Its rebate is not recorded: it is the storage cost, shared by the objects that were written.
    """
    reply = REPLIES[name]
    (created,) = reply["effects"]["created"]
    owner = created["owner"]["AddressOwner"]
    (change,) = [one for one in reply["balanceChanges"] if one["owner"]["AddressOwner"] == owner]
    package, module, struct = change["coinType"].split("::")
    reference = created["reference"]
    held = coin_object(
        type_tag(package, module, struct),
        reference["objectId"],
        reference["version"],
        owner,
        int(change["amount"]),
        reply["digest"],
        rebate=rebate,
    )
    assert bcs.digest("Object", held) == reference["digest"]
    found = wire.coin(held)
    kind = sui_json.canonical(change["coinType"])
    assert found == wire.Coin(owner, kind, int(change["amount"]))
    assert _sui_objects.key(held) == (
        bytes.fromhex(reference["objectId"][2:]),
        reference["version"],
    )


def test_recorded_bytes_of_a_transaction_are_read_as_described() -> None:
    """A mainnet transaction with Move calls and type arguments."""
    sent = base64.b64decode((DATA / "bcs.wormhole-pyth-transaction.b64").read_bytes())
    parser = Parser(sent)
    given = parser.value(types.TRANSACTION)["V1"]
    assert parser.at == len(sent)
    found = _sui_transaction.decode(sent)
    commands = given["kind"]["ProgrammableTransaction"]["commands"]
    calls = [one["MoveCall"] for one in commands if "MoveCall" in one]
    assert found.move_calls == [f"{c['package']}::{c['module']}::{c['function']}" for c in calls]
    assert len(calls) == 6
    assert found.command_count == len(commands)
    assert found.sender == given["sender"]
    assert found.gas_price == given["gas_data"]["price"]
    assert found.gas_budget == given["gas_data"]["budget"]


def test_recorded_bytes_of_effects_are_read_as_described() -> None:
    """Effects of version 2, of mainnet."""
    done = base64.b64decode((DATA / "bcs.pyth-wormhole-v2.b64").read_bytes())
    parser = Parser(done)
    given = parser.value(types.EFFECTS)["V2"]
    assert parser.at == len(done)
    found = _sui_effects.decode(done, base58.decode(given["transaction_digest"]))
    assert found.epoch == given["executed_epoch"]
    assert {n: getattr(found.gas, n) for n in GAS} == given["gas_used"]
    assert base58.encode(found.transaction_digest) == given["transaction_digest"]
    assert found.lamport_version == given["lamport_version"]
    changed = given["changed_objects"]
    took = [c["input_state"]["Exist"]["digest"] for c in changed if c["input_state"] != "NotExist"]
    wrote = [one["output_state"]["ObjectWrite"]["digest"] for one in changed]
    assert [base58.encode(digest) for digest in found.took] == took
    assert [base58.encode(digest) for digest in found.wrote] == wrote


@pytest.mark.parametrize("path", CHECKPOINTS, ids=lambda path: path.name)
def test_recorded_summary_is_read_back(path: Any) -> None:  # noqa: ANN401 - a Path
    """Every field of a summary that is only recorded as JSON comes back from its BCS."""
    said = json.loads(path.read_bytes())
    given = said.get("result", said)
    found = wire._summary(sui_json.summary(given))
    assert found.sequence_number == int(given["sequenceNumber"])
    assert found.epoch == int(given["epoch"])
    assert found.network_total_transactions == int(given["networkTotalTransactions"])
    assert base58.encode(found.previous_digest) == given["previousDigest"]
    assert found.timestamp_ms == int(given["timestampMs"])
    rolling = sui_json.gas(given["epochRollingGasCostSummary"])
    assert {name: getattr(found.gas, name) for name in GAS} == rolling
