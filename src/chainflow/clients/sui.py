"""Sui, checkpoint by checkpoint, from a checkpoint store over HTTP or a node over gRPC.

An endpoint's URL says which: `grpc://` (in the clear) and `grpcs://` (TLS) are a node's or an
archival service's `LedgerService`, `http(s)://` is a checkpoint store's folder. Both give the same
BCS, so both give the same rows. Every certified checkpoint is final.

Source: MystenLabs/sui-apis, sui/rpc/v2; choices: docs/decisions/0085 to 0088.
"""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from chainflow.clients import Probed
from chainflow.clients import _sui_proof as proof
from chainflow.clients._ahead import linked
from chainflow.clients._failover import Nodes
from chainflow.clients._health import refused, told
from chainflow.clients._http import Node, session
from chainflow.clients._pace import DEFAULT, Limits
from chainflow.clients._sui_store import Store
from chainflow.errors import HeightPruned, MalformedAnswer, WrongChain
from chainflow.types import BlockRange, Chain, Heights, RawBlock
from chainflow.wire import _base58 as base58
from chainflow.wire import sui as wire

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence

    import aiohttp

    from chainflow.endpoints import Endpoint

log = logging.getLogger(__name__)

_GRPC = ("grpc", "grpcs")
_WITH_OBJECTS = "balance_changes"
_NO_CHAIN = "it does not say which chain it is (a store: by checkpoint 0): set chain_id by hand"


class Source(Protocol):
    """What speaks with one endpoint; see `_sui_store` and `_sui_grpc`."""

    async def head(self) -> int:
        """The newest checkpoint."""

    async def chain_id(self) -> str | None:
        """The digest of checkpoint 0; None where the endpoint does not tell it."""

    async def checkpoint(self, height: int, *, objects: bool) -> tuple[Any, int]:
        """A checkpoint's message, with objects if so wished, and how many bytes were sent."""

    async def pruned(self, height: int, *, objects: bool) -> HeightPruned | None:
        """Why the endpoint has not, or no longer, what is wished; None if it should have it."""


@asynccontextmanager
async def connect(
    chain: Chain, endpoints: Sequence[Endpoint], limits: Limits = DEFAULT
) -> AsyncIterator[SuiClient]:
    """A client of one Sui network; endpoints are asked by health, then in their order."""
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(session(limits))
        sources: dict[Node, Source] = {}
        for endpoint in endpoints:
            node, source = await _source(endpoint, opened, limits, chain.start, stack)
            sources[node] = source
        with told(chain.name, sources):
            yield SuiClient(chain, sources, limits)


async def probe(endpoint: Endpoint, limits: Limits = DEFAULT) -> Probed:
    """What a node or a checkpoint store says of itself.

    Raises:
        WorkError: It does not answer as one of them.
    """
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(session(limits))
        _, source = await _source(endpoint, opened, limits, 0, stack)
        await source.head()
        chain_id = await source.chain_id()
        lowest = 0 if isinstance(source, Store) else await _lowest(source)
        notes = () if chain_id is not None else (_NO_CHAIN,)
        return Probed(chain_id=chain_id, lowest=lowest, batches=False, notes=notes)


async def _lowest(source: Source) -> int | None:
    from chainflow.clients._sui_grpc import Ledger

    return await source.lowest() if isinstance(source, Ledger) else None


async def _source(
    endpoint: Endpoint,
    opened: aiohttp.ClientSession,
    limits: Limits,
    start: int,
    stack: AsyncExitStack,
) -> tuple[Node, Source]:
    node = Node(endpoint, opened, limits)
    if urlsplit(endpoint.url).scheme not in _GRPC:
        return node, Store(node, start)
    from chainflow.clients._sui_grpc import Ledger, channel

    return node, Ledger(node, endpoint, await stack.enter_async_context(channel(endpoint, limits)))


class SuiClient:
    """One Sui network, asked through its endpoints; see `clients.Client` for what it promises."""

    def __init__(self, chain: Chain, sources: Mapping[Node, Source], limits: Limits) -> None:
        self._chain = chain
        self._sources = sources
        self._limits = limits
        self._nodes = Nodes(chain.name, list(sources), self._greet, limits)

    async def heights(self) -> Heights:
        """The newest checkpoint, which is final."""
        return await self._nodes.heights(self._heights, self._shows)

    async def fetch(
        self, blocks: BlockRange, datasets: Collection[str]
    ) -> AsyncGenerator[RawBlock, None]:
        """Checkpoints of the range; a node is asked for objects only where they are needed."""
        objects = _WITH_OBJECTS in datasets
        found = linked(
            blocks,
            lambda part, parent: self._read(part, parent, objects=objects),
            # A request is one checkpoint; many are under way at once.
            span=lambda: 1,
            width=lambda: self._nodes.best.window.size,
            limits=self._limits,
        )
        async with aclosing(found):
            async for block in found:
                yield block

    async def _heights(self, node: Node) -> Heights:
        head = await self._sources[node].head()
        return Heights(head, head)

    async def _read(
        self, blocks: BlockRange, parent: str | None, *, objects: bool
    ) -> list[RawBlock]:
        """The one checkpoint of a span."""
        height = blocks.start

        async def ask(node: Node) -> list[RawBlock]:
            try:
                return [await self._checkpoint(node, height, parent, objects=objects)]
            except MalformedAnswer as error:
                refused(node, height, error)
                raise

        return await self._nodes.ask(ask, f"checkpoint {height}", hedge=ask)

    async def _checkpoint(
        self, node: Node, height: int, parent: str | None, *, objects: bool
    ) -> RawBlock:
        source = self._sources[node]
        said, size = await source.checkpoint(height, objects=objects)
        checkpoint = wire.decode(said)
        try:
            proof.check(checkpoint, height, objects=objects)
        except MalformedAnswer as error:
            # A node that has dropped objects leaves them out; everything else must agree.
            proof.check(checkpoint, height, objects=False)
            raise await source.pruned(height, objects=objects) or error from None
        previous = base58.encode(checkpoint.summary.previous_digest)
        if parent is not None and previous != parent:
            raise MalformedAnswer(
                f"its parent is {previous}, but checkpoint {height - 1} is {parent}"
            )
        return RawBlock(
            height=height,
            hash=base58.encode(checkpoint.digest),
            parent_hash=previous,
            time_ms=checkpoint.summary.timestamp_ms,
            payload=checkpoint,
            size=size,
            host=node.host,
        )

    async def _shows(self, node: Node, height: int) -> None:
        await self._checkpoint(node, height, None, objects=False)

    async def _greet(self, node: Node) -> None:
        """Refuse an endpoint that serves another chain than the registry says."""
        expected = self._chain.chain_id
        if expected is None:
            return
        given = await self._sources[node].chain_id()
        if given is None:
            # Its checkpoints link to those merged before, or are refused.
            log.info(
                "chain not proven chain=%s endpoint=%s reason=it does not say which it is",
                self._chain.name,
                node.host,
            )
        elif given != str(expected):
            raise WrongChain(f"expected chain id {expected}, got {given}")
