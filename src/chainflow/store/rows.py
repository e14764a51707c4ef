"""Merged rows as they were given: read back, or held against what they should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from chainflow.store import batch, database, tables
from chainflow.store.batch import Slice

if TYPE_CHECKING:
    from typing import Any

    import pyarrow as pa
    from sqlalchemy.engine import Connection

    from chainflow.types import BlockRange, Chain, Column, Dataset

# What psycopg2 would make of them is neither as exact nor as plain.
_AS_TEXT = frozenset({"numeric", "jsonb"})


def read(connection: Connection, chain: Chain, dataset: Dataset, blocks: BlockRange) -> pa.Table:
    """A range's rows in the shape that `Dataset.decode` gives, in the order of their key."""
    import pyarrow as pa

    columns = ", ".join(map(_selected, dataset.columns))
    key = database.quoted_list(*dataset.key)
    found = connection.execute(
        sa.text(f"SELECT {columns} {_stored(chain, dataset, blocks)} ORDER BY {key}")
    ).all()
    by_column: list[Any] = [*zip(*found, strict=True)] if found else [()] * len(dataset.columns)
    return pa.table(
        {
            column.name: pa.array(cells, _arrow(column))
            for column, cells in zip(dataset.columns, by_column, strict=True)
        }
    )


def differing(
    connection: Connection, chain: Chain, dataset: Dataset, blocks: BlockRange, wanted: pa.Table
) -> str:
    """A query, good for this transaction, whose rows are what differs from the wanted rows.

    Each has `height` and `message`, as a check's have. The order of rows is no difference; that a
    row stands there twice is one.
    """
    table = database.quoted("pg_temp", f"wanted_{dataset.name}_{blocks.start}")
    definitions = ", ".join(tables.definition(column) for column in dataset.columns)
    connection.execute(sa.text(f"CREATE TEMP TABLE {table} ({definitions}) ON COMMIT DROP"))
    given = Slice(chain, blocks, (dataset,), {dataset.name: wanted}, size=0)
    batch.copy(connection, table, given, dataset)
    columns = database.quoted_list(*(column.name for column in dataset.columns))
    ours = f"SELECT {columns} {_stored(chain, dataset, blocks)}"
    theirs = f"SELECT {columns} FROM {table}"
    height, key = database.quoted(dataset.height_column), database.quoted_list(*dataset.key)
    told = ", ".join(f"'{name} ' || {database.quoted(name)}" for name in dataset.key)
    changed = (
        "(SELECT string_agg(key, ', ' ORDER BY key) FROM jsonb_each(to_jsonb(theirs)) a"
        " JOIN jsonb_each(to_jsonb(ours)) b USING (key) WHERE a.value <> b.value)"
    )
    return (
        f"SELECT {height} AS height, concat_ws(', ', {told}) || CASE"
        " WHEN ours IS NULL THEN ' is missing' WHEN theirs IS NULL THEN ' should not be there'"
        f" ELSE ' differs in ' || {changed} END AS message"
        f" FROM (({theirs}) EXCEPT ALL ({ours})) theirs"
        f" FULL JOIN (({ours}) EXCEPT ALL ({theirs})) ours USING ({key})"
    )


def _stored(chain: Chain, dataset: Dataset, blocks: BlockRange) -> str:
    height = database.quoted(dataset.height_column)
    return (
        f"FROM {database.quoted(chain.name, dataset.name)}"
        f" WHERE chain = {database.literal(chain.name)}"
        f" AND {height} >= {blocks.start} AND {height} < {blocks.stop}"
    )


def _selected(column: Column) -> str:
    name = database.quoted(column.name)
    return f"{name}::text" if column.type in _AS_TEXT else name


def _arrow(column: Column) -> pa.DataType:
    import pyarrow as pa

    kinds: dict[str, pa.DataType] = {
        "bigint": pa.int64(),
        "timestamptz": pa.timestamp("ms", tz="UTC"),
        "boolean": pa.bool_(),
    }
    return kinds.get(column.type, pa.string())
