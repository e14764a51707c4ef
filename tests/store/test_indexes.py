"""Indexes that a chain's entry asks for: when they are made, and what uses them."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from chainflow import datasets, lookup
from chainflow.store import database, indexes, tables
from chainflow.types import Chain, Dataset
from tests import small

EVERY = replace(small.CHAIN, indexes=("hash", "address", "time"))
HASHES = {"blocks_by_block_hash", "transactions_by_transaction_hash", "logs_by_transaction_hash"}


def names(engine: Engine, schema: str = "tinychain") -> set[str]:
    """The valid indexes of a schema that are no key's."""
    query = (
        "SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid"
        f" WHERE i.relnamespace = '{schema}'::regnamespace AND NOT x.indisprimary AND x.indisvalid"
    )
    return set(small.ask(engine, query))


def plan(engine: Engine, query: str) -> str:
    """How PostgreSQL answers a query on a table so small that it would rather read it whole."""
    with database.begin(engine) as connection:
        connection.execute(sa.text("SET LOCAL enable_seqscan TO off; SET LOCAL enable_sort TO off"))
        return "\n".join(row[0] for row in connection.execute(sa.text(f"EXPLAIN {query}")))


def _every(family: str) -> tuple[Chain, tuple[Dataset, ...]]:
    found = lookup.names(f"datasets.{family}")
    chain = Chain("somewhere", family, 1, 1.0, datasets=found, indexes=EVERY.indexes)
    return chain, datasets.get(family, found)


def test_no_index_is_made_that_was_not_asked_for(engine: Engine) -> None:
    """Without the registry's word there is the key alone."""
    tables.ensure(engine, small.CHAIN, small.ALL)
    assert names(engine) == set()


def test_new_tables_have_the_indexes_asked_for(engine: Engine) -> None:
    """They are there before the first row; on the chain's own tables, not on the family's."""
    tables.ensure(engine, EVERY, small.ALL)
    assert names(engine) == HASHES | {"blocks_by_block_timestamp"}
    assert names(engine, "tiny") == set()
    tables.ensure(engine, replace(small.CHAIN, name="second"), small.ALL)
    assert names(engine, "second") == set()


def test_tables_with_rows_get_them_when_told(engine: Engine) -> None:
    """A merge makes none; `add` does, once, and leaves what is no longer asked for."""
    small.merge(engine, 0, 9)
    hashes = replace(EVERY, indexes=("hash",))
    tables.ensure(engine, hashes, small.ALL)
    assert names(engine) == set()
    made = indexes.add(engine, hashes, small.ALL)
    assert {name.partition(".")[2] for name in made} == names(engine) == HASHES
    assert indexes.add(engine, hashes, small.ALL) == []
    assert indexes.add(engine, replace(EVERY, indexes=("time",)), small.ALL) == [
        "tinychain.blocks_by_block_timestamp"
    ]
    assert names(engine) == HASHES | {"blocks_by_block_timestamp"}


def test_add_leaves_tables_that_are_not_there(engine: Engine) -> None:
    """A chain that never ran has nothing to be indexed."""
    assert indexes.add(engine, EVERY, small.ALL) == []


def test_add_makes_anew_what_a_broken_one_left(engine: Engine) -> None:
    """PostgreSQL keeps an index that was not finished, and never uses it."""
    small.merge(engine, 0, 9)
    chain = replace(EVERY, indexes=("hash",))
    indexes.add(engine, chain, small.ALL)
    invalid = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{}'::regclass"
    small.do(engine, invalid.format("tinychain.logs_by_transaction_hash"))
    assert indexes.add(engine, chain, small.ALL) == ["tinychain.logs_by_transaction_hash"]
    assert names(engine) == HASHES


def test_merges_go_on_while_indexes_are_made(engine: Engine) -> None:
    """An index waits for who has begun to write, and meanwhile others read and merge."""
    small.merge(engine, 0, 9)
    made: list[str] = []
    with engine.connect() as writing:
        writing.execute(sa.text("LOCK TABLE tinychain.blocks IN ROW EXCLUSIVE MODE"))
        work = threading.Thread(
            target=lambda: made.extend(indexes.add(engine, EVERY, [small.BLOCKS]))
        )
        work.start()
        _until_waiting(engine)
        assert indexes.add(engine, EVERY, [small.BLOCKS]) == []
        small.merge(engine, 9, 12)
        assert work.is_alive()
    work.join(60)
    assert len(made) == 2
    assert small.heights(engine) == list(range(12))


def _until_waiting(engine: Engine) -> None:
    """Until PostgreSQL has begun an index and waits for who writes."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND query LIKE 'CREATE INDEX CONCURRENTLY%' AND wait_event_type = 'Lock'"
    )
    for _ in range(3000):
        if small.ask(engine, query) == [1]:
            return
        time.sleep(0.02)
    pytest.fail("no index is being made")


@pytest.mark.parametrize("family", lookup.names("datasets"))
def test_obvious_questions_use_an_index_in_every_family(engine: Engine, family: str) -> None:
    """By hash, by address with the latest first, and by time, in every table with such a column."""
    chain, every = _every(family)
    tables.ensure(engine, chain, every)
    for dataset in every:
        table, columns = f"somewhere.{dataset.name}", {c.name for c in dataset.columns}
        one, of, height = (
            f"SELECT * FROM {table} WHERE",
            f"{dataset.name}_by_",
            dataset.height_column,
        )
        if "transaction_hash" in columns:
            assert f"{of}transaction_hash" in plan(engine, f"{one} transaction_hash = '0x1'")
        addresses = columns & {"address", "from_address", "to_address", "sender", "owner"}
        for address in addresses:
            latest = f"{one} {address} = 'a' ORDER BY {height} DESC LIMIT 10"
            assert f"Backward using {of}{address}" in plan(engine, latest)
        times = "block_timestamp >= '2026-01-01' AND block_timestamp < '2026-01-02'"
        assert f"{of}block_timestamp" in plan(engine, f"{one} {times}")
    assert "blocks_by_block_hash" in plan(
        engine, "SELECT * FROM somewhere.blocks WHERE block_hash = '0x1'"
    )
    before = "SELECT * FROM somewhere.blocks WHERE block_timestamp <= '2026-01-01'"
    nearest = plan(engine, f"{before} ORDER BY block_timestamp DESC LIMIT 1")
    assert "Backward using blocks_by_block_timestamp" in nearest


@pytest.mark.parametrize("family", lookup.names("datasets"))
def test_index_names_are_names_to_postgresql(family: str) -> None:
    """Each once in its schema, and none so long that PostgreSQL would cut it."""
    chain, every = _every(family)
    found = [index.name for dataset in every for index in indexes.wanted(chain, dataset)]
    assert len(found) == len(set(found)) > 1
    assert all(len(name) <= 63 for name in found)


def test_indexed_rows_are_merged_again_as_others_are(engine: Engine) -> None:
    """The same range twice leaves the same rows, and an index finds them."""
    for _ in range(2):
        small.merge(engine, 0, 9, chain=EVERY)
    query = "SELECT block_number FROM tinychain.transactions WHERE transaction_hash = '0x50'"
    assert small.ask(engine, query) == [5]
