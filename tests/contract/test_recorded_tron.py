"""Tron blocks go in as a full node gave them and come back out of the tables, field by field.

What the node said is put together again from rows alone, without the decoder. A few things count as
said when they are not, as they mean the same: an absent field and one that has its default; an
absent type URL and that of the contract's type; an absent `ret` and one of empty results; a made
contract's address beside its transaction and in its info. `raw_data_hex` is kept nowhere: it is
`raw_data` in another form, which the client proves.
"""

from __future__ import annotations

import json
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from chainflow import datasets
from chainflow.clients import _tron_proof as proof
from chainflow.store import batch, database, tables
from chainflow.types import BlockRange, Chain, Dataset
from chainflow.wire import tron as wire
from tests import small, tron

Row = dict[str, Any]
Tables = dict[str, list[Row]]

NAMES = ("blocks", "transactions", "logs", "token_transfers", "internal_transactions")
DATASETS = datasets.get("tron", NAMES)
CASES = {"recorded": tron.recordings(), **tron.odd_blocks()}
DIGITS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

# By kind of contract, the parameter that is `to_address`, and those that are amounts.
RECEIVERS = {
    "TransferContract": "to_address",
    "TransferAssetContract": "to_address",
    "ParticipateAssetIssueContract": "to_address",
    "TriggerSmartContract": "contract_address",
    "DelegateResourceContract": "receiver_address",
}
AMOUNTS = {
    "TransferContract": ("amount", "", ""),
    "ParticipateAssetIssueContract": ("amount", "asset_name", ""),
    "TransferAssetContract": ("", "asset_name", "amount"),
    "TriggerSmartContract": ("call_value", "token_id", "call_token_value"),
}
RAW = {"fee_limit": "fee_limit", "ref_block_bytes": "ref_block_bytes"}
RAW |= {"ref_block_hash": "ref_block_hash", "expiration_ms": "expiration"}
RAW |= {"timestamp_ms": "timestamp", "memo_hex": "data"}
INFO = {"contract_address": "contract_address", "total_fee": "fee", "info_result": "result"}
INFO |= {"message_hex": "resMessage", "withdraw_amount": "withdraw_amount"}
INFO |= {"unfreeze_amount": "unfreeze_amount", "withdraw_expire_amount": "withdraw_expire_amount"}
RECEIPT = (
    *("energy_usage", "energy_fee", "origin_energy_usage", "energy_usage_total"),
    *("energy_penalty_total", "net_usage", "net_fee"),
)
HEADER = {"parent_hash": "parentHash", "transactions_root": "txTrieRoot"}
HEADER |= {"witness_id": "witness_id", "block_version": "version"}
HEADER |= {"account_state_root": "accountStateRoot"}


def unspelled(address: str | None) -> str | None:
    """The hex of an address in base58, its checksum checked; other text as it is."""
    if address is None or not address.startswith("T"):
        return address
    number: int = sum(DIGITS.index(d) * 58**i for i, d in enumerate(reversed(address)))
    raw: bytes = number.to_bytes(25, "big")
    assert sha256(sha256(raw[:21]).digest()).digest()[:4] == raw[21:]
    return raw[:21].hex()


def hexed(text: str | None) -> str | None:
    """The hex of bytes that a column spells out where they can be."""
    if text is None or text.startswith("0x"):
        return text and text.removeprefix("0x")
    return text.encode().hex()


def plain(value: Any) -> Any:  # noqa: ANN401 - a column's value
    """A number as JSON has it."""
    return int(value) if isinstance(value, Decimal) else value


def said(row: Row, names: dict[str, str]) -> Row:
    """The node's fields of those columns."""
    return {theirs: plain(row[ours]) for ours, theirs in names.items()}


def lean(value: Any) -> Any:  # noqa: ANN401 - JSON
    """JSON without what protobuf leaves out: fields that have their default."""
    if isinstance(value, dict):
        given = {name: lean(part) for name, part in value.items()}
        return {name: part for name, part in given.items() if part not in (None, 0, "", [], {})}
    return [lean(part) for part in value] if isinstance(value, list) else value


def merged(*parts: Row | None) -> Row:
    """Objects in one; what two of them hold is an object in both."""
    whole: Row = {}
    for part in parts:
        for name, value in (part or {}).items():
            deep = isinstance(value, dict) and isinstance(whole.get(name), dict)
            whole[name] = merged(whole[name], value) if deep else value
    return whole


def rebuilt_block(found: Tables) -> Row:
    """The node's block of one height."""
    (row,) = found["blocks"]
    assert row["transaction_count"] == len(found["transactions"])
    raw = {
        **said(row, HEADER),
        "number": row["block_number"],
        "timestamp": round(row["block_timestamp"].timestamp() * 1000),
        "witness_address": unspelled(row["witness_address"]),
    }
    own = {
        "blockID": row["block_hash"],
        "block_header": {"raw_data": raw, "witness_signature": row["witness_signature"]},
    }
    return {
        **merged(own, row["extra"]),
        "transactions": [rebuilt_transaction(one) for one in found["transactions"]],
    }


def rebuilt_value(row: Row) -> Row:
    """The parameters of a contract."""
    kind = row["contract_type"]
    sun, asset, units = AMOUNTS.get(kind, ("", "", ""))
    value = {
        "owner_address": unspelled(row["from_address"]),
        RECEIVERS.get(kind, ""): unspelled(row["to_address"]),
        "data": row["input"],
        sun: plain(row["value"]),
        units: plain(row["asset_value"]),
    }
    if asset == "token_id":
        value[asset] = row["asset_id"] and int(row["asset_id"])
    else:
        value[asset] = hexed(row["asset_id"])
    if kind == "CreateSmartContract":
        value["new_contract"] = {"call_value": plain(row["value"])}
    assert value.pop("", None) is None
    return merged(value, row["contract_parameter"])


def rebuilt_transaction(row: Row) -> Row:
    """The node's transaction of a row."""
    extra = row["extra"] or {}
    contract = {
        "type": row["contract_type"],
        "Permission_id": row["permission_id"],
        "parameter": {
            "type_url": f"type.googleapis.com/protocol.{row['contract_type']}",
            "value": rebuilt_value(row),
            **extra.get("parameter", {}),
        },
        **extra.get("contract", {}),
    }
    return {
        "txID": row["transaction_hash"],
        "signature": row["signatures"],
        "ret": extra.get("ret", [{"contractRet": row["result"]}]),
        "raw_data": {"contract": [contract], **said(row, RAW), **extra.get("raw_data", {})},
        **extra.get("transaction", {}),
    }


def rebuilt_info(row: Row, found: Tables) -> Row:
    """The node's info of a row, with its logs and internal transactions."""
    extra, place = row["extra"] or {}, row["transaction_index"]
    receipt = {name: plain(row[name]) for name in RECEIPT} | {"result": row["receipt_result"]}
    return {
        **said(row, INFO),
        "id": row["transaction_hash"],
        "blockNumber": row["block_number"],
        "blockTimeStamp": round(row["block_timestamp"].timestamp() * 1000),
        "contract_address": unspelled(row["contract_address"]),
        "contractResult": [] if row["contract_result"] is None else [row["contract_result"]],
        "receipt": receipt | extra.get("receipt", {}),
        "log": [rebuilt_log(one) for one in found["logs"] if one["transaction_index"] == place],
        "internal_transactions": [
            rebuilt_internal(one)
            for one in found["internal_transactions"]
            if one["transaction_index"] == place
        ],
        **extra.get("info", {}),
    }


def rebuilt_log(row: Row) -> Row:
    """The node's log of a row."""
    topics = [row[f"topic{i}"] for i in range(4) if row[f"topic{i}"] is not None]
    address = unspelled(row["address"])
    assert address is not None
    return {
        "address": address.removeprefix("41"),
        "topics": topics,
        "data": row["data"],
        **(row["extra"] or {}),
    }


def rebuilt_internal(row: Row) -> Row:
    """The node's internal transaction of a row."""
    moved = [{"callValue": plain(row["value"])}] if row["value"] is not None else []
    return {
        "hash": row["internal_transaction_hash"],
        "caller_address": unspelled(row["from_address"]),
        "transferTo_address": unspelled(row["to_address"]),
        "callValueInfo": moved + (row["token_values"] or []),
        "note": hexed(row["note"]),
        "rejected": row["rejected"],
        **(row["extra"] or {}),
    }


def given_block(recorded: tron.Recorded) -> Row:
    """What a node said of a block, without what the tables hold in another form."""
    block: Row = json.loads(json.dumps(recorded.block))
    for tx, info in zip(block.get("transactions", []), recorded.infos or [{}] * 9, strict=False):
        del tx["raw_data_hex"]
        if not any(tx.get("ret", ())):
            tx["ret"] = [{"contractRet": None}]
        if tx.get("contract_address") == info.get("contract_address"):
            tx.pop("contract_address", None)
    return block


def assert_as_recorded(recorded: tron.Recorded, found: Tables) -> None:
    """Hold every field of a recording against what its rows say, and nothing more to be there."""
    assert lean(rebuilt_block(found)) == lean(given_block(recorded))
    sent = found["transactions"] if recorded.infos else []
    assert [lean(rebuilt_info(row, found)) for row in sent] == lean(recorded.infos)
    assert [row["log_index"] for row in found["logs"]] == list(range(len(found["logs"])))


def decoded(recorded: tron.Recorded) -> Tables:
    """The rows of a recording, as the client would have handed it over."""
    block = recorded.raw()
    proof.check_block(wire.decode_block(json.dumps(recorded.block).encode()), block.height)
    return {d.name: arrow_rows(d, d.decode([block])) for d in DATASETS}


def arrow_rows(dataset: Dataset, table: pa.Table) -> list[Row]:
    """Rows of a decoded table, in the types PostgreSQL gives back."""
    read: dict[str, Any] = {"numeric": Decimal, "jsonb": json.loads}
    readers = {c.name: read[c.type] for c in dataset.columns if c.type in read}
    return [
        {n: readers[n](v) if n in readers and v is not None else v for n, v in row.items()}
        for row in table.to_pylist()
    ]


def stored_rows(engine: Engine, chain: str, dataset: Dataset, height: int) -> list[Row]:
    """Rows of one height, read back from PostgreSQL in the order of their key."""
    target = database.quoted(chain, dataset.name)
    query = (
        f"SELECT * FROM {target} WHERE block_number = {height} ORDER BY {', '.join(dataset.key)}"
    )
    with database.begin(engine) as connection:
        return [dict(row._mapping) for row in connection.execute(sa.text(query))]


@pytest.mark.parametrize("case", CASES)
def test_decoded_tables_hold_every_field_of_a_tron_block(case: str) -> None:
    """What the node said can be put together again from the Arrow tables."""
    assert_as_recorded(CASES[case], decoded(CASES[case]))


def test_stored_tables_hold_every_field_of_every_tron_block(engine: Engine) -> None:
    """Staged, checked, merged and read back from PostgreSQL, a block is the one the node gave."""
    entry = Chain("tron", "tron", None, 20.0, datasets=NAMES)
    tables.ensure(engine, entry, DATASETS)
    for recorded in CASES.values():
        block = recorded.raw()
        blocks = BlockRange(block.height, block.height + 1)
        rows = {d.name: d.decode([block]) for d in DATASETS}
        small.merge_slice(engine, batch.Slice(entry, blocks, DATASETS, rows, block.size))
        found = {d.name: stored_rows(engine, entry.name, d, block.height) for d in DATASETS}
        assert_as_recorded(recorded, found)


def leaves(value: object, path: tuple[str | int, ...] = ()) -> Any:  # noqa: ANN401 - paths
    """The path to every text and number in a node's answer."""
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(part, (*path, key))
    elif isinstance(value, str | int):
        yield path


@pytest.mark.parametrize("case", ["internal-transactions", "assets", "created", "failed"])
def test_comparison_notices_every_field_of_a_tron_block(case: str) -> None:
    """A recording that differs from its rows in any one value is not found equal to them."""
    recorded = CASES[case]
    found = decoded(recorded)
    answer = {"block": json.loads(json.dumps(recorded.block)), "infos": recorded.infos}
    answer["infos"] = json.loads(json.dumps(recorded.infos))
    for *path, last in leaves(answer):
        holder: Any = answer
        for key in path:
            holder = holder[key]
        original = holder[last]
        if last in ("raw_data_hex", "visible") or (path[-1] == "transactions" and "add" in last):
            continue
        holder[last] = original + ("1" if isinstance(original, str) else 1)
        with pytest.raises(AssertionError):
            assert_as_recorded(tron.Recorded(answer["block"], answer["infos"]), found)
        holder[last] = original
    assert_as_recorded(tron.Recorded(answer["block"], answer["infos"]), found)


def test_genesis_block_has_the_id_that_is_known() -> None:
    """Our own encoding of header, root and transactions gives the main network's first block."""
    assert tron.genesis()["blockID"] == tron.GENESIS_ID


@pytest.mark.parametrize("name", ["coin_transfer", "token_transfer", "freeze", "stake"])
def test_encoding_of_the_tests_is_that_of_recorded_transactions(name: str) -> None:
    """A recorded transaction's id is the hash of its message."""
    tx = tron.recorded(f"transaction_{name}")
    assert sha256(bytes.fromhex(tx["raw_data_hex"])).hexdigest() == tx["txID"]
