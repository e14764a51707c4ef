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
from chainflow.clients import _jsonrpc as jsonrpc
from chainflow.clients._ahead import linked
from chainflow.clients._cosmos_span import Span, asked_status, fill
from chainflow.clients._failover import Nodes, opened
from chainflow.clients._http import Node, session
from chainflow.clients._jsonrpc import Call
from chainflow.clients._pace import DEFAULT, Limits
from chainflow.errors import NotYet, Unsupported, WrongChain
from chainflow.types import BlockRange, Chain, Heights, RawBlock
from chainflow.wire.cosmos import integer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence

    from chainflow.endpoints import Endpoint

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
        self._nodes = Nodes(chain.name, nodes, self._greet, limits)

    async def heights(self) -> Heights:
        """The newest height, final like every block that a node of this family has."""
        return await self._nodes.heights(self._heights, self._shows)

    async def fetch(
        self, blocks: BlockRange, datasets: Collection[str]
    ) -> AsyncGenerator[RawBlock, None]:
        """Blocks of the range; their results are left out where no dataset needs them."""
        results = not _WITHOUT_RESULTS.issuperset(datasets)
        calls_per_height = 2 if results else 1
        found = linked(
            blocks,
            lambda part, parent: self._read(part, parent, results=results),
            span=lambda: self._nodes.best.calls.size // calls_per_height,
            width=lambda: self._nodes.best.window.size,
            limits=self._limits,
        )
        async with aclosing(found):
            async for block in found:
                yield block

    async def _read(
        self, blocks: BlockRange, parent: str | None, *, results: bool
    ) -> list[RawBlock]:
        first, other = (
            partial(fill, Span(blocks, parent, self._network, results, self._chain.verify))
            for _ in range(2)
        )
        return await self._nodes.ask(first, str(blocks), hedge=other)

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
        known = (await asked_status(node)).sync_info
        head = integer(known.latest_block_height, "latest_block_height")
        if head == 0:
            raise NotYet("the node has no block yet")
        if known.catching_up:
            log.warning(
                "node is catching up chain=%s endpoint=%s head=%d",
                self._chain.name,
                node.host,
                head,
            )
        return Heights(head, head)
