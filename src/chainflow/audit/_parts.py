"""A range cut into the parts that an audit looks at, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from chainflow import lookup
from chainflow.store import database, tables
from chainflow.types import BlockRange, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.engine import Engine

    from chainflow.types import Chain, Dataset

# Seconds a part, so that a bar moves and a killed audit has lost little.
HEIGHTS = 1_000

_RUNS = """
SELECT lower(r), upper(r) FROM unnest((
  SELECT range_agg(run) FROM chainflow.progress p, unnest(p.merged) AS run
  WHERE p.chain = :chain AND p.dataset = ANY(:datasets)
) * int8multirange(int8range(:low, :stop))) AS r
"""

_MERGED = """
SELECT lower(r), upper(r) FROM unnest((
  SELECT merged FROM chainflow.progress WHERE chain = :chain AND dataset = :dataset
) * int8multirange(int8range(:low, :stop))) AS r
"""

ATTACHED = "attached"


class Part(NamedTuple):
    """Consecutive heights; `merged` is how many of them are merged: all or none."""

    blocks: BlockRange
    merged: int


def parts(engine: Engine, chain: Chain, blocks: BlockRange) -> Iterator[Part]:
    """The whole range: merged runs in small parts, what is between them as it is."""
    streams = {"chain": chain.name, "datasets": list(chain.datasets)}
    with database.begin(engine) as connection:
        runs = connection.execute(
            sa.text(_RUNS), {**streams, "low": blocks.start, "stop": blocks.stop}
        ).all()
    at = blocks.start
    for low, stop in runs:
        if at < low:
            yield Part(BlockRange(at, low), 0)
        for part in BlockRange(low, stop).split(HEIGHTS):
            yield Part(part, len(part))
        at = stop
    if at < blocks.stop:
        yield Part(BlockRange(at, blocks.stop), 0)


def detached(engine: Engine, chain: Chain, datasets: Sequence[Dataset]) -> list[Finding]:
    """The chain's tables that are not in the family's, which then lacks the chain's rows."""
    with database.begin(engine) as connection:
        return [
            Finding(
                ATTACHED,
                f"{chain.name}.{dataset.name}",
                1,
                f"is no partition of {lookup.schema(dataset.family)}.{dataset.name}",
            )
            for dataset in datasets
            if tables.columns(connection, chain.name, dataset.name)
            and not tables.attached(connection, chain, dataset)
        ]


def there(
    engine: Engine, chain: Chain, datasets: Sequence[Dataset], blocks: BlockRange
) -> tuple[list[Dataset], list[Finding]]:
    """The datasets that have a table, and those merged in the range that have none."""
    found: list[Finding] = []
    with database.begin(engine) as connection:
        tabled = [d for d in datasets if tables.columns(connection, chain.name, d.name)]
        for dataset in datasets:
            if dataset in tabled:
                continue
            stream = {"chain": chain.name, "dataset": dataset.name}
            bounds = {"low": blocks.start, "stop": blocks.stop}
            runs = connection.execute(sa.text(_MERGED), {**stream, **bounds}).all()
            if runs:
                ranges = tuple(BlockRange(low, stop) for low, stop in runs)
                count = sum(len(run) for run in ranges)
                label = f"{chain.name}.{dataset.name}"
                found.append(
                    Finding("there", label, count, "there is no such table", ranges=ranges)
                )
    return tabled, found
