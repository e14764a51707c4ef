"""A sample of blocks, asked of two endpoints by themselves: both must have what is to be merged.

What no hash of a block covers, and a chain whose hashes prove nothing, can be told only so. Who
served a block is not asked: of two endpoints one at least did not.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chainflow import clients
from chainflow import datasets as tables_of
from chainflow.errors import InputError, MalformedAnswer, NodeUnavailable, WorkError
from chainflow.types import BlockRange

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from chainflow.clients import Client
    from chainflow.endpoints import Endpoint
    from chainflow.types import Chain, Dataset, RawBlock

log = logging.getLogger(__name__)

# For one endpoint and block, retries included.
_SECONDS = 30.0
_WITNESSES = 2


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """Clients of a chain's endpoints, one each, by host; every so many blocks one is compared."""

    chain: Chain
    every: int
    witnesses: Mapping[str, Client]

    async def demand(self, blocks: Sequence[RawBlock], datasets: Sequence[Dataset]) -> None:
        """Make sure that two endpoints have what is to be merged of the sampled blocks.

        Raises:
            MalformedAnswer: They do not, in the words of both.
            WorkError: Fewer than two could be asked.
        """
        for block in blocks:
            if block.height % self.every == 0:
                await self._demand(block, datasets)

    async def _demand(self, block: RawBlock, datasets: Sequence[Dataset]) -> None:
        place = f"{self.chain.name} height {block.height}"
        ours = await asyncio.to_thread(_facts, block, datasets)
        said: dict[str, str] = {}
        troubles: list[WorkError] = []
        for host, client in self.witnesses.items():
            try:
                theirs = await _one(client, block.height, datasets)
            except WorkError as error:
                troubles.append(error)
                continue
            said[host] = await asyncio.to_thread(_facts, theirs, datasets)
            if len(said) == _WITNESSES:
                break
        if any(facts != ours for facts in said.values()):
            told = "; ".join(f"{host} has {facts}" for host, facts in said.items())
            raise MalformedAnswer(
                f"{place}: the endpoints disagree, nothing of it is merged: {told}; to be merged "
                f"was {ours}; take out of the chain's endpoints whichever is wrong"
            )
        if len(said) < _WITNESSES:
            words = "; ".join(map(str, troubles))
            raise type(troubles[-1])(
                f"{place}: cross_check_blocks wants {_WITNESSES} endpoints that have it, and "
                f"{len(said)} had: {words}"
            )
        log.info("cross-checked chain=%s height=%d", self.chain.name, block.height)


@asynccontextmanager
async def opened(chain: Chain, endpoints: Sequence[Endpoint]) -> AsyncIterator[CrossCheck | None]:
    """What compares a chain's blocks, open while the context lasts; None if its entry wants none.

    Raises:
        InputError: The chain has fewer than two endpoints.
    """
    if chain.cross_check_blocks is None:
        yield None
        return
    hosts = {endpoint.host: endpoint for endpoint in endpoints}
    if len(hosts) < _WITNESSES:
        raise InputError(
            f"{chain.name}: cross_check_blocks needs {_WITNESSES} endpoints of different hosts "
            f"(found {', '.join(hosts)})"
        )
    async with AsyncExitStack() as stack:
        witnesses = {
            host: await stack.enter_async_context(clients.connect(chain, [endpoint]))
            for host, endpoint in hosts.items()
        }
        yield CrossCheck(chain, chain.cross_check_blocks, witnesses)


async def _one(client: Client, height: int, datasets: Sequence[Dataset]) -> RawBlock:
    names = {dataset.name for dataset in datasets}
    found = client.fetch(BlockRange(height, height + 1), names)
    try:
        async with asyncio.timeout(_SECONDS), aclosing(found) as blocks:
            return await anext(blocks)
    except TimeoutError:
        raise NodeUnavailable(f"no block {height} within {_SECONDS:g} s") from None


def _facts(block: RawBlock, datasets: Sequence[Dataset]) -> str:
    """What two nodes must agree in, whatever else they say in words of their own."""
    tables = tables_of.decode(datasets, [block])
    rows = ", ".join(f"{table.num_rows} {name}" for name, table in tables.items())
    return f"{block.hash} ({rows})"
