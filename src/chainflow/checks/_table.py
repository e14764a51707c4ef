"""Staged and merged tables as a check's SQL reads them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from chainflow.store import database, tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection

    from chainflow.store.batch import StagedTable
    from chainflow.types import BlockRange, Chain, Dataset

# Compared with only where the whole range is merged: half of it would look like missing rows.
_MERGED = """
SELECT dataset FROM chainflow.progress WHERE chain = :chain AND NOT dataset = ANY(:given)
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
        judged: False for merged rows that others are only compared with.
        enforced: True where the merge and the table itself have just refused rows outside the range
            and keys that stand there twice.
    """

    label: str
    rows: str
    merged: str
    height: str
    columns: frozenset[str]
    key: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    judged: bool = True
    enforced: bool = False

    def has(self, *columns: str) -> bool:
        """Whether the table has all of these columns."""
        return self.columns.issuperset(columns)


def staged(chain: Chain, table: StagedTable) -> CheckedTable:
    """Rows that were put aside."""
    dataset = table.dataset
    label = table.name.replace('"', "")
    return _of(dataset, label, rows=table.name, merged=_rows(chain, dataset.name))


def arrived(chain: Chain, dataset: Dataset, blocks: BlockRange) -> CheckedTable:
    """Rows of a range that this transaction has put beside the merged ones."""
    return replace(merged(chain, dataset, blocks), merged=_rows(chain, dataset.name), enforced=True)


def merged(chain: Chain, dataset: Dataset, blocks: BlockRange) -> CheckedTable:
    """Rows of a range that are merged."""
    height = database.quoted(dataset.height_column)
    below = f"{height} < {blocks.stop}"
    return _of(
        dataset,
        f"{chain.name}.{dataset.name}",
        rows=_rows(chain, dataset.name, below, f"{height} >= {blocks.start}"),
        merged=_rows(chain, dataset.name, below),
    )


def beside(
    connection: Connection,
    chain: Chain,
    blocks: BlockRange,
    given: Sequence[str],
    height_column: str,
) -> dict[str, CheckedTable]:
    """Merged tables to compare the given ones with, where those are not all of a chain's datasets.

    Their datasets are not at hand here; a family has one height column in all its tables.
    """
    height = database.quoted(height_column)
    streams = {"chain": chain.name, "given": list(given)}
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


def _of(dataset: Dataset, label: str, *, rows: str, merged: str) -> CheckedTable:
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
