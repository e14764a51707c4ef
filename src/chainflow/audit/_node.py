"""Are the rows those that the chain's node gives now?"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import sqlalchemy as sa

from chainflow import checks, clients, endpoints, line
from chainflow import datasets as tables_of
from chainflow.store import database, rewind, rows
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
    """Rows that differ from those of the same heights, fetched and proven again.

    Those that a reorganisation removed meanwhile are no longer looked at.
    """
    with database.begin(engine) as opened:
        segments = checks.segments(opened, chain, datasets, blocks)
        known = rewind.last(opened, chain)
    found: list[Finding] = []
    for segment, names in segments:
        wanted = [dataset for dataset in datasets if dataset.name in names]
        found += asyncio.run(_compared(engine, chain, wanted, segment, connection, known))
    return checks.joined(found)


async def _compared(
    engine: Engine,
    chain: Chain,
    datasets: Sequence[Dataset],
    blocks: BlockRange,
    connection: Secrets,
    known: int,
) -> list[Finding]:
    found: list[Finding] = []
    names = {dataset.name for dataset in datasets}
    async with (
        clients.connect(chain, endpoints.resolve(chain.endpoints, connection)) as client,
        aclosing(client.fetch(blocks, names)) as stream,
        aclosing(line.slices(stream)) as slices,
    ):
        async for part in slices:
            found += await asyncio.to_thread(_differing, engine, chain, datasets, part, known)
    return found


def _differing(
    engine: Engine,
    chain: Chain,
    datasets: Sequence[Dataset],
    blocks: Sequence[RawBlock],
    known: int,
) -> list[Finding]:
    """What differs of blocks that were fetched when `known` was the last reorganisation."""
    part = BlockRange(blocks[0].height, blocks[-1].height + 1)
    found: list[Finding] = []
    with database.begin(engine) as connection:
        # What is still merged, and its rows, as of one moment, whoever merges or forgets meanwhile.
        connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        replaced = rewind.lowest_since(connection, chain, known)
        same = [block for block in blocks if replaced is None or block.height < replaced]
        for segment, names in checks.segments(connection, chain, datasets, part):
            there = [block for block in same if block.height in segment]
            if not there:
                continue
            still = BlockRange(there[0].height, there[-1].height + 1)
            left = [dataset for dataset in datasets if dataset.name in names]
            wanted = tables_of.decode(left, there)
            for dataset in left:
                query = rows.differing(connection, chain, dataset, still, wanted[dataset.name])
                label = f"{chain.name}.{dataset.name}"
                found += checks.ask(connection, "as_the_node", label, query)
    return found
