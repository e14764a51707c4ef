"""Checkpoints as structs: every form there is, and forms that are newer than this release."""

from __future__ import annotations

from typing import Any

import pytest

from chainflow.devnet import _sui_bcs as bcs
from chainflow.devnet import _sui_types as types
from chainflow.devnet._sui_scene import USDC_TYPE, type_tag
from chainflow.errors import MalformedAnswer
from chainflow.wire import _base58 as base58
from chainflow.wire import _sui_effects as effects
from chainflow.wire import _sui_messages as messages
from chainflow.wire import _sui_objects as objects
from chainflow.wire import _sui_transaction as transaction
from chainflow.wire import sui as wire
from tests import sui, sui_json

DIGEST = base58.encode(bytes(range(32)))
OTHER = base58.encode(bytes(range(1, 33)))
OWNER, ID = f"0x{7:064x}", f"0x{9:064x}"
GAS = dict.fromkeys(
    ("computation_cost", "storage_cost", "storage_rebate", "non_refundable_storage_fee"), 2**64 - 1
)
LOCATION = {
    "package": OWNER,
    "module": "pool",
    "function": 1,
    "instruction": 2,
    "function_name": None,
}


def done(**fields: Any) -> effects.Effects:  # noqa: ANN401 - BCS
    """Effects of version 2 with these fields, read."""
    value = {
        "status": "Success",
        "executed_epoch": 5,
        "gas_used": GAS,
        "transaction_digest": DIGEST,
        "gas_object_index": None,
        "events_digest": None,
        "dependencies": [OTHER, DIGEST],
        "lamport_version": 8,
        "changed_objects": [],
        "unchanged_consensus_objects": [],
        "aux_data_digest": None,
        **fields,
    }
    return effects.decode(bcs.encode(types.EFFECTS, {"V2": value}), base58.decode(DIGEST))


def change(before: Any, after: Any) -> Any:  # noqa: ANN401 - BCS
    """One object's change."""
    return {
        "objectId": ID,
        "input_state": before,
        "output_state": after,
        "id_operation": "none",
    }


def accumulated(kind: Any, operation: str, value: Any) -> Any:  # noqa: ANN401 - BCS
    """A write to an accumulator."""
    write = {"address": OWNER, "type": kind, "operation": operation, "value": value}
    return change("NotExist", {"AccumulatorWriteV1": write})


@pytest.mark.parametrize(
    ("error", "kind", "fields"),
    [
        ("InsufficientGas", "InsufficientGas", None),
        (
            {"MoveAbort": {"location": LOCATION, "code": 2**64 - 1}},
            "MoveAbort",
            {"location": LOCATION, "code": 2**64 - 1},
        ),
        (
            {"CommandArgumentError": {"argument": 3, "kind": "TypeMismatch"}},
            "CommandArgumentError",
            {"argument": 3, "kind": "TypeMismatch"},
        ),
        (
            {"ExecutionCancelledDueToSharedObjectCongestion": [ID]},
            "ExecutionCancelledDueToSharedObjectCongestion",
            {"congested_objects": [ID]},
        ),
    ],
)
@pytest.mark.parametrize("command", [None, 0, 300])
def test_failure_says_its_error_and_command(
    error: Any,  # noqa: ANN401 - BCS
    kind: str,
    fields: Any,  # noqa: ANN401 - JSON
    command: int | None,
) -> None:
    """An error's fields are read, so that the command after them is."""
    found = done(status={"Failure": {"error": error, "command": command}})
    status = found.status
    assert (status.success, status.kind, status.error) == (False, kind, fields)
    assert status.command == command
    assert found.epoch == 5


def test_error_that_is_newer_is_kept_unread() -> None:
    """What follows it is found by the transaction's digest; the error's bytes are kept."""
    error = {"Unknown99": {"some": 1, "more": "x"}}
    found = done(status={"Failure": {"error": error, "command": 4}})
    assert found.status.kind == "Unknown99"
    raw = "0x63" + (1).to_bytes(8, "little").hex() + "0178" + "01" + (4).to_bytes(8, "little").hex()
    assert found.status.error == {"bcs": raw}
    assert (found.epoch, found.gas.storage_cost) == (5, 2**64 - 1)


def test_address_balances_are_changed_by_accumulators() -> None:
    """Of balances, signed; other accumulators and other values are no money."""
    balance = type_tag("0x2", "balance", "Balance", USDC_TYPE)
    stream = type_tag("0x2", "accumulator_settlement", "EventStreamHead")
    found = done(
        changed_objects=[
            accumulated(balance, "Merge", {"Integer": 7}),
            accumulated(balance, "Split", {"Integer": 2**64 - 1}),
            accumulated(balance, "Merge", {"IntegerTuple": {"first": 1, "second": 2}}),
            accumulated(stream, "Merge", {"Integer": 9}),
            accumulated(stream, "Merge", {"EventDigest": [{"index": 1, "digest": OTHER}]}),
        ]
    )
    coin = sui_json.canonical(
        "0xdba34672e30cb065b1f93e3ab55318768fd6fef66c15942c9f7cb846e2f900e7::usdc::USDC"
    )
    assert found.accumulated == ((OWNER, coin, 7), (OWNER, coin, 1 - 2**64))


@pytest.mark.parametrize(
    "owner",
    [
        {"AddressOwner": OWNER},
        {"ObjectOwner": OWNER},
        {"Shared": {"initial_shared_version": 1}},
        "Immutable",
        {"ConsensusAddressOwner": {"start_version": 1, "owner": OWNER}},
    ],
)
def test_objects_of_any_owner_are_named_by_digest(owner: Any) -> None:  # noqa: ANN401 - BCS
    """Those taken and those written; the one after them is read right, too."""
    before = {"Exist": {"version": 1, "digest": OTHER, "owner": owner}}
    after = {"ObjectWrite": {"digest": DIGEST, "owner": owner}}
    found = done(changed_objects=[change(before, after), change(before, "NotExist")])
    assert [base58.encode(digest) for digest in found.took] == [OTHER, OTHER]
    assert [base58.encode(digest) for digest in found.wrote] == [DIGEST]


def test_packages_are_not_looked_for() -> None:
    """They hold no money; a node may leave them out of the objects."""
    package = {"PackageWrite": {"version": 2, "digest": DIGEST}}
    before = {"Exist": {"version": 1, "digest": OTHER, "owner": "Immutable"}}
    found = done(changed_objects=[change(before, package)])
    assert (found.took, found.wrote) == ([], [])


def sent(kind: Any, expiration: Any = "none", tail: bytes = b"") -> bytes:  # noqa: ANN401 - BCS
    """A transaction of a user."""
    value = {
        "kind": kind,
        "sender": OWNER,
        "gas_data": {"payment": [], "owner": ID, "price": 3, "budget": 4},
        "expiration": expiration,
    }
    return bcs.encode(types.TRANSACTION, {"V1": value}) + tail


def programmable(inputs: list[Any], commands: list[Any]) -> Any:  # noqa: ANN401 - BCS
    """A kind of transaction."""
    return {"ProgrammableTransaction": {"inputs": inputs, "commands": commands}}


REFERENCE = {"objectId": ID, "version": 1, "digest": DIGEST}
ANY_INPUTS: list[Any] = [
    {"Pure": b"abc"},
    {"Object": {"ImmOrOwnedObject": REFERENCE}},
    {"Object": {"SharedObject": {"objectId": ID, "initial_shared_version": 1, "mutability": 2}}},
    {"Object": {"Receiving": REFERENCE}},
    *(
        {
            "FundsWithdrawal": {
                "reservation": {"MaxAmountU64": 1},
                "type_arg": {"Balance": USDC_TYPE},
                "withdraw_from": source,
            }
        }
        for source in ("Sender", "Sponsor", {"SenderAllowance": {"funder": ID, "allowance": ID}})
    ),
]
ANY_ARGUMENTS = [
    "GasCoin",
    {"Input": 1},
    {"Result": 2},
    {"NestedResult": {"first": 1, "second": 2}},
]
CALL = {
    "package": "0x2",
    "module": "coin",
    "function": "split",
    "type_arguments": [USDC_TYPE, "u8"],
    "arguments": ANY_ARGUMENTS,
}
ANY_COMMANDS: list[Any] = [
    {"MoveCall": CALL},
    {"TransferObjects": {"objects": ANY_ARGUMENTS, "address": "GasCoin"}},
    {"SplitCoins": {"coin": "GasCoin", "amounts": ANY_ARGUMENTS}},
    {"MergeCoins": {"coin": "GasCoin", "coins": ANY_ARGUMENTS}},
    {"Publish": {"modules": [b"one", b""], "dependencies": [ID]}},
    {"MakeMoveVec": {"type": USDC_TYPE, "elements": ANY_ARGUMENTS}},
    {"MakeMoveVec": {"type": None, "elements": []}},
    {"Upgrade": {"modules": [b"x"], "dependencies": [], "package": ID, "ticket": {"Input": 1}}},
]
WINDOW = {
    "min_epoch": 1,
    "max_epoch": None,
    "min_timestamp": 2,
    "max_timestamp": None,
    "chain": DIGEST,
    "nonce": 1,
}
PROPOSERS = {"epoch": 1, "proposers": [1, 2]}


@pytest.mark.parametrize(
    "expiration",
    [
        "none",
        {"Epoch": 3},
        {"ValidDuring": WINDOW},
        {"Validity": {**WINDOW, "allowed_proposers": None}},
        {"Validity": {**WINDOW, "allowed_proposers": PROPOSERS}},
    ],
)
def test_every_form_of_input_command_and_expiration_is_read(expiration: Any) -> None:  # noqa: ANN401 - BCS
    """Sender and gas stand after all inputs and commands, so each must be read to its end."""
    found = transaction.decode(sent(programmable(ANY_INPUTS, ANY_COMMANDS), expiration))
    assert found == transaction.Transaction(
        kind="ProgrammableTransaction",
        sender=OWNER,
        gas_owner=ID,
        gas_price=3,
        gas_budget=4,
        command_count=len(ANY_COMMANDS),
        move_calls=[f"0x{2:064x}::coin::split"],
    )


def test_transaction_with_bytes_left_over_is_refused() -> None:
    """Whatever stands after it might have been meant to be read."""
    with pytest.raises(MalformedAnswer, match="after its value"):
        transaction.decode(sent(programmable([], []), tail=b"\x00"))


@pytest.mark.parametrize(
    "bad",
    [
        b"\x01",  # a version
        b"\x00\x00\x01\x03",  # an input
        b"\x00\x00\x01\x01\x03",  # an object
        b"\x00\x00\x01\x02\x01" + bytes(99),  # a reservation
        b"\x00\x00\x00\x01\x07",  # a command
        b"\x00\x00\x00\x01\x02\x04",  # an argument
        sent(programmable([], []))[:-1] + b"\x04",  # an expiration
        sent(programmable([], []))[:-1],  # nothing where the expiration should be
        b"\x00\x03" + bytes(200),  # a system kind that ends as no system transaction does
    ],
)
def test_forms_that_are_newer_are_refused(bad: bytes) -> None:
    """A transaction that cannot be read to its end is not guessed at."""
    with pytest.raises(MalformedAnswer):
        transaction.decode(bad)


def test_system_kind_that_is_newer_is_named_by_its_number() -> None:
    """Every system transaction ends alike, so nothing of it need be understood."""
    tail = transaction._SYSTEM_TAIL
    found = transaction.decode(b"\x00\x0c" + b"whatever" + tail)
    assert (found.kind, found.sender, found.gas_price) == ("Unknown12", f"0x{0:064x}", 1)
    assert transaction.decode(b"\x00\x02" + tail).kind == "Genesis"
    assert transaction.decode(b"\x00\x0a" + tail).kind == "ProgrammableSystemTransaction"


def contents_of(body: bytes) -> tuple[Any, Any]:
    """A message, and the value of its contents."""
    message = messages.Checkpoint.FromString(body)
    return message, sui.Parser(message.contents.bcs.value).value(types.CONTENTS)


def test_contents_of_version_2_list_the_same_transactions() -> None:
    """Each with its signatures beside it, with or without an alias."""
    message, contents = contents_of(sui.checkpoints(3)[2])
    first = wire.decode(message).contents
    signed = [
        {"signature": b"one", "alias": None},
        {"signature": b"two", "alias": 7},
    ]
    second = [
        {"digest": pair, "user_signatures": signed} for pair in contents["V1"]["transactions"]
    ]
    message.contents.bcs.value = bcs.encode(types.CONTENTS, {"V2": second})
    assert wire.decode(message).contents == first


def test_summary_at_the_end_of_an_epoch_is_read() -> None:
    """The next committee, protocol and commitments."""
    message = messages.Checkpoint.FromString(sui.checkpoints(3)[2])
    value = sui.Parser(message.summary.bcs.value).value(types.SUMMARY)
    value["end_of_epoch_data"] = {
        "next_epoch_committee": [{"public_key": b"\x01\x02", "stake": 10_000}],
        "next_epoch_protocol_version": 99,
        "epoch_commitments": [{"ECMHLiveObjectSetDigest": DIGEST}],
    }
    message.summary.bcs.value = bcs.encode(types.SUMMARY, value)
    assert wire.decode(message).summary.end_of_epoch == {
        "next_epoch_committee": [{"public_key": "0x0102", "stake": 10_000}],
        "next_epoch_protocol_version": 99,
        "epoch_commitments": [{"ECMHLiveObjectSetDigest": DIGEST}],
    }


@pytest.mark.parametrize(
    ("field", "value"), [("sequence_number", 7), ("digest", DIGEST), ("digest", "")]
)
def test_message_that_contradicts_its_bytes_is_refused(field: str, value: object) -> None:
    """Where a node says a field beside the BCS, both say the same."""
    message = messages.Checkpoint.FromString(sui.checkpoints(3)[2])
    setattr(message, field, value)
    with pytest.raises(MalformedAnswer, match=f"{field} is .* but its BCS says"):
        wire.decode(message)


@pytest.mark.parametrize("part", ["summary", "contents"])
def test_checkpoint_without_a_part_is_refused(part: str) -> None:
    """As a node answers whose read mask was not understood."""
    message = messages.Checkpoint.FromString(sui.checkpoints(3)[2])
    message.ClearField(part)
    with pytest.raises(MalformedAnswer, match=f"no BCS of the {part}"):
        wire.decode(message)


def test_transaction_that_cannot_be_read_is_named() -> None:
    """By its place and its digest."""
    message = messages.Checkpoint.FromString(sui.checkpoints(3)[2])
    message.transactions[1].effects.bcs.value = b"\x07"
    sent_digest = bcs.digest("TransactionData", message.transactions[1].transaction.bcs.value)
    with pytest.raises(
        MalformedAnswer, match=rf"transaction 1 \({sent_digest}\): effects of version 8"
    ):
        wire.decode(message)


def held(kind: Any, owner: Any, contents: bytes = bytes(40)) -> bytes:  # noqa: ANN401 - BCS
    """An object of version 5."""
    move = {"type": kind, "has_public_transfer": True, "version": 5, "contents": contents}
    value = {
        "data": {"Move": move},
        "owner": owner,
        "previous_transaction": DIGEST,
        "storage_rebate": 0,
    }
    return bcs.encode(types.OBJECT, value)


OTHER_TYPE = {"Other": type_tag("0x2", "clock", "Clock")["struct"]}


@pytest.mark.parametrize(
    ("kind", "owner"),
    [
        (OTHER_TYPE, {"AddressOwner": OWNER}),
        ("StakedSui", {"AddressOwner": OWNER}),
        ("SuiBalanceAccumulatorField", {"ObjectOwner": OWNER}),
        ({"BalanceAccumulatorField": USDC_TYPE}, {"ObjectOwner": OWNER}),
        ("GasCoin", {"Shared": {"initial_shared_version": 1}}),
        ({"Coin": USDC_TYPE}, "Immutable"),
    ],
)
def test_what_is_no_ones_coin_is_no_coin(kind: Any, owner: Any) -> None:  # noqa: ANN401 - BCS
    """Other objects, and coins that are shared or frozen; each is known by id and version."""
    assert objects.coin(held(kind, owner)) is None
    assert objects.key(held(kind, owner)) == (bytes(32), 5)


@pytest.mark.parametrize("owner", ["AddressOwner", "ObjectOwner"])
def test_coin_belongs_to_an_address_or_an_object(owner: str) -> None:
    """Its type is written in full, SUI's too."""
    coin = objects.coin(held("GasCoin", {owner: OWNER}, bytes(32) + b"\xff" * 8))
    assert coin == wire.Coin(OWNER, f"0x{2:064x}::sui::SUI", 2**64 - 1)


def test_coin_of_a_consensus_address_belongs_to_it() -> None:
    """Its owner takes more bytes than others, so its type does not end where theirs does."""
    owner = {"ConsensusAddressOwner": {"start_version": 1, "owner": OWNER}}
    coin = objects.coin(held({"Coin": USDC_TYPE}, owner, bytes(32) + b"\x07" + bytes(7)))
    assert coin == objects.coin(
        held({"Coin": USDC_TYPE}, {"AddressOwner": OWNER}, bytes(32) + b"\x07" + bytes(7))
    )
    assert coin is not None
    assert (coin.owner, coin.balance) == (OWNER, 7)


def test_coin_of_another_size_is_refused() -> None:
    """A coin is an id and a balance, nothing more."""
    with pytest.raises(MalformedAnswer, match="a coin of 40 bytes, got 41"):
        objects.coin(held("GasCoin", {"AddressOwner": OWNER}, bytes(41)))


def test_commitment_that_is_newer_is_refused() -> None:
    """How long it is cannot be told, so what stands after it cannot be read."""
    message = messages.Checkpoint.FromString(sui.checkpoints(3)[2])
    before = message.summary.bcs.value
    assert before.endswith(b"\x00\x00\x02\x00\x00")  # no commitments, no end, two bytes
    message.summary.bcs.value = before[:-5] + b"\x01\x02\x20" + bytes(32) + before[-4:]
    with pytest.raises(MalformedAnswer, match="a commitment of kind 2"):
        wire.decode(message)
