"""Data tables appear on first use, grow with their dataset, and refuse what would lose data."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from sqlalchemy.engine import Engine

from chainflow.errors import TerminalError
from chainflow.store import database, tables
from chainflow.types import BlockRange, Column, Dataset
from tests import small

OIDS = "SELECT oid FROM pg_class WHERE relname IN ('blocks', 'transactions', 'logs') ORDER BY oid"


def columns(engine: Engine, schema: str, table: str) -> list[tuple[str, str, bool]]:
    """Name, type and NOT NULL of each column."""
    return small.ask(
        engine,
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute"
        f" WHERE attrelid = '{schema}.{table}'::regclass AND attnum > 0 AND NOT attisdropped"
        " ORDER BY attnum",
    )


def changed(*columns: Column) -> Dataset:
    """The dataset `blocks` with other columns behind its height and hash."""
    return replace(small.BLOCKS, columns=(small.HEIGHT, small.HASH, *columns))


def test_ensure_makes_the_familys_table_and_the_chains_partition(engine: Engine) -> None:
    """Both have the dataset's columns behind `chain`, and the key begins with it."""
    tables.ensure(engine, small.CHAIN, small.ALL)
    expected = [
        ("chain", "text", True),
        ("block_number", "bigint", True),
        ("block_hash", "text", True),
        ("parent_hash", "text", True),
        ("block_timestamp", "timestamp with time zone", True),
        ("transaction_count", "bigint", True),
        ("difficulty", "numeric(78,0)", False),
        ("extra", "jsonb", False),
    ]
    assert columns(engine, "tiny", "blocks") == expected
    assert columns(engine, "tinychain", "blocks") == expected
    keys = (
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = '{}.logs'::regclass AND contype = 'p'"
    )
    for schema in ("tiny", "tinychain"):
        assert small.ask(engine, keys.format(schema)) == [
            "PRIMARY KEY (chain, block_number, log_index)"
        ]


def test_ensure_again_changes_nothing(engine: Engine) -> None:
    """The same tables stand there after a second call, rows and all."""
    small.merge(engine, 0, 3)
    before = small.ask(engine, OIDS)
    tables.ensure(engine, small.CHAIN, small.ALL)
    assert small.ask(engine, OIDS) == before
    assert small.heights(engine) == [0, 1, 2]


def test_ensure_by_many_at_once_makes_each_table_once(engine: Engine) -> None:
    """Chains of one family that begin at the same moment do not trip over each other."""
    errors: list[Exception] = []

    def run(name: str) -> None:
        try:
            tables.ensure(engine, replace(small.CHAIN, name=name), small.ALL)
        except Exception as error:  # noqa: BLE001 - a thread's error must reach the assertion
            errors.append(error)

    threads = [threading.Thread(target=run, args=(f"chain{i % 4}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'tiny.blocks'::regclass"
    assert small.ask(engine, partitions) == [4]


def test_ensure_does_not_wait_for_a_reader_of_another_chain(
    engine: Engine, database_url: str
) -> None:
    """A long query on the family's table does not keep a new chain from its partition."""
    small.merge(engine, 0, 3)
    hasty = database.engine(f"{database_url}&options=-c%20lock_timeout%3D1s")
    with engine.connect() as reader:
        reader.exec_driver_sql("SELECT * FROM tiny.blocks").fetchall()
        tables.ensure(hasty, replace(small.CHAIN, name="second"), small.ALL)
    assert small.heights(engine, chain=replace(small.CHAIN, name="second")) == []


def test_ensure_adds_a_column_the_dataset_has_gained(engine: Engine) -> None:
    """A new nullable column appears for every chain of the family, null in the rows there are."""
    small.merge(engine, 0, 2)
    gained = replace(
        small.BLOCKS, columns=(*small.BLOCKS.columns, Column("blob_gas_used", "numeric"))
    )
    other = replace(small.CHAIN, name="other")
    small.merge(engine, 0, 2, chain=other, datasets=[gained])
    assert small.ask(engine, "SELECT blob_gas_used FROM tinychain.blocks") == [None, None]
    assert columns(engine, "tinychain", "blocks")[-1] == ("blob_gas_used", "numeric(78,0)", False)
    small.merge(engine, 2, 4, datasets=[gained])
    assert small.heights(engine) == [0, 1, 2, 3]


def test_ensure_attaches_a_detached_partition(engine: Engine) -> None:
    """With its rows, and with a column that the others got meanwhile."""
    small.merge(engine, 0, 2)
    small.do(engine, "ALTER TABLE tiny.blocks DETACH PARTITION tinychain.blocks")
    gained = replace(
        small.BLOCKS, columns=(*small.BLOCKS.columns, Column("blob_gas_used", "numeric"))
    )
    small.merge(engine, 0, 2, chain=replace(small.CHAIN, name="other"), datasets=[gained])
    small.merge(engine, 2, 4, datasets=[gained])
    heights = "SELECT block_number FROM tiny.blocks WHERE chain = 'tinychain' ORDER BY 1"
    assert small.ask(engine, heights) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (Column("difficulty", "text"), r"tiny.blocks has difficulty as numeric\(78,0\) .*text"),
        (Column("tips", "text", required=True), "tiny.blocks lacks the required column 'tips'"),
    ],
)
def test_ensure_refuses_a_column_that_changed(engine: Engine, column: Column, message: str) -> None:
    """Another type, or a new column that may not be null, needs a person; nothing is altered."""
    tables.ensure(engine, small.CHAIN, [small.BLOCKS])
    kept = [c for c in small.BLOCKS.columns if c.name != column.name]
    before = columns(engine, "tiny", "blocks")
    with pytest.raises(TerminalError, match=message):
        tables.ensure(engine, small.CHAIN, [replace(small.BLOCKS, columns=(*kept, column))])
    assert columns(engine, "tiny", "blocks") == before


def test_ensure_refuses_a_dataset_that_lost_a_column(engine: Engine) -> None:
    """A column that nobody fills any more would silently be null from here on."""
    tables.ensure(engine, small.CHAIN, [small.BLOCKS])
    with pytest.raises(TerminalError, match="has a column 'parent_hash' that this release"):
        tables.ensure(engine, small.CHAIN, [changed()])


def test_names_are_quoted_whatever_they_hold(engine: Engine) -> None:
    """A chain or column with a word of SQL for a name is only a name."""
    chain = replace(small.CHAIN, name="select")
    odd = replace(
        small.BLOCKS,
        name="order",
        columns=(small.HEIGHT, small.HASH, Column('a "quoted; name', "text")),
    )
    rows = {"order": small.rows(BlockRange(0, 2))["blocks"]}
    small.stage(engine, BlockRange(0, 2), rows, chain=chain, datasets=[odd])
    assert columns(engine, '"select"', '"order"')[-1] == ('a "quoted; name', "text", False)
