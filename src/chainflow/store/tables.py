"""Data tables: a parent per family and dataset, and in it a list partition per chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from chainflow import lookup
from chainflow.errors import TerminalError
from chainflow.store import database, identity, indexes, views

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection, Engine

    from chainflow.types import Chain, Column, Dataset

TYPES = {
    "bigint": "bigint",
    "text": "text",
    "numeric": "numeric(78,0)",
    "timestamptz": "timestamp with time zone",
    "boolean": "boolean",
    "jsonb": "jsonb",
}


def ensure(engine: Engine, chain: Chain, datasets: Sequence[Dataset]) -> None:
    """Create what is missing: schemas, the family's tables, the chain's partitions, new columns.

    A partition that somebody detached is attached again.
    The views over all families span the tables of a new one at once. Safe to repeat and to run many
    times at once; locks nothing when all is there.

    Raises:
        TerminalError: A table has a column the dataset lacks, or one of another type, or lacks a
            required one; the message names both.
        NameTaken: What is merged under the chain's name is another chain's.
    """
    with database.begin(engine) as connection:
        identity.require(connection, chain)
        if all(_complete(connection, chain, dataset) for dataset in datasets):
            return
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('chainflow.tables'))"))
        for schema in (lookup.schema(chain.family), chain.name):
            connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {database.quoted(schema)}"))
        new = [dataset for dataset in datasets if _parent(connection, dataset)]
        for dataset in datasets:
            _partition(connection, chain, dataset)
        if new:
            views.remake(connection)


def columns(connection: Connection, schema: str, table: str) -> dict[str, str]:
    """Type by name of a table's columns, in their order; empty if there is no such table."""
    found = connection.execute(
        sa.text(
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a"
            " JOIN pg_class t ON t.oid = a.attrelid JOIN pg_namespace n ON n.oid = t.relnamespace"
            " WHERE n.nspname = :schema AND t.relname = :table AND t.relkind IN ('r', 'p')"
            " AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
        ),
        {"schema": schema, "table": table},
    )
    return {name: kind for name, kind in found}  # noqa: C416 - rows are not pairs to mypy


def attached(connection: Connection, chain: Chain, dataset: Dataset) -> bool:
    """Whether the chain's table is a partition of the family's."""
    found: bool = connection.execute(
        sa.text(
            "SELECT EXISTS (SELECT FROM pg_inherits"
            " WHERE inhrelid = to_regclass(:table) AND inhparent = to_regclass(:parent))"
        ),
        {
            "table": database.quoted(chain.name, dataset.name),
            "parent": database.quoted(lookup.schema(dataset.family), dataset.name),
        },
    ).scalar_one()
    return found


def definition(column: Column) -> str:
    """A column as it stands in CREATE TABLE."""
    return f"{database.quoted(column.name)} {TYPES[column.type]}"


def _complete(connection: Connection, chain: Chain, dataset: Dataset) -> bool:
    found = columns(connection, chain.name, dataset.name)
    wanted = {"chain": "text"} | {c.name: _kind(c) for c in dataset.columns}
    return found == wanted and attached(connection, chain, dataset)


def _kind(column: Column) -> str:
    return TYPES[column.type]


def _parent(connection: Connection, dataset: Dataset) -> bool:
    """Make the family's table or add its new columns; whether it is new."""
    schema = lookup.schema(dataset.family)
    found = columns(connection, schema, dataset.name)
    table = database.quoted(schema, dataset.name)
    if not found:
        parts = [f"{definition(c)}{' NOT NULL' if c.required else ''}" for c in dataset.columns]
        key = database.quoted_list("chain", *dataset.key)
        connection.execute(
            sa.text(
                f"CREATE TABLE {table} (chain text NOT NULL, {', '.join(parts)},"
                f" PRIMARY KEY ({key})) PARTITION BY LIST (chain)"
            )
        )
        return True
    for column in _new(dataset, found):
        connection.execute(sa.text(f"ALTER TABLE {table} ADD COLUMN {definition(column)}"))
    return False


def _new(dataset: Dataset, found: dict[str, str]) -> list[Column]:
    """Columns to add to a table that is there, once it is clear that nothing else differs."""
    wanted = {column.name: column for column in dataset.columns}
    table = f"table {lookup.schema(dataset.family)}.{dataset.name}"
    for name, kind in found.items():
        if name == "chain":
            continue
        if name not in wanted:
            raise TerminalError(f"{table} has a column {name!r} that this release does not fill")
        if kind != _kind(wanted[name]):
            raise TerminalError(f"{table} has {name} as {kind} (expected {_kind(wanted[name])})")
    new = [column for column in dataset.columns if column.name not in found]
    for column in new:
        if column.required:
            raise TerminalError(f"{table} lacks the required column {column.name!r}")
    return new


def _partition(connection: Connection, chain: Chain, dataset: Dataset) -> None:
    if attached(connection, chain, dataset):
        return
    found = columns(connection, chain.name, dataset.name)
    parent = database.quoted(lookup.schema(dataset.family), dataset.name)
    table = database.quoted(chain.name, dataset.name)
    name = database.literal(chain.name)
    # Attached, not created as a partition: that would wait for every reader of the family's table.
    statements = [
        f"CREATE TABLE {table} (LIKE {parent} INCLUDING ALL)",
        f"ALTER TABLE {table} ALTER COLUMN chain SET DEFAULT {name}",
    ]
    if found:  # somebody detached it, and it may lack columns that the others got since
        new = (column for column in dataset.columns if column.name not in found)
        statements = [f"ALTER TABLE {table} ADD COLUMN {definition(column)}" for column in new]
    attach = f"ALTER TABLE {parent} ATTACH PARTITION {table} FOR VALUES IN ({name})"
    for statement in (*statements, attach):
        connection.execute(sa.text(statement))
    if not found:
        indexes.make(connection, chain, dataset)
