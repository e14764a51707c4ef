"""The rows that a Cosmos node's answers mean, worked out without our wire and our decoders.

Types are those that PostgreSQL gives back. The reading of protobuf is Google's own.
"""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

Json = Any
Row = dict[str, Any]
_HEX = (
    *("last_commit_hash", "data_hash", "validators_hash", "next_validators_hash"),
    *("consensus_hash", "app_hash", "last_results_hash", "evidence_hash", "proposer_address"),
)
_FIELDS: dict[str, dict[str, tuple[int, str]]] = {
    "Any": {"type_url": (1, "string"), "value": (2, "bytes")},
    "Coin": {"denom": (1, "string"), "amount": (2, "string")},
    "TxRaw": {"body": (1, "bytes"), "auth": (2, "bytes"), "signatures": (3, "*bytes")},
    "TxBody": {"messages": (1, "*Any"), "memo": (2, "string"), "timeout_height": (3, "uint64")},
    "AuthInfo": {"fee": (2, "Fee")},
    "Fee": {
        "amount": (1, "*Coin"),
        "gas_limit": (2, "uint64"),
        "payer": (3, "string"),
        "granter": (4, "string"),
    },
}


@cache
def _kind(name: str) -> type[message.Message]:
    """A message of cosmos.tx.v1beta1, with the fields that tables hold."""
    file = descriptor_pb2.FileDescriptorProto(name="truth.proto", package="truth", syntax="proto3")
    for kind, fields in _FIELDS.items():
        made = file.message_type.add(name=kind)
        for field, (number, declared) in fields.items():
            scalar = declared.lstrip("*")
            one = made.field.add(name=field, number=number, label=3 if "*" in declared else 1)
            if scalar in _FIELDS:
                one.type, one.type_name = 11, f".truth.{scalar}"
            else:
                one.type = {"string": 9, "bytes": 12, "uint64": 4}[scalar]
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    found: type[message.Message] = message_factory.GetMessageClass(
        pool.FindMessageTypeByName(f"truth.{name}")
    )
    return found


def rows(block: Json, results: Json, *, base64_events: bool) -> dict[str, list[Row]]:
    """Every row of every table, by dataset.

    Args:
        block: What `block` answered.
        results: What `block_results` answered.
        base64_events: Whether the results are of Tendermint 0.34.
    """
    header = block["block"]["header"]
    own = {
        "height": int(header["height"]),
        "block_hash": block["block_id"]["hash"].upper(),
        "block_timestamp": _time(header["time"]),
    }
    sent = [base64.b64decode(one) for one in block["block"]["data"]["txs"] or ()]
    events = _events(results, sent, base64_events=base64_events)
    return {
        "blocks": [own | _block(block, results, len(events))],
        "transactions": [
            own | _transaction(i, raw, result)
            for i, (raw, result) in enumerate(zip(sent, results["txs_results"] or (), strict=True))
        ],
        "events": [own | {k: v for k, v in one.items() if k != "pairs"} for one in events],
        "token_transfers": [own | moved for one in events for moved in _moved(one)],
    }


def _block(block: Json, results: Json, event_count: int) -> Row:
    header, id_ = block["block"]["header"], block["block_id"]
    below = header["last_block_id"]
    return {
        "parent_hash": below["hash"].upper(),
        "network": header["chain_id"],
        "header_time": header["time"],
        "block_version": Decimal(header["version"].get("block", 0)),
        "app_version": Decimal(header["version"].get("app", 0)),
        **{name: header[name].upper() for name in _HEX},
        "parts_hash": id_["parts"]["hash"].upper(),
        "parts_total": id_["parts"]["total"],
        "parent_parts_hash": below["parts"]["hash"].upper(),
        "parent_parts_total": below["parts"]["total"],
        "evidence": block["block"]["evidence"]["evidence"] or [],
        "validator_updates": results.get("validator_updates"),
        "consensus_param_updates": results.get("consensus_param_updates"),
        "results_app_hash": results.get("app_hash"),
        "transaction_count": len(block["block"]["data"]["txs"] or ()),
        "event_count": event_count,
        "extra": None,
    }


def _transaction(index: int, raw: bytes, result: Json) -> Row:
    return {
        "transaction_hash": hashlib.sha256(raw).hexdigest().upper(),
        "transaction_index": index,
        "code": result["code"],
        "codespace": _stored(result.get("codespace", "")),
        "gas_wanted": Decimal(result["gas_wanted"]),
        "gas_used": Decimal(result["gas_used"]),
        **_own(raw),
        "size": Decimal(len(raw)),
        "raw": base64.b64encode(raw).decode(),
        # Said again, as base64 has several texts for some bytes.
        "result_data": _coded(base64.b64decode(result["data"] or "")) or None,
        "result_info": _stored(result.get("info", "")),
        "raw_log": _stored(result["log"]) if result["code"] else None,
        "extra": None,
    }


def _own(raw: bytes) -> Row:
    names = ("gas_limit", "fee", "fee_payer", "fee_granter", "memo", "message_types")
    try:
        whole: Any = _kind("TxRaw").FromString(raw)
        body: Any = _kind("TxBody").FromString(whole.body)
        fee: Any = getattr(_kind("AuthInfo").FromString(whole.auth), "fee")  # noqa: B009 - untyped
    except message.DecodeError:
        return dict.fromkeys((*names, "timeout_height"))
    if not whole.body:
        return dict.fromkeys((*names, "timeout_height"))
    return {
        "gas_limit": Decimal(fee.gas_limit),
        "fee": [{"denom": coin.denom, "amount": coin.amount} for coin in fee.amount],
        "fee_payer": fee.payer or None,
        "fee_granter": fee.granter or None,
        "memo": body.memo.replace("\0", "\ufffd"),
        "message_types": [one.type_url for one in body.messages],
        "timeout_height": Decimal(body.timeout_height),
    }


def _events(results: Json, sent: list[bytes], *, base64_events: bool) -> list[Row]:
    """The block's events in the order they happened; `pairs` are keys and values."""
    finalize = results.get("finalize_block_events") or ()
    ends = [{"EndBlock"} & {v for k, v in _pairs(one) if k == "mode"} for one in finalize]
    order: list[tuple[str, Json, int | None]] = [
        *(("begin_block", one, None) for one in results.get("begin_block_events") or ()),
        *(("finalize_block", one, None) for i, one in enumerate(finalize) if not ends[i]),
        *(
            ("tx", one, place)
            for place, result in enumerate(results["txs_results"] or ())
            for one in result["events"] or ()
        ),
        *(("finalize_block", one, None) for i, one in enumerate(finalize) if ends[i]),
        *(("end_block", one, None) for one in results.get("end_block_events") or ()),
    ]
    found = []
    for index, (source, one, place) in enumerate(order):
        exact = [tuple(_bytes(text, base64_events) for text in pair) for pair in _pairs(one)]
        pairs = [tuple(None if raw is None else _shown(raw) for raw in pair) for pair in exact]
        lost = any("\ufffd" in (text or "") for pair in pairs for text in pair)
        coded = [{"key": _coded(key), "value": _coded(value)} for key, value in exact]
        found.append(
            {
                "transaction_hash": None
                if place is None
                else hashlib.sha256(sent[place]).hexdigest().upper(),
                "transaction_index": place,
                "event_index": index,
                "source": source,
                "event_type": _stored(one.get("type")),
                "attributes": [{"key": key, "value": value} for key, value in pairs],
                "extra": {"attributes_base64": coded} if lost else None,
                "pairs": pairs,
            }
        )
    return found


def _pairs(event: Json) -> list[tuple[str | None, str | None]]:
    return [(a.get("key"), a.get("value")) for a in event.get("attributes") or ()]


def _moved(event: Row) -> list[Row]:
    said = dict(event["pairs"])
    usual = ("recipient", "sender", "amount")
    once = all([key for key, _ in event["pairs"]].count(name) <= 1 for name in usual)
    if event["event_type"] != "transfer" or not said.get("recipient") or not once:
        return []
    coins = [
        re.fullmatch(r"(0|[1-9]\d{0,77})([A-Za-z][\w/:.-]{1,127})", text, re.ASCII)
        for text in (said.get("amount") or "").split(",")
    ]
    if not all(coins):
        return []
    return [
        {
            "transaction_hash": event["transaction_hash"],
            "transaction_index": event["transaction_index"],
            "log_index": event["event_index"],
            "transfer_index": place,
            "token_address": coin[2],
            "token_standard": "bank",
            "operator_address": None,
            "from_address": said.get("sender") or None,
            "to_address": said["recipient"],
            "token_id": None,
            "value": Decimal(coin[1]),
        }
        for place, coin in enumerate(coins)
        if coin
    ]


def _bytes(text: str | None, coded: bool) -> bytes | None:
    if text is None:
        return None
    return base64.b64decode(text, validate=True) if coded else text.encode()


def _shown(raw: bytes) -> str:
    return raw.decode(errors="replace").replace("\0", "\ufffd")


def _coded(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw).decode()


def _stored(text: str | None) -> str | None:
    return None if text is None else text.replace("\0", "\ufffd")


def _time(text: str) -> datetime:
    """To the millisecond, cut."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    when = datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    return when.replace(microsecond=int(fraction.ljust(9, "0")[:3]) * 1000)
