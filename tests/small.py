"""A small chain for tests of the store: four narrow tables and rows that pass every check."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from chainflow import checks
from chainflow.store import batch, database, tables
from chainflow.types import BlockRange, Chain, Column, Dataset, RawBlock

GENESIS_TIME = datetime(2020, 1, 1, tzinfo=UTC)
CHAIN = Chain(
    "tinychain", "tiny", 7, blocks_per_minute=6.0, datasets=("blocks", "transactions", "logs")
)
_ARROW = {
    "bigint": pa.int64(),
    "timestamptz": pa.timestamp("ms", "UTC"),
    "boolean": pa.bool_(),
}


def family(name: str) -> None:
    """Let the name stand for a family whose own tables are in the schema of that name."""
    folder = ModuleType(f"chainflow.datasets.{name}")
    folder.SCHEMA = name  # type: ignore[attr-defined]  # as a family's folder has it
    sys.modules[folder.__name__] = folder


family("tiny")


def _decode(blocks: Sequence[RawBlock]) -> pa.Table:
    raise AssertionError("the store decodes nothing")


def dataset(name: str, *columns: Column, key: tuple[str, ...]) -> Dataset:
    """A dataset of family `tiny`."""
    return Dataset(name, "tiny", "block_number", columns, key, _decode)


HEIGHT = Column("block_number", "bigint", required=True)
HASH = Column("block_hash", "text", required=True)
BLOCKS = dataset(
    "blocks",
    HEIGHT,
    HASH,
    Column("parent_hash", "text", required=True),
    Column("block_timestamp", "timestamptz", required=True),
    Column("transaction_count", "bigint", required=True),
    Column("difficulty", "numeric"),
    Column("extra", "jsonb"),
    key=("block_number",),
)
TRANSACTIONS = dataset(
    "transactions",
    HEIGHT,
    HASH,
    Column("transaction_index", "bigint", required=True),
    Column("transaction_hash", "text"),
    Column("input", "text"),
    Column("ok", "boolean"),
    key=("block_number", "transaction_index"),
)
LOGS = dataset(
    "logs",
    HEIGHT,
    HASH,
    Column("log_index", "bigint", required=True),
    Column("transaction_index", "bigint"),
    Column("transaction_hash", "text"),
    key=("block_number", "log_index"),
)
WITHDRAWALS = dataset(
    "withdrawals",
    HEIGHT,
    HASH,
    Column("withdrawal_index", "bigint", required=True),
    key=("block_number", "withdrawal_index"),
)
ALL = (BLOCKS, TRANSACTIONS, LOGS)
Row = dict[str, Any]


def block_hash(height: int, fork: str = "a") -> str:
    """The hash of a height on a fork."""
    return f"0x{fork}{height:x}"


def rows(blocks: BlockRange, fork: str = "a") -> dict[str, list[Row]]:
    """Rows of a range by dataset; a block has height % 3 transactions and as many logs."""
    found: dict[str, list[Row]] = {d.name: [] for d in (*ALL, WITHDRAWALS)}
    for height in blocks:
        common = {"block_number": height, "block_hash": block_hash(height, fork)}
        found["blocks"].append(
            {
                **common,
                "parent_hash": block_hash(height - 1, fork),
                "block_timestamp": GENESIS_TIME + timedelta(seconds=10 * height),
                "transaction_count": height % 3,
                "difficulty": str(height),
            }
        )
        for index in range(height % 3):
            sent = {"transaction_index": index, "transaction_hash": f"0x{height:x}{index:x}"}
            found["transactions"].append({**common, **sent, "input": "0x"})
            found["logs"].append({**common, **sent, "log_index": index})
        found["withdrawals"].append({**common, "withdrawal_index": 0})
    return found


def table(dataset: Dataset, rows: Sequence[Row]) -> pa.Table:
    """Rows as the Arrow table that decoding would give; a column that a row lacks is null."""
    return pa.table(
        {
            c.name: pa.array([row.get(c.name) for row in rows], _ARROW.get(c.type, pa.string()))
            for c in dataset.columns
        }
    )


def slice_(
    engine: Engine,
    blocks: BlockRange,
    given: dict[str, list[Row]] | None = None,
    *,
    chain: Chain = CHAIN,
    datasets: Sequence[Dataset] = ALL,
) -> batch.Slice:
    """Rows of a range (unless given, sound ones) on their way, their tables made if need be."""
    tables.ensure(engine, chain, datasets)
    found = rows(blocks) if given is None else given
    arrow = {d.name: table(d, found[d.name]) for d in datasets}
    return batch.Slice(chain, blocks, tuple(datasets), arrow, size=100 * len(blocks))


def stage(
    engine: Engine,
    blocks: BlockRange,
    given: dict[str, list[Row]] | None = None,
    *,
    chain: Chain = CHAIN,
    datasets: Sequence[Dataset] = ALL,
) -> batch.Staged:
    """Rows of a range (unless given, sound ones) in staging, their tables made if need be."""
    return batch.stage(engine, slice_(engine, blocks, given, chain=chain, datasets=datasets))


def merge_slice(engine: Engine, rows: batch.Slice) -> int:
    """Check and merge rows, which must be sound."""

    def check(connection: Connection) -> None:
        assert checks.arrived(connection, rows) == []

    return batch.merge(engine, rows, check, seconds=0.5, run_id="test")


def merge(
    engine: Engine,
    start: int,
    stop: int,
    *,
    chain: Chain = CHAIN,
    datasets: Sequence[Dataset] = ALL,
    fork: str = "a",
) -> int:
    """Check and merge sound rows of [start, stop)."""
    blocks = BlockRange(start, stop)
    return merge_slice(
        engine, slice_(engine, blocks, rows(blocks, fork), chain=chain, datasets=datasets)
    )


def ask(engine: Engine, query: str) -> list[Any]:
    """What a query answers, as a list of rows, or of values where rows have one."""
    with database.begin(engine) as connection:
        found = connection.execute(sa.text(query)).all()
    return [row[0] if len(row) == 1 else tuple(row) for row in found]


def do(engine: Engine, statement: str) -> None:
    """Run one statement."""
    with database.begin(engine) as connection:
        connection.execute(sa.text(statement))


def heights(engine: Engine, name: str = "blocks", chain: Chain = CHAIN) -> list[int]:
    """Heights of a chain's merged rows, ascending, one for each row."""
    target = database.quoted(chain.name, name)
    return ask(engine, f"SELECT block_number FROM {target} ORDER BY block_number")


def staging(engine: Engine) -> list[str]:
    """Names of the tables in schema staging."""
    return ask(engine, "SELECT tablename FROM pg_tables WHERE schemaname = 'staging'")
