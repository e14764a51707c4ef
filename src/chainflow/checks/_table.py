"""Staged and merged tables as a check's SQL reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from chainflow.store import database, tables

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from chainflow.store.batch import Staged, StagedTable
    from chainflow.types import BlockRange, Chain, Dataset

# Compared with only where the whole range is merged: half of it would look like missing rows.
_MERGED = """
SELECT dataset FROM chainflow.progress WHERE chain = :chain AND NOT dataset = ANY(:staged)
  AND merged @> int8range(:low, :stop) ORDER BY dataset
"""


@dataclass(frozen=True, slots=True)
class CheckedTable:
    """One dataset's rows of a range.

    Attributes:
        label: What a finding calls the table.
        rows: What stands after FROM: the rows under check.
        merged: What stands after FROM: the chain's merged rows, for those beside the range. An
            audit's end at the range, lest the link above be told again with the rows above.
        height: The height column, quoted.
        columns: Names of all columns.
        key: What makes a row the same row.
        required: Columns that are never null.
        judged: False for merged rows that staged ones are only compared with.
    """

    label: str
    rows: str
    merged: str
    height: str
    columns: frozenset[str]
    key: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    judged: bool = True

    def has(self, *columns: str) -> bool:
        """Whether the table has all of these columns."""
        return self.columns.issuperset(columns)


def staged(chain: Chain, table: StagedTable) -> CheckedTable:
    """Rows that wait for a merge."""
    label = table.name.replace('"', "")
    return _of(
        chain, table.dataset, label, rows=table.name, merged=_rows(chain, table.dataset.name)
    )


def merged(chain: Chain, dataset: Dataset, blocks: BlockRange) -> CheckedTable:
    """Rows of a range that are merged."""
    height = database.quoted(dataset.height_column)
    below = f"{height} < {blocks.stop}"
    return _of(
        chain,
        dataset,
        f"{chain.name}.{dataset.name}",
        rows=_rows(chain, dataset.name, below, f"{height} >= {blocks.start}"),
        merged=_rows(chain, dataset.name, below),
    )


def beside(connection: Connection, given: Staged) -> dict[str, CheckedTable]:
    """Merged tables to compare staged ones with, when a batch has not all of a chain's datasets.

    Their datasets are not at hand here; a family has one height column in all its tables.
    """
    chain, blocks = given.chain, given.blocks
    height_column = next(iter(given.tables.values())).dataset.height_column
    height = database.quoted(height_column)
    streams = {"chain": chain.name, "staged": list(given.tables)}
    names = connection.execute(
        sa.text(_MERGED), {**streams, "low": blocks.start, "stop": blocks.stop}
    ).scalars()
    return {
        name: CheckedTable(
            label=f"{chain.name}.{name}",
            rows=_rows(chain, name, f"{height} >= {blocks.start}", f"{height} < {blocks.stop}"),
            merged=_rows(chain, name),
            height=height,
            columns=frozenset(tables.columns(connection, chain.name, name)),
            judged=False,
        )
        for name in names.all()
    }


def _of(chain: Chain, dataset: Dataset, label: str, *, rows: str, merged: str) -> CheckedTable:
    required = [column.name for column in dataset.columns if column.required]
    return CheckedTable(
        label=label,
        rows=rows,
        merged=merged,
        height=database.quoted(dataset.height_column),
        columns=frozenset(column.name for column in dataset.columns),
        key=dataset.key,
        required=tuple(dict.fromkeys((*dataset.key, *required))),
    )


def _rows(chain: Chain, name: str, *conditions: str) -> str:
    # The chain stands here too although its partition holds no other: the key begins with it.
    where = " AND ".join((f"chain = {database.literal(chain.name)}", *conditions))
    return f"(SELECT * FROM {database.quoted(chain.name, name)} WHERE {where})"
