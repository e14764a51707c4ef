"""Are the rows those that the chain's node gives now?"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from chainflow import checks, clients, endpoints, line
from chainflow import datasets as tables_of
from chainflow.store import database, rows
from chainflow.types import BlockRange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import Engine

    from chainflow.line import Secrets
    from chainflow.types import Chain, Dataset, Finding, RawBlock


def findings(
    engine: Engine,
    chain: Chain,
    datasets: Sequence[Dataset],
    blocks: BlockRange,
    connection: Secrets,
) -> list[Finding]:
    """Rows that differ from those of the same heights, fetched and proven again."""
    with database.begin(engine) as opened:
        segments = checks.segments(opened, chain, datasets, blocks)
    found: list[Finding] = []
    for segment, names in segments:
        wanted = [dataset for dataset in datasets if dataset.name in names]
        found += asyncio.run(_compared(engine, chain, wanted, segment, connection))
    return checks.joined(found)


async def _compared(
    engine: Engine,
    chain: Chain,
    datasets: Sequence[Dataset],
    blocks: BlockRange,
    connection: Secrets,
) -> list[Finding]:
    found: list[Finding] = []
    names = {dataset.name for dataset in datasets}
    async with (
        clients.connect(chain, endpoints.resolve(chain.endpoints, connection)) as client,
        aclosing(client.fetch(blocks, names)) as stream,
        aclosing(line.slices(stream)) as slices,
    ):
        async for part in slices:
            found += await asyncio.to_thread(_differing, engine, chain, datasets, part)
    return found


def _differing(
    engine: Engine, chain: Chain, datasets: Sequence[Dataset], blocks: Sequence[RawBlock]
) -> list[Finding]:
    wanted = tables_of.decode(datasets, blocks)
    part = BlockRange(blocks[0].height, blocks[-1].height + 1)
    found: list[Finding] = []
    with database.begin(engine) as connection:
        for dataset in datasets:
            query = rows.differing(connection, chain, dataset, part, wanted[dataset.name])
            label = f"{chain.name}.{dataset.name}"
            found += checks.ask(connection, "as_the_node", label, query)
    return found
