"""A few heights read together: what to ask one endpoint for them, what to keep of its answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from chainflow.clients import _tron_proof as proof
from chainflow.clients._health import refused
from chainflow.clients._tron_http import ask
from chainflow.errors import AnswerTooLarge, MalformedAnswer, NodeUnavailable, NotYet, WorkError
from chainflow.types import BlockRange, RawBlock
from chainflow.wire import tron as wire
from chainflow.wire.tron_columns import payload

if TYPE_CHECKING:
    import msgspec

    from chainflow.clients._http import Node
    from chainflow.wire.tron_columns import Payload, Said

_MOST_BLOCKS = 100  # java-tron answers `{}` to a wider range


class _Found(NamedTuple):
    """A proven block, what its transactions say, and the bytes it came in."""

    block: wire.Block
    said: Said
    size: int


@dataclass(slots=True)
class Span:
    """Heights read together, and what any endpoint has answered for them so far.

    `parent` is the hash that the first block must name, where it is known; `infos` whether the
    infos of the transactions are wanted.
    """

    blocks: BlockRange
    parent: str | None
    infos: bool
    found: dict[int, _Found] = field(default_factory=dict)
    whole: dict[int, RawBlock] = field(default_factory=dict)

    def missing(self) -> list[int]:
        """Heights not yet whole."""
        return [height for height in self.blocks if height not in self.whole]

    def taken(self) -> list[RawBlock]:
        """The whole blocks, ascending, which it then holds no longer.

        The retrying around it is garbage in a cycle, which may live for many spans more.
        """
        blocks = [self.whole[height] for height in self.blocks]
        self.whole.clear()
        self.found.clear()
        return blocks

    def forget(self, height: int) -> None:
        """Drop what was answered for a height, so that it is asked for anew."""
        self.whole.pop(height, None)
        self.found.pop(height, None)


async def fill(span: Span, node: Node) -> list[RawBlock]:
    """The blocks of a span, one endpoint being asked for what it lacks.

    What came is kept, whichever part of it fails; whole blocks are held no longer.

    Raises:
        WorkError: The first trouble, if a height is still missing.
    """
    troubles = await _read_blocks(node, span)
    troubles += await _read_infos(node, span)
    troubles += _unlink(span, node)
    if span.missing():
        raise troubles[0]
    return span.taken()


async def _read_blocks(node: Node, span: Span) -> list[WorkError]:
    """Keep the blocks not answered yet; what fails is returned."""
    lacking = [height for height in span.missing() if height not in span.found]
    troubles: list[WorkError] = []
    size = min(node.calls.size, _MOST_BLOCKS)
    while lacking:
        part = BlockRange(lacking[0], min(lacking[0] + size, lacking[-1] + 1))
        try:
            troubles += await _read_part(node, span, part)
        except AnswerTooLarge as error:
            if len(part) > 1:
                # Smaller than what was refused, whatever others may have grown it to meanwhile.
                size = node.calls.halve(len(part))
                continue
            troubles.append(error)
        except WorkError as error:
            troubles.append(error)
            break
        lacking = [height for height in lacking if height >= part.stop]
    return troubles


async def _read_part(node: Node, span: Span, part: BlockRange) -> list[WorkError]:
    # `endNum` is excluded: startNum 1 and endNum 5 are blocks 1 to 4 where Shasta was recorded
    # (tatumio/doc, getblockbylimitnext.md).
    path = "wallet/getblockbylimitnext"
    answer = await ask(node, path, startNum=part.start, endNum=part.stop)
    _pace(node, len(part), len(answer))
    try:
        raws = wire.blocks(answer)
    except MalformedAnswer as error:
        raise MalformedAnswer(f"heights {part}: {path}: {error}") from error
    if len(raws) > len(part):
        raise MalformedAnswer(f"heights {part}: {path}: {len(raws)} blocks")
    troubles: list[WorkError] = []
    for height, raw in zip(part, raws, strict=False):
        try:
            span.found[height] = _checked(raw, height)
        except MalformedAnswer as error:
            refused(node, height, error)
            troubles.append(error)
    if len(raws) < len(part):
        troubles.append(NotYet(f"height {part.start + len(raws)}: {path}: no such block"))
    return troubles


def _checked(raw: msgspec.Raw, height: int) -> _Found:
    try:
        block = wire.decode_block(raw)
    except MalformedAnswer as error:
        raise MalformedAnswer(f"height {height}: {error}") from error
    return _Found(block, proof.check_block(block, height), len(raw))


def _pace(node: Node, blocks: int, size: int) -> None:
    """Ask for more blocks at once while answers stay small, for fewer when they do not."""
    if size > node.limits.answer_bytes:
        node.calls.fit(blocks * node.limits.answer_bytes // size)
    elif blocks + 1 >= node.calls.size:
        node.calls.up()


async def _read_infos(node: Node, span: Span) -> list[WorkError]:
    """Make blocks whole, with their infos where those are wanted; what fails is returned."""
    todo = [height for height in span.missing() if height in span.found]
    troubles: list[WorkError] = []
    while todo and not any(isinstance(error, NodeUnavailable) for error in troubles):
        wave = todo[: node.window.size]
        todo = todo[len(wave) :]
        answers = await asyncio.gather(*(_complete(node, span, height) for height in wave))
        troubles += [error for error in answers if error is not None]
    return troubles


async def _complete(node: Node, span: Span, height: int) -> WorkError | None:
    found = span.found[height]
    block, said, size = found
    answer = b""
    try:
        if span.infos and block.transactions and height > 0:
            answer = await ask(node, "wallet/gettransactioninfobyblocknum", num=height)
        whole = _whole(found, answer) if span.infos else payload(block, said, None)
    except MalformedAnswer as error:
        refused(node, height, error)
        span.forget(height)
        return error
    except WorkError as error:
        return error
    header = block.header
    span.whole[height] = RawBlock(
        height=height,
        hash=block.block_id,
        parent_hash=header.parent_hash,
        time_ms=header.timestamp,
        payload=whole,
        size=size + len(answer),
        host=node.host,
    )
    return None


def _whole(found: _Found, answer: bytes) -> Payload:
    """A block with the infos of its transactions; the answer is empty where none is to be had."""
    block, said, _ = found
    height = block.header.number
    try:
        infos = wire.decode_infos(answer) if answer else []
        ordered = proof.matched_infos(block, said["tx_id"], infos)
        return payload(block, said, ordered)
    except MalformedAnswer as error:
        raise MalformedAnswer(f"height {height}: {error}") from error


def _unlink(span: Span, node: Node) -> list[WorkError]:
    """Drop everything where blocks of two branches meet: which is the chain's cannot be told."""
    found = [span.whole.get(height) for height in span.blocks]
    first = found[0]
    if first is not None and span.parent is not None and first.parent_hash != span.parent:
        troubles = [_unlinked(node, first, span.parent)]
    else:
        troubles = [
            _unlinked(node, above, below.hash)
            for below, above in pairwise(found)
            if below is not None and above is not None and above.parent_hash != below.hash
        ]
    if troubles:
        span.whole.clear()
        span.found.clear()
    return [*troubles]


def _unlinked(node: Node, block: RawBlock, below: str) -> MalformedAnswer:
    error = MalformedAnswer(
        f"height {block.height}: its parent is {block.parent_hash}, "
        f"but block {block.height - 1} is {below}"
    )
    refused(node, block.height, error)
    return error
