"""A few heights read together: what to ask one endpoint for them, what to keep of its answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from chainflow.clients import _evm_agree as agree
from chainflow.clients import _jsonrpc as jsonrpc
from chainflow.clients._health import refused
from chainflow.clients._jsonrpc import Call, Whole
from chainflow.errors import MalformedAnswer, NotYet, Unsupported, WorkError
from chainflow.types import BlockRange, RawBlock
from chainflow.wire import evm as wire
from chainflow.wire.evm_columns import has_unknown, payload, told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chainflow.clients._evm_proof import Proof
    from chainflow.clients._http import Node
    from chainflow.wire.evm_columns import Told

_Kept = msgspec.Raw | Whole[wire.Block | list[wire.Receipt]]
# An endpoint of a chain whose answers have fields that no struct names: they are read one by one.
_PLAIN_ANSWERS = "answers of known fields alone"
_BLOCK_RECEIPTS = "eth_getBlockReceipts"


@dataclass(slots=True)
class Span:
    """Heights read together, and what any endpoint has answered for them so far.

    `parent` is the hash that the first block must name, where it is known; `system_logs` as in
    `check_receipts`; `proof` is the chain's.
    """

    blocks: BlockRange
    parent: str | None
    receipts: bool
    system_logs: bool
    proof: Proof
    whole: dict[int, RawBlock] = field(default_factory=dict)
    kept: dict[Call, _Kept] = field(default_factory=dict)

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

    def forget(self, height: int) -> None:
        """Drop what was answered for a height, so that it is asked for anew."""
        self.whole.pop(height, None)
        about = _about(height)
        self.kept = {call: raw for call, raw in self.kept.items() if call.about != about}


async def fill(span: Span, node: Node) -> list[RawBlock]:
    """The blocks of a span, one endpoint being asked for what it lacks.

    What came is kept, whichever part of it fails; whole blocks are held no longer.

    Raises:
        WorkError: The first trouble, if a height is still missing.
    """
    with_receipts = span.receipts and _BLOCK_RECEIPTS not in node.lacks
    calls = [
        call
        for height in span.missing()
        for call in (_block(height), *([_block_receipts(height)] if with_receipts else ()))
    ]
    troubles = await _ask(node, span, calls)
    blocks = _decoded(span, troubles)
    if span.receipts and _BLOCK_RECEIPTS in node.lacks:
        troubles += await _ask(node, span, _receipt_calls(span, blocks))
    for height, block in blocks.items():
        try:
            if (found := _receipts(span, height, block)) is not None:
                span.whole[height] = await _whole(node, span, height, block, *found)
        except WorkError as error:
            span.forget(height)
            troubles.append(error)
    troubles += _unlink(span)
    if span.missing():
        raise troubles[0]
    return span.taken()


async def _ask(node: Node, span: Span, calls: Sequence[Call]) -> list[WorkError]:
    """Keep the answers to calls not answered yet; what fails is returned."""
    todo = [call for call in calls if call not in span.kept]
    troubles: list[WorkError] = []
    read = None if _PLAIN_ANSWERS in node.lacks else wire.decode_answers
    for call, outcome in zip(todo, await jsonrpc.call(node, todo, read), strict=True):
        if not isinstance(outcome, WorkError):
            if isinstance(outcome, Whole) or not jsonrpc.is_null(outcome):
                span.kept[call] = outcome
                continue
            outcome = NotYet(f"{call.about}: {call.method}: null")
        if call.method == _BLOCK_RECEIPTS and isinstance(outcome, Unsupported):
            node.lacks.add(_BLOCK_RECEIPTS)
        else:
            troubles.append(outcome)
    return troubles


def _decoded(span: Span, troubles: list[WorkError]) -> dict[int, wire.Block]:
    """The blocks answered for missing heights; what is wrong with one is added to the troubles."""
    blocks: dict[int, wire.Block] = {}
    for height in span.missing():
        if (kept := span.kept.get(_block(height))) is None:
            continue
        try:
            block = _block_of(kept)
            agree.check_block(block, height)
            blocks[height] = block
        except MalformedAnswer as error:
            span.forget(height)
            troubles.append(_at(height, error))
    return blocks


def _block_of(kept: _Kept) -> wire.Block:
    if not isinstance(kept, Whole):
        return wire.decode_block(kept)
    if isinstance(kept.value, wire.Block):
        return kept.value
    raise MalformedAnswer("a list in answer to a question for a block")


def _receipts(span: Span, height: int, block: wire.Block) -> tuple[list[wire.Receipt], int] | None:
    """A block's receipts and the bytes they came in; None while one is missing."""
    if not span.receipts:
        return [], 0
    if isinstance(kept := span.kept.get(_block_receipts(height)), Whole):
        if isinstance(kept.value, wire.Block):
            raise MalformedAnswer(f"{_about(height)}: a block in answer to a question for receipts")
        return kept.value, kept.size
    raw: bytes | msgspec.Raw | None = kept
    if raw is None:
        rows = [span.kept.get(_receipt(height, tx.hash)) for tx in block.transactions]
        found = [bytes(row) for row in rows if isinstance(row, msgspec.Raw)]
        if len(found) < len(rows):
            return None
        raw = b"[%b]" % b",".join(found)
    return _decoded_receipts(raw, height), len(raw)


async def _whole(
    node: Node, span: Span, height: int, block: wire.Block, receipts: list[wire.Receipt], size: int
) -> RawBlock:
    """The block and its receipts in their envelope, if they agree."""
    try:
        if span.receipts:
            await _complete_state_sync(node, height, block, receipts)
        said = told(block, receipts)
        if span.receipts:
            agree.check_receipts(block, receipts, said, height, system_logs=span.system_logs)
        if has_unknown(block, said):
            node.lacks.add(_PLAIN_ANSWERS)
        _prove(node, span, height, block, receipts, said)
        time_ms = wire.quantity(block.timestamp) * 1000
    except MalformedAnswer as error:
        raise _at(height, error) from error
    return RawBlock(
        height=height,
        hash=block.hash.lower(),
        parent_hash=block.parent_hash.lower(),
        time_ms=time_ms,
        payload=payload(block, receipts, said),
        size=_size(span.kept[_block(height)]) + size,
        host=node.host,
    )


def _size(kept: _Kept) -> int:
    return kept.size if isinstance(kept, Whole) else len(kept)


def _prove(
    node: Node,
    span: Span,
    height: int,
    block: wire.Block,
    receipts: list[wire.Receipt],
    said: Told,
) -> None:
    """Refuse what the block's own hash and roots do not bear out, and say who served it."""
    try:
        span.proof.check(block, receipts if span.receipts else None, height, said=said)
    except MalformedAnswer as error:
        refused(node, height, error)
        raise


def _decoded_receipts(raw: bytes | msgspec.Raw, height: int) -> list[wire.Receipt]:
    try:
        return wire.decode_receipts(raw)
    except MalformedAnswer:
        rows = msgspec.json.decode(raw)
        if isinstance(rows, list) and None in rows:
            raise NotYet(f"height {height}: a receipt is null") from None
        raise


async def _complete_state_sync(
    node: Node, height: int, block: wire.Block, receipts: list[wire.Receipt]
) -> None:
    """Ask by hash for the part of a state-sync transaction that a Bor node left out.

    Bor lists it with the block, with the receipts, or with both (0xPolygon/bor#564, #1654). Its
    logs are transfers like any other: no block is taken without them (docs/decisions/0023).
    """
    surplus = len(receipts) - len(block.transactions)
    if surplus == -1 and block.transactions[-1].hash == agree.state_sync_hash(block):
        raw = await _by_hash(node, height, "eth_getTransactionReceipt", block)
        receipts += wire.decode_receipts(b"[%b]" % raw)
    elif surplus == 1 and receipts[-1].transaction_hash == agree.state_sync_hash(block):
        raw = await _by_hash(node, height, "eth_getTransactionByHash", block)
        block.transactions.append(wire.decode_transaction(raw))
        agree.check_block(block, height)


async def _by_hash(node: Node, height: int, method: str, block: wire.Block) -> bytes:
    wanted = agree.state_sync_hash(block)
    (outcome,) = await jsonrpc.call(node, [Call(method, (wanted,), _about(height))])
    if isinstance(outcome, WorkError):
        raise outcome
    if jsonrpc.is_null(outcome):
        raise Unsupported(
            f"height {height}: {method} is null for the state-sync transaction {wanted}, "
            "whose logs would be lost; use an endpoint that serves it"
        )
    return bytes(outcome)


def _unlink(span: Span) -> list[WorkError]:
    """Forget each two neighbours that do not link: which of them is wrong cannot be seen."""
    troubles: list[WorkError] = []
    below = span.parent
    for height in span.blocks:
        block = span.whole.get(height)
        if block is not None and below is not None and block.parent_hash != below:
            troubles.append(
                MalformedAnswer(
                    f"height {height}: its parent is {block.parent_hash}, "
                    f"but block {height - 1} is {below}"
                )
            )
            span.forget(height)
            span.forget(height - 1)
        below = block.hash if block is not None else None
    return troubles


def _at(height: int, error: MalformedAnswer) -> MalformedAnswer:
    about = _about(height)
    text = str(error)
    return error if text.startswith(about) else MalformedAnswer(f"{about}: {text}")


def _about(height: int) -> str:
    return f"height {height}"


def _block(height: int) -> Call:
    return Call("eth_getBlockByNumber", (hex(height), True), _about(height))


def _block_receipts(height: int) -> Call:
    return Call(_BLOCK_RECEIPTS, (hex(height),), _about(height))


def _receipt(height: int, transaction_hash: str) -> Call:
    return Call("eth_getTransactionReceipt", (transaction_hash,), _about(height))


def _receipt_calls(span: Span, blocks: dict[int, wire.Block]) -> list[Call]:
    """Calls for the receipts of blocks whose receipts did not come in one piece."""
    return [
        _receipt(height, tx.hash)
        for height, block in blocks.items()
        if _block_receipts(height) not in span.kept
        for tx in block.transactions
    ]
