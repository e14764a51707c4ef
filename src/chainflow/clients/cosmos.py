"""Cosmos chains over CometBFT's RPC.

Per height `block` and `block_results`, several heights to a JSON-RPC batch; all that a header can
prove is proven before a block is given out.

Source: cometbft/cometbft, rpc/core; choices: docs/decisions/0090 to 0093.
"""

from __future__ import annotations

import logging
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from chainflow.clients import Probed
from chainflow.clients import _cosmos_agree as agree
from chainflow.clients import _jsonrpc as jsonrpc
from chainflow.clients._ahead import linked
from chainflow.clients._cosmos_span import Span, asked_status, fill
from chainflow.clients._failover import Nodes, opened
from chainflow.clients._http import Node, session
from chainflow.clients._jsonrpc import Call
from chainflow.clients._pace import DEFAULT, Limits
from chainflow.errors import MalformedAnswer, NotYet, Unsupported, WrongChain
from chainflow.types import BlockRange, Chain, Heights, RawBlock
from chainflow.wire.cosmos import integer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence

    from chainflow.endpoints import Endpoint
    from chainflow.wire.cosmos import Status

log = logging.getLogger(__name__)

# What CometBFT takes in a batch unless its operator says otherwise (max_request_batch_size).
_BATCH = 10
_WITHOUT_RESULTS = frozenset({"blocks"})


@asynccontextmanager
async def connect(
    chain: Chain, endpoints: Sequence[Endpoint], limits: Limits = DEFAULT
) -> AsyncIterator[CosmosClient]:
    """A client of one Cosmos chain; endpoints are asked by health, then in their order."""
    limits = replace(limits, calls_per_request=min(_BATCH, limits.calls_per_request))
    async with opened(chain.name, endpoints, limits) as nodes:
        yield CosmosClient(chain, nodes, limits)


async def probe(endpoint: Endpoint, limits: Limits = DEFAULT) -> Probed:
    """What a CometBFT node says of itself.

    Raises:
        WorkError: It does not answer, or not to `status`.
    """
    async with session(limits) as http:
        node = Node(endpoint, http, limits)
        status = await asked_status(node)
        known = status.sync_info
        head = known.latest_block_height
        calls = [Call(name, {"height": head}) for name in ("block", "block_results")]
        _, results = await jsonrpc.call(node, calls)
        told = isinstance(results, msgspec.Raw) and not jsonrpc.is_null(results)
        lacks = isinstance(results, Unsupported)
        return Probed(
            chain_id=status.node_info.network,
            lowest=integer(known.earliest_block_height, "earliest_block_height") or None,
            batches=node.calls.top > 1,
            receipts=told if told or lacks else None,
            notes=("it is still catching up with its chain",) if known.catching_up else (),
        )


class CosmosClient:
    """One Cosmos chain, asked through its endpoints; see `clients.Client` for what it promises."""

    def __init__(self, chain: Chain, nodes: Sequence[Node], limits: Limits) -> None:
        self._chain = chain
        self._network = None if chain.chain_id is None else str(chain.chain_id)
        self._limits = limits
        self._endpoints = len(nodes)
        self._nodes = Nodes(chain.name, nodes, self._greet, limits)

    async def heights(self) -> Heights:
        """The newest height, final like every block that a node of this family has."""
        return await self._nodes.heights(self._heights, self._shows)

    async def fetch(
        self, blocks: BlockRange, datasets: Collection[str]
    ) -> AsyncGenerator[RawBlock, None]:
        """Blocks of the range; their results are left out where no dataset needs them.

        The header above the range proves the last results in it. Where no endpoint has that yet,
        they are given out all the same, and the log says so.
        """
        results = not _WITHOUT_RESULTS.issuperset(datasets)
        calls_per_height = 2 if results else 1
        found = linked(
            blocks,
            lambda part, parent: self._read(part, parent, results=results),
            span=lambda: self._nodes.best.calls.size // calls_per_height,
            width=lambda: self._nodes.best.window.size,
            limits=self._limits,
        )
        proving = results and self._chain.verify == "roots"
        async with aclosing(found), aclosing(self._proven(found)) as proven:
            async for block in proven if proving else found:
                yield block

    async def _read(
        self,
        blocks: BlockRange,
        parent: str | None,
        *,
        results: bool,
        above: RawBlock | None = None,
    ) -> list[RawBlock]:
        first, other = (
            partial(fill, Span(blocks, parent, self._network, results, self._chain.verify, above))
            for _ in range(2)
        )
        return await self._nodes.ask(first, str(blocks), hedge=other)

    async def _proven(
        self, found: AsyncGenerator[RawBlock, None]
    ) -> AsyncGenerator[RawBlock, None]:
        """Each block, once the one above it has proven its results."""
        below: RawBlock | None = None
        async for block in found:
            if below is not None:
                yield await self._settled(below, block)
            below = block
        if below is None:
            return
        above = await self._above(below)
        if above is None:
            log.info("results not proven yet chain=%s height=%d", self._chain.name, below.height)
            yield below
        else:
            yield await self._settled(below, above)

    async def _settled(self, block: RawBlock, above: RawBlock) -> RawBlock:
        """The block as the one above it proves it: read again if it is not so yet."""
        try:
            agree.check_below(block, above)
        except MalformedAnswer:
            part = BlockRange(block.height, block.height + 1)
            (block,) = await self._read(part, block.parent_hash, results=True, above=above)
        return block

    async def _above(self, block: RawBlock) -> RawBlock | None:
        """The block above one, without its results; None where no endpoint has it yet.

        Whoever has none above it is not asked for one: there are many words for a height to come.
        """
        part = BlockRange(block.height + 1, block.height + 2)
        lacking: set[Node] = set()

        async def ask(node: Node) -> RawBlock | None:
            span = Span(part, block.hash, self._network, results=False, verify=self._chain.verify)
            if _head(await asked_status(node)) > block.height:
                return (await fill(span, node))[0]
            if node in lacking or len(lacking) + 1 == self._endpoints:
                return None
            lacking.add(node)
            raise NotYet(f"height {part.start}: no block above the newest one yet")

        try:
            return await self._nodes.ask(ask, str(part))
        except NotYet:
            return None

    async def _shows(self, node: Node, height: int) -> None:
        blocks = BlockRange(height, height + 1)
        await fill(
            Span(blocks, None, self._network, results=False, verify=self._chain.verify), node
        )

    async def _greet(self, node: Node) -> None:
        """Refuse an endpoint that serves another chain than the registry says."""
        if self._network is None:
            return
        given = (await asked_status(node)).node_info.network
        if given != self._network:
            raise WrongChain(f"expected chain id {self._network}, got {node.excerpt(given)}")

    async def _heights(self, node: Node) -> Heights:
        status = await asked_status(node)
        head = _head(status)
        if head == 0:
            raise NotYet("the node has no block yet")
        if status.sync_info.catching_up:
            log.warning(
                "node is catching up chain=%s endpoint=%s head=%d",
                self._chain.name,
                node.host,
                head,
            )
        return Heights(head, head)


def _head(status: Status) -> int:
    return integer(status.sync_info.latest_block_height, "latest_block_height")
