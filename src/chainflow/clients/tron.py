"""Tron over a full node's HTTP API.

Per span of heights one `wallet/getblockbylimitnext`, per block one
`wallet/gettransactioninfobyblocknum`. A provider's key goes into a header that the endpoint's
connection names (TronGrid: TRON-PRO-API-KEY).

Source: tronprotocol/java-tron; choices: docs/decisions/0080 to 0083.
"""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from chainflow.clients import Probed
from chainflow.clients import _tron_proof as proof
from chainflow.clients._ahead import linked
from chainflow.clients._failover import Nodes, opened
from chainflow.clients._http import Node, session
from chainflow.clients._pace import DEFAULT, Limits
from chainflow.clients._tron_http import ask
from chainflow.clients._tron_span import Span, fill
from chainflow.errors import MalformedAnswer, RequestRefused, Unsupported, WrongChain
from chainflow.types import BlockRange, Chain, Heights, RawBlock
from chainflow.wire import tron as wire

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence

    from chainflow.endpoints import Endpoint

_WITHOUT_INFOS = frozenset({"blocks"})
_TAG = "finalized"
_ADVICE = "; where the chain's nodes do not serve it, set `finality: {confirmations: 19}`"


@asynccontextmanager
async def connect(
    chain: Chain, endpoints: Sequence[Endpoint], limits: Limits = DEFAULT
) -> AsyncIterator[TronClient]:
    """A client of one Tron network; endpoints are asked by health, then in their order."""
    async with opened(chain.name, endpoints, limits) as nodes:
        yield TronClient(chain, nodes, limits)


async def probe(endpoint: Endpoint, limits: Limits = DEFAULT) -> Probed:
    """What a Tron full node says of itself.

    Raises:
        WorkError: It does not answer, or not as a Tron node.
    """
    async with session(limits) as http:
        node = Node(endpoint, http, limits)
        genesis = await _genesis(node)
        height = await _height(node, "wallet/getnowblock")
        try:
            wire.decode_infos(await ask(node, "wallet/gettransactioninfobyblocknum", num=height))
        except (Unsupported, RequestRefused):
            return Probed(chain_id=proof.chain_id(genesis), batches=False, receipts=False)
        return Probed(chain_id=proof.chain_id(genesis), batches=False, receipts=True)


class TronClient:
    """One Tron network, asked through its endpoints; see `clients.Client` for its promises."""

    def __init__(self, chain: Chain, nodes: Sequence[Node], limits: Limits) -> None:
        self._chain = chain
        self._limits = limits
        self._nodes = Nodes(chain.name, nodes, self._greet, limits)

    async def heights(self) -> Heights:
        """The newest height, and the solidified one where the chain's entry asks for it."""
        return await self._nodes.heights(self._heights, self._shows)

    async def fetch(
        self, blocks: BlockRange, datasets: Collection[str]
    ) -> AsyncGenerator[RawBlock, None]:
        """Blocks of the range; their infos are left out where no dataset needs them."""
        infos = not _WITHOUT_INFOS.issuperset(datasets)
        found = linked(
            blocks,
            lambda part, parent: self._read(part, parent, infos=infos),
            span=lambda: self._nodes.best.calls.size,
            width=lambda: self._nodes.best.window.size,
            limits=self._limits,
        )
        async with aclosing(found):
            async for block in found:
                yield block

    async def _read(self, blocks: BlockRange, parent: str | None, *, infos: bool) -> list[RawBlock]:
        first, other = (partial(fill, Span(blocks, parent, infos)) for _ in range(2))
        return await self._nodes.ask(first, str(blocks), hedge=other)

    async def _shows(self, node: Node, height: int) -> None:
        await fill(Span(BlockRange(height, height + 1), None, infos=False), node)

    async def _greet(self, node: Node) -> None:
        """Refuse an endpoint that serves another network than the registry says."""
        if self._chain.chain_id is None:
            return
        given = proof.chain_id(await _genesis(node))
        if str(given) != str(self._chain.chain_id):
            raise WrongChain(f"expected chain id {self._chain.chain_id}, got {given}")

    async def _heights(self, node: Node) -> Heights:
        tag = self._chain.finality_tag
        if tag not in (None, _TAG):
            raise Unsupported(f"Tron knows no finality {tag!r}, only {_TAG!r}")
        head = await _height(node, "wallet/getnowblock")
        if tag is None:
            return Heights(head, None)
        try:
            solid = await _height(node, "walletsolidity/getnowblock")
        except (Unsupported, RequestRefused) as error:
            raise Unsupported(f"{error}{_ADVICE}") from error
        # A backend behind the one that knows the solidified block may have answered the head.
        return Heights(max(head, solid), solid)


async def _genesis(node: Node) -> wire.Block:
    block = wire.decode_header(await ask(node, "wallet/getblockbynum", num=0))
    proof.check_header(block)
    if block.header.number != 0:
        raise MalformedAnswer(f"height 0: the answer is block {block.header.number}")
    return block


async def _height(node: Node, path: str) -> int:
    block = wire.decode_header(await ask(node, path))
    proof.check_header(block)
    return block.header.number
