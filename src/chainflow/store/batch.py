"""Merge and stage: rows become visible in one transaction, or are put aside for a person."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg2
import sqlalchemy as sa

from chainflow.errors import MalformedAnswer, RowsRefused
from chainflow.store import control, database, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pyarrow as pa
    from sqlalchemy.engine import Connection, Engine

    from chainflow.types import BlockRange, Chain, Dataset

# Some MB of text at a time; a transaction's input makes a row 1 KB and more.
_CSV_ROWS = 4_096
_COPY_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class Slice:
    """Consecutive blocks as rows: what is merged as one.

    Attributes:
        chain: Whose tables `tables.ensure` has made.
        blocks: The range that the rows are of.
        datasets: Which there are; of one family, so with one name for the height.
        tables: By dataset, its columns in their order.
        size: Bytes the node sent for them.
        hosts: The endpoints they came from.
        csv: By dataset its rows as COPY takes them, where they are `written` already.
    """

    chain: Chain
    blocks: BlockRange
    datasets: tuple[Dataset, ...]
    tables: Mapping[str, pa.Table]
    size: int
    hosts: tuple[str, ...] = ()
    csv: Mapping[str, Sequence[memoryview]] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """How many rows there are, by dataset."""
        return {dataset.name: self.tables[dataset.name].num_rows for dataset in self.datasets}

    @property
    def height_column(self) -> str:
        """What its tables call the height."""
        return self.datasets[0].height_column


@dataclass(frozen=True, slots=True)
class StagedTable:
    """Rows of one dataset put aside in `name`, quoted."""

    dataset: Dataset
    name: str
    rows: int


@dataclass(frozen=True, slots=True)
class Staged:
    """The receipt of a stage: where its rows are."""

    chain: Chain
    blocks: BlockRange
    tables: Mapping[str, StagedTable]


def merge(
    engine: Engine,
    slice_: Slice,
    check: Callable[[Connection], None],
    *,
    seconds: float,
    run_id: str,
) -> int:
    """Make rows visible in place of whatever stood in their range; return how many they are.

    One transaction: the rows, the merged range, the watermark and the log. The same range merged
    again leaves the same rows.

    Args:
        engine: The store.
        slice_: The rows.
        check: Asked last, with the rows in their tables and nobody else seeing them; if it raises,
            nothing has changed.
        seconds: What they took, for the log.
        run_id: Who asked, for the log.

    Raises:
        RowsRefused: A row lies outside the range, is doubled, or lacks what it must have.
        MalformedAnswer: A value does not fit its column.
        StoreUnavailable: PostgreSQL went away; nothing changed, unless it went in the COMMIT.
    """
    return merging(engine, slice_, check, seconds=seconds, run_id=run_id)()


def merging(
    engine: Engine,
    slice_: Slice,
    check: Callable[[Connection], None],
    *,
    seconds: float,
    run_id: str,
) -> Callable[[], int]:
    """`merge` as a function that may be called again after StoreUnavailable, and merges once.

    Where a connection breaks in its COMMIT nobody knows whether that arrived. The next call looks,
    under the chain's lock and thus after the end of whatever the server still did, for the row of
    merge_log that the broken one had written.
    """
    chain, blocks, counts = slice_.chain, slice_.blocks, slice_.counts
    _require_inside(slice_)
    written: control.Logged | None = None

    def once() -> int:
        nonlocal written
        with database.begin(engine) as connection:
            control.lock(connection, chain, list(counts))
            if written is None or not control.is_logged(connection, written):
                for dataset in slice_.datasets:
                    _replace(connection, slice_, dataset)
                control.extend(connection, chain, list(counts), blocks)
                control.date_watermark(connection, chain, slice_.height_column)
                written = control.log(
                    connection,
                    chain,
                    blocks,
                    counts,
                    size=slice_.size,
                    seconds=seconds,
                    run_id=run_id,
                )
                check(connection)
        return sum(counts.values())

    return once


def stage(engine: Engine, slice_: Slice) -> Staged:
    """Write rows into new, unlogged tables of schema staging, all of them or none.

    Raises:
        MalformedAnswer: A value does not fit its column.
    """
    with database.begin(engine) as connection:
        connection.execute(sa.text("SET LOCAL synchronous_commit TO off"))
        staged = {d.name: _stage(connection, slice_, d) for d in slice_.datasets}
    return Staged(slice_.chain, slice_.blocks, staged)


def drop(engine: Engine, staged: Staged) -> None:
    """Forget staged rows; nothing happens if they are gone."""
    with database.begin(engine) as connection:
        for table in staged.tables.values():
            connection.execute(sa.text(f"DROP TABLE IF EXISTS {table.name}"))


def served(hosts: Sequence[str]) -> str:
    """The end of an error's text that names the endpoints whose rows they are."""
    return f" (from {', '.join(hosts)})" if hosts else ""


def _require_inside(slice_: Slice) -> None:
    """Refuse rows outside the range: the merge would put them beside rows that it leaves there."""
    import pyarrow.compute as pc

    blocks = slice_.blocks
    for name, rows in slice_.tables.items():
        bounds = pc.min_max(rows[slice_.height_column])
        for height in (bounds["min"].as_py(), bounds["max"].as_py()):
            if height is not None and height not in blocks:
                told = f"{slice_.chain.name} {blocks}: {name}: a row of height {height}"
                raise RowsRefused(f"{told}{served(slice_.hosts)}")


def _replace(connection: Connection, slice_: Slice, dataset: Dataset) -> None:
    target = database.quoted(slice_.chain.name, dataset.name)
    height = database.quoted(dataset.height_column)
    connection.execute(
        sa.text(
            f"DELETE FROM {target} WHERE chain = :chain AND {height} >= :low AND {height} < :stop"
        ),
        {"chain": slice_.chain.name, "low": slice_.blocks.start, "stop": slice_.blocks.stop},
    )
    copy(connection, target, slice_, dataset)


def _stage(connection: Connection, slice_: Slice, dataset: Dataset) -> StagedTable:
    chain, blocks = slice_.chain, slice_.blocks
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
    copy(connection, table, slice_, dataset)
    return StagedTable(dataset, table, rows=slice_.tables[dataset.name].num_rows)


def copy(connection: Connection, table: str, slice_: Slice, dataset: Dataset) -> None:
    """Write a dataset's rows into a table, which may refuse them."""
    columns = [column.name for column in dataset.columns]
    pieces = slice_.csv.get(dataset.name) or written(slice_.tables[dataset.name].select(columns))
    where = f"{slice_.chain.name} {slice_.blocks}: {dataset.name}"
    try:
        connection.connection.cursor().copy_expert(
            f"COPY {table} ({database.quoted_list(*columns)}) FROM STDIN (FORMAT csv)",
            _Csv(pieces),
            size=_COPY_BYTES,
        )
    except (psycopg2.DataError, psycopg2.IntegrityError) as error:
        told = f"{error.diag.message_primary} ({error.diag.context})"[:300]
        kind = MalformedAnswer if isinstance(error, psycopg2.DataError) else RowsRefused
        raise kind(f"{where}: {told}{served(slice_.hosts)}") from None


class _Csv:
    """Pieces of CSV as the file that COPY reads."""

    def __init__(self, pieces: Sequence[memoryview]) -> None:
        self._pieces = iter(pieces)
        self._left = memoryview(b"")

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""
        if not self._left:
            self._left = next(self._pieces, self._left)
        piece, self._left = self._left[:size], self._left[size:]
        return bytes(piece)


def written(rows: pa.Table) -> tuple[memoryview, ...]:
    """Rows as CSV for COPY, some MB a piece."""
    import pyarrow as pa
    from pyarrow import csv

    options = csv.WriteOptions(include_header=False)
    rows = _times_as_text(rows)
    pieces = []
    for start in range(0, rows.num_rows, _CSV_ROWS):
        sink = pa.BufferOutputStream()
        csv.write_csv(rows.slice(start, _CSV_ROWS), sink, options)
        pieces.append(memoryview(sink.getvalue()))
    return tuple(pieces)


def _times_as_text(rows: pa.Table) -> pa.Table:
    """The table with its times as text, made once per time: few differ, being those of blocks.

    Arrow looks up the zone for every value that it writes, which took most of a CSV's time.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    for place, column in enumerate(rows.schema):
        if pa.types.is_timestamp(column.type):
            times = rows[place].unique()
            texts = times.cast(pa.string()).take(pc.index_in(rows[place], times))
            rows = rows.set_column(place, column.name, texts)
    return rows
