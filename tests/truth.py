"""What a chain's tables hold, row for row, and whether that is all they must and may hold."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from chainflow import datasets as tables_of
from chainflow.store import database, tables
from chainflow.types import Chain, Dataset

# By dataset: each row's height and its text, without the chain's name, in the order of both.
Rows = dict[str, list[tuple[int, str]]]


def rows(engine: Engine, chain: Chain) -> Rows:
    """Every row of a chain's tables; none of a table that is not there."""
    with database.begin(engine) as connection:
        return _rows(connection, chain)


def assert_only(engine: Engine, chain: Chain, truth: Rows) -> set[int]:
    """Of merged heights the tables hold all rows, of others none; the heights all datasets have."""
    with database.begin(engine) as connection:
        there, heights = _rows(connection, chain), _merged(connection, chain)
    for name, found in there.items():
        assert found == [row for row in truth[name] if row[0] in heights[name]], name
    return set.intersection(*heights.values())


def forget(engine: Engine, chain: Chain) -> None:
    """Empty a chain's tables and what the store knows of it."""
    with database.begin(engine) as connection:
        for dataset in _there(connection, chain):
            table = database.quoted(chain.name, dataset.name)
            connection.execute(sa.text(f"DELETE FROM {table}"))
        for control in ("progress", "merge_log", "height", "height_sample"):
            statement = f"DELETE FROM chainflow.{control} WHERE chain = :chain"
            connection.execute(sa.text(statement), {"chain": chain.name})


def _there(connection: Connection, chain: Chain) -> list[Dataset]:
    """The chain's datasets that have a table."""
    found = tables_of.get(chain.family, chain.datasets)
    return [d for d in found if tables.columns(connection, chain.name, d.name)]


def _rows(connection: Connection, chain: Chain) -> Rows:
    found: Rows = {name: [] for name in chain.datasets}
    for dataset in _there(connection, chain):
        query = (
            f"SELECT {database.quoted(dataset.height_column)}, (to_jsonb(t) - 'chain')::text"
            f" FROM {database.quoted(chain.name, dataset.name)} t ORDER BY 1, 2"
        )
        found[dataset.name] = [tuple(row) for row in connection.execute(sa.text(query))]
    return found


def _merged(connection: Connection, chain: Chain) -> dict[str, set[int]]:
    """The heights that the store says are merged, by dataset."""
    query = (
        "SELECT p.dataset, lower(r.run), upper(r.run) FROM chainflow.progress p,"
        " unnest(p.merged) AS r (run) WHERE p.chain = :chain"
    )
    heights: dict[str, set[int]] = {name: set() for name in chain.datasets}
    for dataset, low, stop in connection.execute(sa.text(query), {"chain": chain.name}):
        heights[dataset].update(range(low, stop))
    return heights
