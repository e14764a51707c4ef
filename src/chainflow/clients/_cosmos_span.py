"""A few heights read together: what to ask one endpoint for them, what to keep of its answers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from chainflow.clients import _cosmos_agree as agree
from chainflow.clients import _cosmos_hashes as hashes
from chainflow.clients import _jsonrpc as jsonrpc
from chainflow.clients._health import refused
from chainflow.clients._jsonrpc import Call
from chainflow.errors import (
    HeightPruned,
    MalformedAnswer,
    NotYet,
    RequestRefused,
    WorkError,
)
from chainflow.types import BlockRange, RawBlock
from chainflow.wire import cosmos as wire
from chainflow.wire.cosmos_columns import payload, transaction_hashes

if TYPE_CHECKING:
    import msgspec

    from chainflow.clients._http import Node
    from chainflow.types import Verify

_BLOCK, _RESULTS = "block", "block_results"
Want = tuple[str, int]
Trouble = tuple[Want, WorkError]


@dataclass(slots=True)
class Span:
    """Heights read together, and what any endpoint has answered for them so far.

    `parent` is the hash that the first block must name, where it is known; `network` the id of the
    chain, where the registry names it; `verify` as the registry has it; `above` the block above the
    last one, where that is known and must prove it.
    """

    blocks: BlockRange
    parent: str | None
    network: str | None
    results: bool
    verify: Verify
    above: RawBlock | None = None
    whole: dict[int, RawBlock] = field(default_factory=dict)
    kept: dict[Want, msgspec.Raw] = field(default_factory=dict)

    def missing(self) -> list[int]:
        """Heights not yet whole."""
        return [height for height in self.blocks if height not in self.whole]

    def taken(self) -> list[RawBlock]:
        """The whole blocks, ascending, which it then holds no longer.

        The retrying around it is garbage in a cycle, which may live for many spans more.
        """
        blocks = [self.whole[height] for height in self.blocks]
        self.whole.clear()
        self.kept.clear()
        return blocks

    def wanted(self, height: int) -> list[Want]:
        """What makes a height whole."""
        return [(_BLOCK, height), *([(_RESULTS, height)] if self.results else ())]

    def forget(self, height: int) -> None:
        """Drop what was answered for a height, so that it is asked for anew."""
        self.whole.pop(height, None)
        for want in ((_BLOCK, height), (_RESULTS, height)):
            self.kept.pop(want, None)


async def fill(span: Span, node: Node) -> list[RawBlock]:
    """The blocks of a span, one endpoint being asked for what it lacks.

    What came is kept, whichever part of it fails; whole blocks are held no longer.

    Raises:
        WorkError: The first trouble, if a height is still missing.
    """
    troubles = await _ask(node, span)
    for height in span.missing():
        if all(want in span.kept for want in span.wanted(height)):
            try:
                span.whole[height] = replace(_whole(span, height), host=node.host)
            except (MalformedAnswer, NotYet) as error:
                span.forget(height)
                troubles.append(((_BLOCK, height), _at(height, error)))
    troubles += _disprove(span)
    for (_, height), trouble in troubles:
        refused(node, height, trouble)
    if span.missing():
        raise await _explained(node, *troubles[0])
    return span.taken()


async def _ask(node: Node, span: Span) -> list[Trouble]:
    """Keep the answers to what was not answered yet; what fails is returned."""
    todo = [
        want for height in span.missing() for want in span.wanted(height) if want not in span.kept
    ]
    calls = [Call(name, {"height": str(height)}, f"height {height}") for name, height in todo]
    troubles: list[Trouble] = []
    for want, outcome in zip(todo, await jsonrpc.call(node, calls), strict=True):
        if isinstance(outcome, WorkError):
            troubles.append((want, outcome))
        elif jsonrpc.is_null(outcome):
            troubles.append((want, NotYet(f"height {want[1]}: {want[0]}: null")))
        else:
            span.kept[want] = outcome
    return troubles


def _whole(span: Span, height: int) -> RawBlock:
    """The block and its results in their envelope, if they agree."""
    answers = [span.kept[want] for want in span.wanted(height)]
    answer = wire.decode_block(answers[0])
    block = answer.block
    if block is None:
        raise NotYet("no block in the answer")
    sent = transaction_hashes(block)
    agree.check_block(answer, block, sent, height, span.network, span.verify)
    results = wire.decode_results(answers[1]) if span.results else None
    results_hash = None
    if results is not None:
        agree.check_results(block, results, height)
        results_hash = hashes.results_hash(results.txs_results or ())
    seconds, nanoseconds = hashes.instant(block.header.time)
    return RawBlock(
        height=height,
        hash=answer.block_id.hash.upper(),
        parent_hash=block.header.last_block_id.hash.upper(),
        time_ms=seconds * 1000 + nanoseconds // 10**6,
        payload=payload(answer.block_id, block, results, sent, results_hash),
        size=sum(map(len, answers)),
    )


def _disprove(span: Span) -> list[Trouble]:
    """Forget neighbours that do not link, and a last block that the one above it disproves."""
    troubles: list[Trouble] = []
    parent = span.parent
    for height in span.blocks:
        block = span.whole.get(height)
        if block is not None and parent is not None and block.parent_hash != parent:
            text = f"its parent is {block.parent_hash}, but block {height - 1} is {parent}"
            troubles.append(((_BLOCK, height), _at(height, MalformedAnswer(text))))
            span.forget(height)
            span.forget(height - 1)
        parent = block.hash if block is not None else None
    height = span.blocks.last
    if span.above is not None and height in span.whole:
        try:
            agree.check_below(span.whole[height], span.above)
        except MalformedAnswer as error:
            troubles.append(((_RESULTS, height), _at(height, error)))
            span.forget(height)
    return troubles


async def _explained(node: Node, want: Want, error: WorkError) -> WorkError:
    """The error, in words that say what to do where the node has not what was asked for.

    A node drops blocks, or their results apart from them, or its chain begins higher; and the
    results of its newest block come a moment after it.
    """
    name, height = want
    if not isinstance(error, HeightPruned | NotYet | RequestRefused):
        return error
    status = await asked_status(node)
    first = wire.integer(status.sync_info.earliest_block_height, "earliest_block_height")
    head = wire.integer(status.sync_info.latest_block_height, "latest_block_height")
    if height < first:
        if await _begins_at(node, first):
            advice = f"the chain begins at {first}; set `start: {first}` in the registry"
            return RequestRefused(f"height {height}: {advice}")
        return HeightPruned(f"height {height}: the node has dropped all below {first}")
    if name == _RESULTS and isinstance(error, NotYet) and height < head:
        return HeightPruned(f"height {height}: the node has the block and dropped its results")
    return error


async def asked_status(node: Node) -> wire.Status:
    """What an endpoint says of its chain and its place in it.

    Raises:
        MalformedAnswer: It lacks a field, or has one of the wrong type.
    """
    (outcome,) = await jsonrpc.call(node, [Call("status", {})])
    return wire.decode_status(jsonrpc.result(outcome))


async def _begins_at(node: Node, height: int) -> bool:
    """Whether the block of a height has none before it."""
    (outcome,) = await jsonrpc.call(node, [Call(_BLOCK, {"height": str(height)})])
    block = wire.decode_block(jsonrpc.result(outcome)).block
    return block is not None and not block.header.last_block_id.hash


def _at(height: int, error: MalformedAnswer | NotYet) -> WorkError:
    return type(error)(f"height {height}: {error}")
