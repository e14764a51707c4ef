"""Recorded blocks go in as their node gave them and come back out of the tables, row for row.

What each row must hold is worked out by tests/cosmos_truth.py, which shares no code with the
decoder. Not kept, and so not compared: the signatures under the block below (`last_commit`), a
success's log, and whether the node indexes an attribute; docs/decisions/0092 says why.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from chainflow import datasets
from chainflow.clients import _cosmos_span as spans
from chainflow.store import batch, database, tables
from chainflow.types import BlockRange, Chain, Dataset
from tests import cosmos_truth, small
from tests.cosmos import ALL, Recorded, halves, read, recordings, singles

Row = dict[str, Any]
RECORDINGS = [*recordings(), *halves(), *singles()]
DATASETS = datasets.get("cosmos", ALL)


def truth(recorded: Recorded) -> dict[str, list[Row]]:
    """What the tables must hold of a recording."""
    return cosmos_truth.rows(recorded.block, recorded.results, base64_events=recorded.base64_events)


def arrow_rows(dataset: Dataset, table: pa.Table) -> list[Row]:
    """Rows of a decoded table, in the types PostgreSQL gives back."""
    read: dict[str, Callable[[str], Any]] = {"numeric": Decimal, "jsonb": json.loads}
    readers = {c.name: read[c.type] for c in dataset.columns if c.type in read}
    return [
        {n: readers[n](v) if n in readers and v is not None else v for n, v in row.items()}
        for row in table.to_pylist()
    ]


def test_there_are_recordings_of_every_dialect() -> None:
    """Tendermint 0.34 and CometBFT 0.38, of many chains and two test applications."""
    assert len(RECORDINGS) == 40
    assert len({one.chain for one in RECORDINGS}) == 13
    assert sum(not one.base64_events for one in RECORDINGS) == 13
    moved = [len(truth(one)["token_transfers"]) for one in RECORDINGS]
    assert sum(moved) > 80


@pytest.mark.parametrize("recorded", RECORDINGS, ids=str)
def test_decoded_tables_hold_a_recorded_block(recorded: Recorded) -> None:
    """Every column of every row."""
    block, expected = recorded.raw(), truth(recorded)
    for dataset in DATASETS:
        assert arrow_rows(dataset, dataset.decode([block])) == expected[dataset.name], dataset.name


@pytest.mark.parametrize("recorded", recordings(), ids=str)
def test_the_client_takes_a_recorded_block(recorded: Recorded) -> None:
    """Every proof holds for what real chains made, and the envelope is that of the tests."""
    blocks = BlockRange(recorded.height, recorded.height + 1)
    network = recorded.block["block"]["header"]["chain_id"]
    span = spans.Span(blocks, None, network, results=True, verify="roots")
    for name, answer in (("block", recorded.block), ("block_results", recorded.results)):
        span.kept[name, recorded.height] = msgspec.Raw(json.dumps(answer).encode())
    assert spans._whole(span, recorded.height) == recorded.raw()


@pytest.mark.parametrize("where", ["kvstore-v0_34", "kvstore-v0_38"])
def test_a_recorded_broadcast_makes_the_rows_of_the_same_transaction_found(where: str) -> None:
    """What a node told who sent a transaction, in the block in which a search finds it."""
    said = read(f"{where}/broadcast_tx_commit.json")
    told = said["tx_result" if where == "kvstore-v0_38" else "deliver_tx"]
    (found,) = [one for one in singles() if (one.chain, one.height) == (where, int(said["height"]))]
    block = replace(found, results={**found.results, "txs_results": [told]}).raw()
    for dataset in DATASETS:
        assert arrow_rows(dataset, dataset.decode([block])) == truth(found)[dataset.name]
    (transactions,) = datasets.get("cosmos", ["transactions"])
    assert transactions.decode([block])["transaction_hash"].to_pylist() == [said["hash"]]


def test_stored_tables_hold_every_recorded_block(engine: Engine) -> None:
    """Staged, checked, merged and read back from PostgreSQL, a block is the one recorded."""
    for where in sorted({one.chain for one in RECORDINGS}):
        name = where.replace("-", "_").replace(".", "_")
        entry = Chain(name, "cosmos", None, 5.0, datasets=ALL)
        tables.ensure(engine, entry, DATASETS)
        for one in (one for one in RECORDINGS if one.chain == where):
            block = one.raw()
            blocks = BlockRange(block.height, block.height + 1)
            decoded = {d.name: d.decode([block]) for d in DATASETS}
            small.merge_slice(engine, batch.Slice(entry, blocks, DATASETS, decoded, block.size))
            expected = truth(one)
            for dataset in DATASETS:
                found = stored_rows(engine, name, dataset, block.height)
                assert found == expected[dataset.name], (str(one), dataset.name)


def stored_rows(engine: Engine, chain: str, dataset: Dataset, height: int) -> list[Row]:
    """Rows of one height, read back from PostgreSQL in the order of their key."""
    target = database.quoted(chain, dataset.name)
    columns = ", ".join(database.quoted(column.name) for column in dataset.columns)
    query = (
        f"SELECT {columns} FROM {target} WHERE height = {height} ORDER BY {', '.join(dataset.key)}"
    )
    with database.begin(engine) as connection:
        return [dict(row._mapping) for row in connection.execute(sa.text(query))]


def test_comparison_notices_every_value() -> None:
    """A recording that differs from its rows in any one text is not found equal to them."""
    (recorded,) = [one for one in RECORDINGS if str(one) == "testnet-croeseid-5-67461"]
    block = recorded.raw()
    found = {d.name: arrow_rows(d, d.decode([block])) for d in DATASETS}
    assert found == truth(recorded)
    header = recorded.block["block"]["header"]
    result = recorded.results["txs_results"][0]
    for holder, key in (
        *((header, name) for name in header if isinstance(header[name], str) and name != "time"),
        *((result, name) for name in ("data", "gas_used", "gas_wanted", "codespace")),
        *((a, "value") for e in result["events"] for a in e["attributes"] if a["value"]),
    ):
        kept = holder[key]
        holder[key] = "QUJD" + kept if key in ("data", "value") else kept + "1"
        assert found != truth(recorded), key
        holder[key] = kept
