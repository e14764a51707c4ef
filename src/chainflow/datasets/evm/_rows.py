"""What a block holds, as rows: its transactions, their receipts, their logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from chainflow.datasets._rows import Rows, rows
from chainflow.errors import MalformedAnswer
from chainflow.wire.evm import Log, Receipt, Transaction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chainflow.types import RawBlock

T = TypeVar("T", Transaction, Receipt, Log)


def transactions(blocks: Sequence[RawBlock]) -> Rows[Transaction]:
    """Every transaction of the blocks.

    Raises:
        MalformedAnswer: One of them says it stands in another block.
    """
    return rows(blocks, lambda block: _own(block, "transaction", block.payload.block.transactions))


def receipts(blocks: Sequence[RawBlock]) -> list[Receipt]:
    """The receipt of every transaction, in the order of the transactions.

    Where the node gave none, one that says nothing.

    Raises:
        MalformedAnswer: A receipt belongs to another block, to no transaction of its block, or to
            one that has another.
    """
    return [receipt for block in blocks for receipt in _receipts(block)]


def logs(blocks: Sequence[RawBlock]) -> Rows[Log]:
    """Every log of the blocks.

    Raises:
        MalformedAnswer: One of them says it stands in another block.
    """
    return rows(blocks, _logs)


def block_timestamps(found: Rows[Any]) -> list[str]:
    """The node's timestamp of the block of every row, as hex text."""
    timestamps = [block.payload.block.timestamp for block in found.blocks]
    return [timestamps[owner] for owner in found.owners]


def log_indexes(blocks: Sequence[RawBlock]) -> list[str]:
    """The index of every log in its block, as hex text.

    Some nodes count from 0 again in each transaction; there the logs are counted through the block.
    Any other doubled index is the node's mistake, and stays for the checks to find.
    """
    return [index for block in blocks for index in _log_indexes(block.payload.receipts)]


def _log_indexes(receipts: Sequence[Receipt]) -> list[str]:
    given = [log.log_index for receipt in receipts for log in receipt.logs]
    if len(set(given)) == len(given):
        return given
    restarted = [hex(i) for receipt in receipts for i in range(len(receipt.logs))]
    return [hex(i) for i in range(len(given))] if given == restarted else given


def _logs(block: RawBlock) -> Sequence[Log]:
    return _own(block, "log", [log for r in block.payload.receipts for log in r.logs])


def _receipts(block: RawBlock) -> Sequence[Receipt]:
    given = _own(block, "receipt", block.payload.receipts)
    sent = block.payload.block.transactions
    if [receipt.transaction_hash for receipt in given] == [one.hash for one in sent]:
        return given
    by_hash = {receipt.transaction_hash: receipt for receipt in given}
    if len(by_hash) < len(given) or not by_hash.keys() <= {one.hash for one in sent}:
        raise MalformedAnswer(
            f"height {block.height}: expected at most one receipt for each of {len(sent)} "
            f"transactions, got {len(given)} receipts that are not"
        )
    return [by_hash.get(one.hash) or _no_receipt(one) for one in sent]


def _no_receipt(transaction: Transaction) -> Receipt:
    """What stands in where a node has none (Polygon's state-sync): no field but the identity."""
    return Receipt(
        transaction_hash=transaction.hash,
        transaction_index=transaction.transaction_index,
        block_hash=transaction.block_hash,
        block_number=transaction.block_number,
        logs=[],
    )


def _own(block: RawBlock, kind: str, items: Sequence[T]) -> Sequence[T]:
    """The items, all of them the block's own."""
    own = block.payload.block.number, block.payload.block.hash
    numbers = [item.block_number for item in items]
    hashes = [item.block_hash for item in items]
    if numbers.count(own[0]) == hashes.count(own[1]) == len(items):
        return items
    strangers = [named for named in zip(numbers, hashes, strict=True) if named != own]
    raise MalformedAnswer(
        f"height {block.height}: {len(strangers)} of {len(items)} {kind}s belong to another "
        f"block: expected {own}, got {strangers[0]}"
    )
