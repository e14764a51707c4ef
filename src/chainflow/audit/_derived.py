"""Are rows that follow from another table's those that follow from it?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from chainflow import checks
from chainflow.audit._singly import singly
from chainflow.store import database, rows
from chainflow.types import BlockRange, Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Connection, Engine

    from chainflow.types import Chain, Dataset

# Rows of so many heights are held at a time.
_HEIGHTS = 100


def findings(
    engine: Engine, chain: Chain, datasets: Sequence[Dataset], blocks: BlockRange
) -> list[Finding]:
    """Rows that differ from those made anew of the table they follow from."""
    found: list[Finding] = []
    by_name = {dataset.name: dataset for dataset in datasets}
    derived = [d for d in datasets if d.derive and d.source in by_name]
    for part in blocks.split(_HEIGHTS) if derived else ():
        with database.begin(engine) as connection:
            connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            for segment, names in checks.segments(connection, chain, datasets, part):
                for dataset in derived:
                    if {dataset.name, dataset.source} <= {*names}:
                        source = by_name[str(dataset.source)]
                        found += _differing(connection, chain, dataset, source, segment)
    return checks.joined(found)


def _differing(
    connection: Connection, chain: Chain, dataset: Dataset, source: Dataset, blocks: BlockRange
) -> Sequence[Finding]:
    label = f"{chain.name}.{dataset.name}"

    def look(part: BlockRange) -> list[Finding]:
        if dataset.derive is None:
            return []
        made = dataset.derive(rows.read(connection, chain, source, part))
        query = rows.differing(connection, chain, dataset, part, made)
        return list(checks.ask(connection, "derived", label, query))

    def broken(height: int, how: str) -> Finding:
        sample = f"{height}: nothing can be made of its rows of {source.name}: {how}"
        return Finding("derived", label, 1, sample, (height,), (BlockRange(height, height + 1),))

    return singly(look, broken, blocks)
