"""Taking out of the tables what an audit found not to belong there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from chainflow.store import control, database, tables

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

    from chainflow.types import BlockRange, Chain, Dataset


def forget(engine: Engine, chain: Chain, dataset: Dataset, blocks: BlockRange) -> None:
    """Remove a range's rows, which then is a gap, in one transaction."""
    with database.begin(engine) as connection:
        control.lock(connection, chain, chain.datasets)
        if tables.columns(connection, chain.name, dataset.name):
            _delete(connection, chain, dataset, blocks, "true")
        connection.execute(
            sa.text(
                "UPDATE chainflow.progress SET merged = merged - int8multirange(int8range(:low,"
                " :stop)) WHERE chain = :chain AND dataset = :dataset"
            ),
            _bounds(chain, dataset, blocks),
        )
        control.date_watermark(connection, chain, dataset.height_column)


def remove_unmerged(engine: Engine, chain: Chain, dataset: Dataset, blocks: BlockRange) -> None:
    """Remove rows of heights in a range that are not merged."""
    height = database.quoted(dataset.height_column)
    with database.begin(engine) as connection:
        control.lock(connection, chain, chain.datasets)
        unmerged = (
            f"NOT EXISTS (SELECT 1 FROM chainflow.progress p WHERE p.chain = :chain"
            f" AND p.dataset = :dataset AND p.merged @> {height})"
        )
        _delete(connection, chain, dataset, blocks, unmerged)


def _delete(
    connection: Connection, chain: Chain, dataset: Dataset, blocks: BlockRange, which: str
) -> None:
    height = database.quoted(dataset.height_column)
    connection.execute(
        sa.text(
            f"DELETE FROM {database.quoted(chain.name, dataset.name)} WHERE chain = :chain"
            f" AND {height} >= :low AND {height} < :stop AND {which}"
        ),
        _bounds(chain, dataset, blocks),
    )


def _bounds(chain: Chain, dataset: Dataset, blocks: BlockRange) -> dict[str, object]:
    bounds = {"low": blocks.start, "stop": blocks.stop}
    return {"chain": chain.name, "dataset": dataset.name, **bounds}
