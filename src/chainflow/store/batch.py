"""Stage and merge: rows go where no reader looks, and become visible in one transaction."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg2
import sqlalchemy as sa

from chainflow.errors import MalformedAnswer, StoreUnavailable
from chainflow.store import control, database, tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa
    from sqlalchemy.engine import Connection, Engine

    from chainflow.types import BlockRange, Chain, Dataset

# Some MB of text at a time; a transaction's input makes a row 1 KB and more.
_CSV_ROWS = 4_096
_COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class StagedTable:
    """Rows of one dataset that wait in `name`, quoted, for their place in `target`, quoted."""

    dataset: Dataset
    name: str
    target: str
    rows: int


@dataclass(frozen=True, slots=True)
class Staged:
    """The receipt of a stage: what a merge needs to make the rows visible."""

    chain: Chain
    blocks: BlockRange
    tables: Mapping[str, StagedTable]


def stage(
    engine: Engine,
    chain: Chain,
    datasets: Sequence[Dataset],
    blocks: BlockRange,
    tables: Mapping[str, pa.Table],
) -> Staged:
    """Write rows into new, unlogged tables of schema staging, all of them or none.

    Args:
        engine: The store.
        chain: Whose tables `tables.ensure` has made.
        datasets: What is staged.
        blocks: The range that the rows are of.
        tables: By dataset, its columns in their order.
    """
    with database.begin(engine) as connection:
        connection.execute(sa.text("SET LOCAL synchronous_commit TO off"))
        staged = {
            dataset.name: _stage(connection, chain, dataset, blocks, tables[dataset.name])
            for dataset in datasets
        }
    return Staged(chain, blocks, staged)


def merge(engine: Engine, staged: Staged, *, size: int, seconds: float, run_id: str) -> int:
    """Make staged rows visible in place of whatever stood in their range; return how many they are.

    One transaction: the rows, the merged range, the watermark, the log and the end of the staging
    tables. The same range merged again leaves the same rows.

    Raises:
        StoreUnavailable: PostgreSQL went away, or lost the staged rows (it empties unlogged tables
            when it recovers from a crash); nothing changed.
    """
    chain, blocks = staged.chain, staged.blocks
    rows = {name: table.rows for name, table in staged.tables.items()}
    with database.begin(engine) as connection:
        control.lock(connection, chain, list(rows))
        for table in staged.tables.values():
            _replace(connection, staged, table)
        control.extend(connection, chain, list(rows), blocks)
        height_column = next(iter(staged.tables.values())).dataset.height_column
        control.date_watermark(connection, chain, height_column)
        control.log(connection, chain, blocks, rows, size=size, seconds=seconds, run_id=run_id)
        _drop(connection, staged)
    return sum(rows.values())


def drop(engine: Engine, staged: Staged) -> None:
    """Forget staged rows; nothing happens if they are gone."""
    with database.begin(engine) as connection:
        _drop(connection, staged)


def _stage(
    connection: Connection, chain: Chain, dataset: Dataset, blocks: BlockRange, rows: pa.Table
) -> StagedTable:
    name = f"{chain.name}_{dataset.name}"[:34] + f"_{blocks.start}_{secrets.token_hex(4)}"
    table = database.quoted("staging", name)
    note = {
        "chain": chain.name,
        "dataset": dataset.name,
        "start": blocks.start,
        "stop": blocks.stop,
        "staged_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    # No constraint here: a check tells a missing or doubled value better than a refused COPY.
    definitions = ", ".join(tables.definition(column) for column in dataset.columns)
    connection.execute(sa.text(f"CREATE UNLOGGED TABLE {table} ({definitions})"))
    connection.execute(sa.text(f"COMMENT ON TABLE {table} IS {database.literal(json.dumps(note))}"))
    try:
        _copy(connection, table, rows.select([column.name for column in dataset.columns]))
    except psycopg2.DataError as error:
        told = f"{error.diag.message_primary} ({error.diag.context})"[:300]
        raise MalformedAnswer(f"{chain.name} {blocks}: {dataset.name}: {told}") from None
    target = database.quoted(chain.name, dataset.name)
    return StagedTable(dataset, table, target, rows=rows.num_rows)


def _copy(connection: Connection, table: str, rows: pa.Table) -> None:
    names = database.quoted_list(*rows.column_names)
    connection.connection.cursor().copy_expert(
        f"COPY {table} ({names}) FROM STDIN (FORMAT csv)", _Csv(rows), size=_COPY_BYTES
    )


def _replace(connection: Connection, staged: Staged, table: StagedTable) -> None:
    height = database.quoted(table.dataset.height_column)
    names = database.quoted_list(*(column.name for column in table.dataset.columns))
    connection.execute(
        sa.text(
            f"DELETE FROM {table.target} WHERE chain = :chain AND {height} >= :low"
            f" AND {height} < :stop"
        ),
        {"chain": staged.chain.name, "low": staged.blocks.start, "stop": staged.blocks.stop},
    )
    inserted = connection.execute(
        sa.text(f"INSERT INTO {table.target} ({names}) SELECT {names} FROM {table.name}")
    ).rowcount
    if inserted != table.rows:
        raise StoreUnavailable(
            f"{staged.chain.name} {staged.blocks}: {table.name} holds {inserted} rows "
            f"(expected {table.rows}); nothing merged, stage them again"
        )


def _drop(connection: Connection, staged: Staged) -> None:
    for table in staged.tables.values():
        connection.execute(sa.text(f"DROP TABLE IF EXISTS {table.name}"))


class _Csv:
    """A table as the CSV file that COPY reads, made a few rows at a time."""

    def __init__(self, rows: pa.Table) -> None:
        self._pieces = _csv(rows)
        self._left = memoryview(b"")

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""
        if not self._left:
            self._left = next(self._pieces, self._left)
        piece, self._left = self._left[:size], self._left[size:]
        return bytes(piece)


def _csv(rows: pa.Table) -> Iterator[memoryview]:
    import pyarrow as pa
    from pyarrow import csv

    options = csv.WriteOptions(include_header=False)
    for start in range(0, rows.num_rows, _CSV_ROWS):
        sink = pa.BufferOutputStream()
        csv.write_csv(rows.slice(start, _CSV_ROWS), sink, options)
        yield memoryview(sink.getvalue())
