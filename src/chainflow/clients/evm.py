"""EVM chains over Ethereum's JSON-RPC.

Per height `eth_getBlockByNumber` with full transactions and `eth_getBlockReceipts`, several heights
to a request; `eth_getTransactionReceipt` in batches from an endpoint that lacks block receipts.

Source: ethereum/execution-apis; choices: docs/decisions/0020 to 0024.
"""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import msgspec

from chainflow.clients import Probed
from chainflow.clients import _evm_agree as agree
from chainflow.clients import _jsonrpc as jsonrpc
from chainflow.clients._ahead import linked
from chainflow.clients._evm_proof import Proof
from chainflow.clients._evm_span import Span, fill
from chainflow.clients._failover import Nodes, opened
from chainflow.clients._http import Node, session
from chainflow.clients._jsonrpc import Call
from chainflow.clients._pace import DEFAULT, Limits
from chainflow.errors import MalformedAnswer, NotYet, RequestRefused, Unsupported, WrongChain
from chainflow.types import BlockRange, Chain, Heights, RawBlock
from chainflow.wire import evm as wire

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence

    from chainflow.endpoints import Endpoint

_T = TypeVar("_T")
_WITHOUT_RECEIPTS = frozenset({"blocks", "withdrawals"})


class _Header(msgspec.Struct):
    number: str


@asynccontextmanager
async def connect(
    chain: Chain, endpoints: Sequence[Endpoint], limits: Limits = DEFAULT
) -> AsyncIterator[EvmClient]:
    """A client of one EVM chain; endpoints are asked by health, then in their order."""
    async with opened(chain.name, endpoints, limits) as nodes:
        yield EvmClient(chain, nodes, limits)


async def probe(endpoint: Endpoint, limits: Limits = DEFAULT) -> Probed:
    """What an EVM node says of itself.

    Raises:
        WorkError: It does not answer, or not to `eth_chainId` and `eth_blockNumber`.
    """
    async with session(limits) as http:
        node = Node(endpoint, http, limits)
        chain_id, head = await jsonrpc.call(
            node, [Call("eth_chainId", ()), Call("eth_blockNumber", ())]
        )
        known = _quantity(chain_id)
        (receipts,) = await jsonrpc.call(
            node, [Call("eth_getBlockReceipts", (hex(_quantity(head)),))]
        )
        lacks = isinstance(receipts, Unsupported)
        told = isinstance(receipts, msgspec.Raw) and not jsonrpc.is_null(receipts)
        return Probed(
            chain_id=known, batches=node.calls.top > 1, receipts=told if told or lacks else None
        )


class EvmClient:
    """One EVM chain, asked through its endpoints; see `clients.Client` for what it promises."""

    def __init__(self, chain: Chain, nodes: Sequence[Node], limits: Limits) -> None:
        self._chain = chain
        self._limits = limits
        self._proof = Proof(chain)
        self._nodes = Nodes(chain.name, nodes, self._greet, limits)

    async def heights(self) -> Heights:
        """The newest height, and that of the chain's finality tag."""
        return await self._nodes.heights(self._heights, self._shows)

    async def fetch(
        self, blocks: BlockRange, datasets: Collection[str]
    ) -> AsyncGenerator[RawBlock, None]:
        """Blocks of the range; their receipts are left out where no dataset needs them."""
        receipts = not _WITHOUT_RECEIPTS.issuperset(datasets)
        calls_per_height = 2 if receipts else 1
        found = linked(
            blocks,
            lambda part, parent: self._read(part, parent, receipts=receipts),
            span=lambda: self._nodes.best.calls.size // calls_per_height,
            width=lambda: self._nodes.best.width,
            limits=self._limits,
        )
        async with aclosing(found):
            async for block in found:
                yield block

    async def _read(
        self, blocks: BlockRange, parent: str | None, *, receipts: bool
    ) -> list[RawBlock]:
        system_logs = self._chain.chain_id in agree.SYSTEM_LOG_CHAINS
        first, other = (
            partial(
                fill, Span(blocks, parent, receipts, system_logs=system_logs, proof=self._proof)
            )
            for _ in range(2)
        )
        return await self._nodes.ask(first, str(blocks), hedge=other)

    async def _shows(self, node: Node, height: int) -> None:
        blocks = BlockRange(height, height + 1)
        await fill(Span(blocks, None, receipts=False, system_logs=False, proof=self._proof), node)

    async def _greet(self, node: Node) -> None:
        """Refuse an endpoint that serves another chain than the registry says."""
        if self._chain.chain_id is None:
            return
        (outcome,) = await jsonrpc.call(node, [Call("eth_chainId", ())])
        given = _quantity(outcome)
        if str(given) != str(self._chain.chain_id):
            raise WrongChain(f"expected chain id {self._chain.chain_id}, got {given}")

    async def _heights(self, node: Node) -> Heights:
        tag = self._chain.finality_tag
        calls = [Call("eth_blockNumber", ())]
        if tag is not None:
            calls.append(Call("eth_getBlockByNumber", (tag, False)))
        head, *tagged = await jsonrpc.call(node, calls)
        newest = _quantity(head)
        if tag is None:
            return Heights(newest, None)
        finalized = _tagged(tag, tagged[0])
        # A backend behind the one that knows the finalized block may have answered the head.
        return Heights(max(newest, finalized), finalized)


def _quantity(outcome: jsonrpc.Outcome) -> int:
    return wire.quantity(_decode(jsonrpc.result(outcome), str))


def _tagged(tag: str, outcome: jsonrpc.Outcome) -> int:
    """The height that a tag stands for."""
    if isinstance(outcome, NotYet | RequestRefused | Unsupported):
        why = str(outcome)
    elif isinstance(outcome, msgspec.Raw) and jsonrpc.is_null(outcome):
        why = "null"
    else:
        return wire.quantity(_decode(jsonrpc.result(outcome), _Header).number)
    raise Unsupported(
        f"no block for the tag {tag!r} ({why}); where the chain's nodes do not serve it, set "
        "`finality: {confirmations: N}`"
    )


def _decode(raw: msgspec.Raw, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.DecodeError as error:
        raise MalformedAnswer(f"not what was asked for: {error}") from error
