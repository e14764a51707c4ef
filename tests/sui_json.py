"""Replies of Sui's JSON-RPC, which is gone, turned into the values whose BCS the chain hashed."""

from __future__ import annotations

import base64
import re
from typing import Any

from chainflow.devnet import _sui_bcs as bcs
from chainflow.devnet import _sui_types as types
from chainflow.devnet._sui_scene import type_tag

Json = Any
Value = Any


def kind(text: str) -> Value:
    """The value of a type's text."""
    value, rest = _kind(text.replace(" ", ""))
    assert not rest
    return value


def _kind(text: str) -> tuple[Value, str]:
    plain = re.match(r"(bool|u8|u16|u32|u64|u128|u256|address|signer)(?![\w:])", text)
    if plain:
        return plain[0], text[plain.end() :]
    if text.startswith("vector<"):
        inner, rest = _kind(text[7:])
        return {"vector": inner}, rest[1:]
    named = re.match(r"(0x[0-9a-f]+)::(\w+)::(\w+)", text)
    assert named
    rest, parameters = text[named.end() :], []
    if rest.startswith("<"):
        while rest[0] != ">":
            parameter, rest = _kind(rest[1:])
            parameters.append(parameter)
        rest = rest[1:]
    return type_tag(named[1], named[2], named[3], *parameters), rest


def canonical(text: str) -> str:
    """A type's or an address' text with all 64 digits of each address."""
    return re.sub(r"0x([0-9a-f]{1,64})", lambda found: f"0x{found[1]:0>64}", text.replace(" ", ""))


def transaction(data: Json, expiration: Value) -> bytes:
    """The BCS of `transaction.data` of a reply, which does not say when it expires."""
    sent = data["transaction"]
    value = {
        "kind": {
            sent["kind"]: {
                "inputs": [_input(one) for one in sent["inputs"]],
                "commands": [_command(one) for one in sent["transactions"]],
            }
        },
        "sender": data["sender"],
        "gas_data": {
            "payment": data["gasData"]["payment"],
            "owner": data["gasData"]["owner"],
            "price": data["gasData"]["price"],
            "budget": data["gasData"]["budget"],
        },
        "expiration": expiration,
    }
    return bcs.encode(types.TRANSACTION, {"V1": value})


def _input(given: Json) -> Value:
    if given["type"] == "object":
        assert given["objectType"] == "immOrOwnedObject"
        return {"Object": {"ImmOrOwnedObject": given}}
    if given["valueType"] == "u64":
        return {"Pure": int(given["value"]).to_bytes(8, "little")}
    assert given["valueType"] == "address"
    return {"Pure": bytes.fromhex(given["value"][2:])}


def _argument(given: Json) -> Value:
    if isinstance(given, dict) and "NestedResult" in given:
        first, second = given["NestedResult"]
        return {"NestedResult": {"first": first, "second": second}}
    return given


def _command(given: Json) -> Value:
    ((name, parts),) = given.items()
    one, many = (parts[1], parts[0]) if name == "TransferObjects" else (parts[0], parts[1])
    fields = {
        "SplitCoins": ("coin", "amounts"),
        "MergeCoins": ("coin", "coins"),
        "TransferObjects": ("address", "objects"),
    }[name]
    return {name: {fields[0]: _argument(one), fields[1]: [_argument(part) for part in many]}}


def effects(given: Json) -> bytes:
    """The BCS of effects, as version 1 has them: the form the JSON speaks in."""
    value = {
        **given,
        "status": _status(given["status"]),
        "gasUsed": gas(given["gasUsed"]),
        "eventsDigest": given.get("eventsDigest"),
    }
    for name in ("sharedObjects", "created", "mutated", "unwrapped", "deleted"):
        value.setdefault(name, [])
    for name in ("unwrappedThenDeleted", "wrapped"):
        value.setdefault(name, [])
    return bcs.encode(types.EFFECTS, {"V1": value})


def gas(given: Json) -> dict[str, int]:
    """Four amounts."""
    names = {
        "computation_cost": "computationCost",
        "storage_cost": "storageCost",
        "storage_rebate": "storageRebate",
        "non_refundable_storage_fee": "nonRefundableStorageFee",
    }
    return {ours: int(given[theirs]) for ours, theirs in names.items()}


def _status(given: Json) -> Value:
    if given["status"] == "success":
        return "Success"
    error, command = given["error"].split(" in command ")
    place = {"InsufficientCoinBalance": "_7"}[error]
    return {"Failure": {"error": place, "command": int(command)}}


def events(given: Json) -> bytes:
    """The BCS of a transaction's events."""
    values = [
        {
            "package_id": one["packageId"],
            "module": one["transactionModule"],
            "sender": one["sender"],
            "type": kind(one["type"])["struct"],
            "contents": base64.b64decode(one["bcs"]),
        }
        for one in given
    ]
    return bcs.encode(types.EVENTS, values)


def summary(given: Json) -> bytes:
    """The BCS of a checkpoint's summary; the reply does not say the digest of its contents."""
    value = {
        "epoch": given["epoch"],
        "sequence_number": given["sequenceNumber"],
        "network_total_transactions": given["networkTotalTransactions"],
        "content_digest": given["digest"],
        "previous_digest": given["previousDigest"],
        "epoch_rolling_gas_cost_summary": gas(given["epochRollingGasCostSummary"]),
        "timestamp_ms": given["timestampMs"],
        "checkpoint_commitments": [],
        "end_of_epoch_data": None,
        "version_specific_data": b"",
    }
    return bcs.encode(types.SUMMARY, value)
