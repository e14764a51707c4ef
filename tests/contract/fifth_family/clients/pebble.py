"""A family nobody runs: `GET head` is a number, `GET blocks/5` a block.

404 is a height to come, 410 one that the node has dropped.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any

import msgspec

from chainflow.clients import Probed, _refusals
from chainflow.clients._ahead import linked
from chainflow.clients._failover import Nodes
from chainflow.clients._http import Node, session
from chainflow.clients._pace import DEFAULT, Limits
from chainflow.endpoints import Endpoint
from chainflow.errors import (
    HeightPruned,
    NodeUnavailable,
    NotYet,
    Unsupported,
    WorkError,
    WrongChain,
)
from chainflow.types import BlockRange, Chain, Heights, RawBlock

_ERRORS: dict[int, type[WorkError]] = {404: NotYet, 410: HeightPruned}


@asynccontextmanager
async def connect(
    chain: Chain, endpoints: Sequence[Endpoint], limits: Limits = DEFAULT
) -> AsyncIterator[PebbleClient]:
    """A client of one pebble chain."""
    async with session(limits) as opened:
        yield PebbleClient(chain, [Node(e, opened, limits) for e in endpoints], limits)


async def probe(endpoint: Endpoint, limits: Limits = DEFAULT) -> Probed:
    """What a pebble node says of itself."""
    async with session(limits) as opened:
        return Probed(chain_id=(await _ask(Node(endpoint, opened, limits), "head"))[0]["chain"])


class PebbleClient:
    """One pebble chain, asked through its endpoints."""

    def __init__(self, chain: Chain, nodes: Sequence[Node], limits: Limits) -> None:
        self._chain = chain
        self._limits = limits
        self._nodes = Nodes(chain.name, nodes, self._greet, limits)

    async def heights(self) -> Heights:
        """The newest height; every block is final."""
        if self._chain.finality_tag not in (None, "finalized"):
            raise Unsupported("only `finalized` is served")
        return await self._nodes.heights(_heights, self._shows)

    async def fetch(
        self, blocks: BlockRange, datasets: Collection[str]
    ) -> AsyncGenerator[RawBlock, None]:
        """Blocks of the range."""
        del datasets
        found = linked(blocks, self._read, span=lambda: 5, width=lambda: 2, limits=self._limits)
        async with aclosing(found):
            async for block in found:
                yield block

    async def _read(self, blocks: BlockRange, parent: str | None) -> list[RawBlock]:
        del parent  # this chain never forks
        return [
            await self._nodes.ask(partial(_block, height), f"height {height}") for height in blocks
        ]

    async def _shows(self, node: Node, height: int) -> None:
        await _block(height, node)

    async def _greet(self, node: Node) -> None:
        said, _ = await _ask(node, "head")
        if said["chain"] != self._chain.chain_id:
            raise WrongChain(f"expected {self._chain.chain_id}, got {said['chain']}")


async def _heights(node: Node) -> Heights:
    said, _ = await _ask(node, "head")
    return Heights(said["height"], said["height"])


async def _block(height: int, node: Node) -> RawBlock:
    said, size = await _ask(node, f"blocks/{height}")
    return RawBlock(
        height, said["hash"], said["parent"], said["time_ms"], said, size, host=node.host
    )


async def _ask(node: Node, path: str) -> tuple[dict[str, Any], int]:
    reply = await node.get(path)
    if reply.status != 200:
        kind = _ERRORS.get(reply.status) or _refusals.by_status(reply.status)
        raise kind(f"{path}: HTTP {reply.status}")
    try:
        return dict(msgspec.json.decode(reply.body)), len(reply.body)
    except (msgspec.DecodeError, TypeError, ValueError) as error:
        raise NodeUnavailable(f"{path}: {node.excerpt(reply.body)}") from error
