"""Indexes beside the keys, for the chains that ask for them: by hash, by address, by time."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from chainflow.store import database

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.engine import Connection, Engine

    from chainflow.types import Chain, Column, Dataset

log = logging.getLogger(__name__)

# Who acted, and which contract or token: in any table that has such a column.
_ADDRESSES = frozenset(
    {
        "address",
        "contract_address",
        "fee_payer",
        "from_address",
        "gas_owner",
        "owner",
        "package_id",
        "receipt_contract_address",
        "sender",
        "to_address",
        "token_address",
    }
)
_FOUND = """
SELECT i.relname, x.indisvalid FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_class t ON t.oid = x.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE n.nspname = :schema AND t.relname = :table
"""


@dataclass(frozen=True, slots=True)
class Index:
    """One index of one chain's table; `definition` is what follows the table in CREATE INDEX."""

    name: str
    table: str
    definition: str


def wanted(chain: Chain, dataset: Dataset) -> tuple[Index, ...]:
    """The indexes that the chain's entry asks for on the dataset's table."""
    return tuple(
        Index(
            f"{dataset.name}_by_{column.name}",
            dataset.name,
            _definition(kind, column, dataset) + _where(column),
        )
        for column in dataset.columns
        if (kind := _kind(column, dataset)) in chain.indexes
    )


def make(connection: Connection, chain: Chain, dataset: Dataset) -> None:
    """Make them on a table that has no rows and that nobody else sees yet."""
    for index in wanted(chain, dataset):
        connection.execute(sa.text(_create(chain, index)))


def add(engine: Engine, chain: Chain, datasets: Sequence[Dataset]) -> list[str]:
    """Make those that tables with rows lack; their names.

    Nobody who reads or merges waits for it, however long it takes. Only one at a time makes
    indexes of a chain: whoever comes second makes none. What a broken one left is made anew.
    """
    with _alone(engine, chain) as connection:
        if connection is None:
            return []
        lacking = [index for d in datasets for index in _lacking(connection, chain, d)]
        for index in lacking:
            connection.execute(sa.text(_create(chain, index, "CONCURRENTLY ")))
            log.info("indexed chain=%s index=%s", chain.name, index.name)
    return [f"{chain.name}.{index.name}" for index in lacking]


def _lacking(connection: Connection, chain: Chain, dataset: Dataset) -> list[Index]:
    """Those a table lacks, none where there is no table yet; what was not finished is dropped."""
    at = {"schema": chain.name, "table": dataset.name}
    found = {name: valid for name, valid in connection.execute(sa.text(_FOUND), at)}  # noqa: C416 - rows are not pairs to mypy
    lacking = [index for index in wanted(chain, dataset) if found and not found.get(index.name)]
    for index in lacking:
        if index.name in found:
            broken = database.quoted(chain.name, index.name)
            connection.execute(sa.text(f"DROP INDEX CONCURRENTLY {broken}"))
    return lacking


def _kind(column: Column, dataset: Dataset) -> str | None:
    """Which of the registry's words asks for an index on the column."""
    if column.name == "transaction_hash" or (column.name, dataset.name) == ("block_hash", "blocks"):
        return "hash"
    if column.name in _ADDRESSES and column.type == "text":
        return "address"
    return "time" if column.name == "block_timestamp" else None


def _definition(kind: str | None, column: Column, dataset: Dataset) -> str:
    name = database.quoted(column.name)
    if kind == "hash":
        return f"USING hash ({name})"
    if kind == "address":
        # With the height, an address' latest rows are read from the end.
        return f"({name}, {database.quoted(dataset.height_column)})"
    # Rows lie in the order of time, but for backfills: a bound for each megabyte finds them. Of
    # blocks the nearest to a time is wanted, which bounds do not tell.
    if dataset.name == "blocks":
        return f"({name})"
    return f"USING brin ({name}) WITH (autosummarize = on)"


def _where(column: Column) -> str:
    return "" if column.required else f" WHERE {database.quoted(column.name)} IS NOT NULL"


def _create(chain: Chain, index: Index, how: str = "") -> str:
    table = database.quoted(chain.name, index.table)
    return f"CREATE INDEX {how}{database.quoted(index.name)} ON {table} {index.definition}"


@contextmanager
def _alone(engine: Engine, chain: Chain) -> Iterator[Connection | None]:
    """A connection without transactions or time limits; None where another makes indexes now."""
    with database.autocommit(engine) as connection:
        connection.execute(sa.text("SET statement_timeout TO 0"))
        connection.execute(sa.text("SET lock_timeout TO 0"))
        lock = sa.text("SELECT pg_try_advisory_lock(hashtext('chainflow.indexes'), hashtext(:c))")
        got = connection.execute(lock, {"c": chain.name}).scalar()
        yield connection if got else None
