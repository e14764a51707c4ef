"""Are rows that follow from another table's those that follow from it?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from chainflow import checks
from chainflow.store import database, rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Engine

    from chainflow.types import BlockRange, Chain, Dataset, Finding

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
                    if dataset.derive is None or not {dataset.name, dataset.source} <= {*names}:
                        continue
                    source = rows.read(connection, chain, by_name[str(dataset.source)], segment)
                    made = dataset.derive(source)
                    query = rows.differing(connection, chain, dataset, segment, made)
                    label = f"{chain.name}.{dataset.name}"
                    found += checks.ask(connection, "derived", label, query)
    return checks.joined(found)
