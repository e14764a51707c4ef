"""Recorded blocks go in as their node gave them and come back out of the tables, field by field.

What a node said is put together again from rows alone, without the decoder. Three things count as
said when they are not, as they mean the same: an absent field and null; an absent empty list of
uncles or withdrawals; a fact that an object may repeat (a receipt its transaction's type, a log its
block's time, or that it is not removed). A receipt's bloom has no column: it must be what its logs
give, or all zero as zkSync has it, which computes none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from eth_utils.conversions import to_bytes
from eth_utils.crypto import keccak
from sqlalchemy.engine import Engine

from chainflow import datasets
from chainflow.store import batch, database, tables
from chainflow.types import BlockRange, Chain, Dataset
from tests import evm, small

Row = dict[str, Any]
Tables = dict[str, list[Row]]

RECORDINGS = evm.recordings()
ODD = evm.odd_blocks()
NAMES = ("blocks", "transactions", "logs", "token_transfers", "withdrawals")
DATASETS = datasets.get("evm", NAMES)
ORIGINAL = {
    "block_number": "blockNumber",
    "transaction_type": "type",
    "from_address": "from",
    "to_address": "to",
    "withdrawal_index": "index",
}
REPEATED = {"blockTimestamp", "removed"}
REPEATED_IN_RECEIPTS = {"from", "to", "type"}
WORDS = {"r", "s"}
NO_BLOOM = f"0x{0:0512x}"


def original(name: str) -> str:
    """The node's name of a column."""
    first, *rest = name.removeprefix("receipt_").split("_")
    return ORIGINAL.get(name, first + "".join(word.capitalize() for word in rest))


def said(row: Row, *names: str) -> Row:
    """The node's object of those columns, without what is NULL."""
    return {original(name): row[name] for name in names if row[name] is not None}


def equal(given: object, stored: object, name: str) -> bool:
    """Whether a column holds what the node said: numbers and words by value, hex without case."""
    if isinstance(stored, bool) or not isinstance(stored, int | Decimal | datetime | str):
        return given == stored
    if not isinstance(given, str):
        return False
    if isinstance(stored, datetime):
        return int(given, 16) == stored.timestamp()
    if isinstance(stored, int | Decimal):
        return int(given, 16) == stored
    return int(given, 16) == int(stored, 16) if name in WORDS else given.lower() == stored


def assert_same(
    given: Mapping[str, Any], rebuilt: Mapping[str, Any], where: str, repeated: set[str] = REPEATED
) -> None:
    """Hold every field the node gave against the rebuilt object, and nothing more to be in it."""
    expected = {name: value for name, value in given.items() if value is not None}
    wrong = {
        name: (value, rebuilt.get(name))
        for name, value in expected.items()
        if not equal(value, rebuilt.get(name), name)
    }
    assert not wrong, where
    held = {name for name, value in rebuilt.items() if value is not None}
    assert held - expected.keys() <= repeated, where


def rebuilt_block(found: Tables) -> Row:
    """The node's block of one height, without its transactions."""
    (row,) = found["blocks"]
    own = {"number": row["block_number"], "hash": row["block_hash"]}
    keys = {"block_number", "block_hash", "block_timestamp", "transaction_count", "extra", "chain"}
    assert row["transaction_count"] == len(found["transactions"])
    return {
        **own,
        "timestamp": row["block_timestamp"],
        **said(row, *(row.keys() - keys)),
        **(row["extra"] or {}),
    }


def rebuilt_transaction(row: Row) -> Row:
    """The node's transaction of a row."""
    names = [name for name in row if not name.startswith("receipt_")]
    own = said(row, *(set(names) - {"transaction_hash", "extra", "chain"}))
    return {**own, "hash": row["transaction_hash"], **(row["extra"] or {}).get("transaction", {})}


def rebuilt_receipt(row: Row) -> Row:
    """The node's receipt of a row, without its logs."""
    place = (
        *("block_number", "block_hash", "transaction_hash", "transaction_index"),
        *("transaction_type", "from_address", "to_address"),
    )
    own = said(row, *place, *(name for name in row if name.startswith("receipt_")))
    return {**own, **(row["extra"] or {}).get("receipt", {})}


def rebuilt_log(row: Row) -> Row:
    """The node's log of a row."""
    topics = [f"topic{i}" for i in range(4)]
    own = said(row, *(row.keys() - {*topics, "extra", "chain"}))
    return {
        **own,
        "topics": [row[topic] for topic in topics if row[topic] is not None],
        "removed": False,
        **(row["extra"] or {}),
    }


def bloom(logs: list[Row]) -> str:
    """The bloom of some logs, as the yellow paper has it (section 4.4.1)."""
    bits = 0
    for entry in (item for log in logs for item in (log["address"], *log["topics"])):
        digest = keccak(to_bytes(hexstr=entry))
        for place in (0, 2, 4):
            bits |= 1 << (int.from_bytes(digest[place : place + 2], "big") & 2047)
    return f"0x{bits:0512x}"


def assert_as_recorded(recorded: evm.Recorded, found: Tables) -> None:
    """Hold every field of a recording against what its rows say."""
    given = dict(recorded.block)
    transactions = given.pop("transactions")
    withdrawals = given.pop("withdrawals", None) or []
    assert_same(given, rebuilt_block(found), "block", {"uncles"})
    assert len(found["transactions"]) == len(transactions)
    for sent, row in zip(transactions, found["transactions"], strict=True):
        assert_same(sent, rebuilt_transaction(row), f"transaction {row['transaction_index']}")
    for paid, row in zip(withdrawals, found["withdrawals"], strict=True):
        own = said(row, "withdrawal_index", "validator_index", "address", "amount")
        assert_same(paid, own | (row["extra"] or {}), f"withdrawal {row['withdrawal_index']}")
    assert_receipts_as_recorded(recorded.receipts or [], found)


def assert_receipts_as_recorded(receipts: list[Row], found: Tables) -> None:
    """Hold every field of the receipts and logs of a recording against what its rows say."""
    rows = [row for row in found["transactions"] if row["receipt_cumulative_gas_used"] is not None]
    logs = iter(found["logs"])
    for receipt, row in zip(receipts, rows, strict=True):
        given = dict(receipt)
        emitted = given.pop("logs")
        assert given.pop("logsBloom", NO_BLOOM) in (bloom(emitted), NO_BLOOM)
        where = f"receipt {row['transaction_index']}"
        assert_same(given, rebuilt_receipt(row), where, REPEATED_IN_RECEIPTS)
        for log in emitted:
            assert_same(log, rebuilt_log(next(logs)), f"log of {where}")
    assert next(logs, None) is None


def arrow_rows(dataset: Dataset, table: pa.Table) -> list[Row]:
    """Rows of a decoded table, in the types PostgreSQL gives back."""
    read: dict[str, Callable[[str], Any]] = {"numeric": Decimal, "jsonb": json.loads}
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


@pytest.mark.parametrize("recorded", RECORDINGS, ids=str)
def test_decoded_tables_hold_every_field_of_a_recorded_block(recorded: evm.Recorded) -> None:
    """What the node said can be put together again from the Arrow tables."""
    block = recorded.raw()
    assert_as_recorded(recorded, {d.name: arrow_rows(d, d.decode([block])) for d in DATASETS})


@pytest.mark.parametrize("case", ODD)
def test_decoded_tables_hold_every_field_of_an_odd_block(case: str) -> None:
    """What is odd about a chain costs none of its fields."""
    odd = ODD[case]
    assert_as_recorded(odd, {d.name: arrow_rows(d, d.decode([odd.raw()])) for d in DATASETS})


@pytest.mark.parametrize("case", ODD)
def test_stored_tables_hold_every_field_of_an_odd_block(engine: Engine, case: str) -> None:
    """What is odd about a chain comes back from PostgreSQL as well."""
    store_and_compare(engine, [ODD[case]])


@pytest.mark.parametrize("chain", sorted({one.chain for one in RECORDINGS}))
def test_stored_tables_hold_every_field_of_every_recorded_block(engine: Engine, chain: str) -> None:
    """Staged, checked, merged and read back from PostgreSQL, a block is the one recorded."""
    store_and_compare(engine, [one for one in RECORDINGS if one.chain == chain])


def store_and_compare(engine: Engine, recordings: list[evm.Recorded]) -> None:
    """Put blocks of a chain through the store, each its own batch, and compare with the node's."""
    entry = Chain(recordings[0].chain.replace("-", "_"), "evm", None, 5.0, datasets=NAMES)
    tables.ensure(engine, entry, DATASETS)
    for one in recordings:
        block = one.raw()
        blocks = BlockRange(block.height, block.height + 1)
        decoded = {d.name: d.decode([block]) for d in DATASETS}
        small.merge_slice(engine, batch.Slice(entry, blocks, DATASETS, decoded, block.size))
    for one in recordings:
        height = int(one.block["number"], 16)
        found = {d.name: stored_rows(engine, entry.name, d, height) for d in DATASETS}
        assert_as_recorded(one, found)


def leaves(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path to every text in a node's answer."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(part, (*path, key))


def test_comparison_notices_every_field() -> None:
    """A recording that differs from its rows in any one value is not found equal to them."""
    recorded = evm.recorded("zksync", 35533)
    found = {d.name: arrow_rows(d, d.decode([recorded.raw()])) for d in DATASETS}
    answer = {"block": recorded.block, "receipts": recorded.receipts}
    for *path, last in leaves(answer):
        holder: Any = answer
        for key in path:
            holder = holder[key]
        original_text = holder[last]
        holder[last] = original_text + "1"
        with pytest.raises((AssertionError, StopIteration)):
            assert_as_recorded(recorded, found)
        holder[last] = original_text
    assert_as_recorded(recorded, found)
