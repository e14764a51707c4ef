"""Whether a block and its receipts, as a node gave them, agree with each other and what was asked.

Two calls may reach two nodes behind one address, and a node may answer from a fork, from before it
has caught up, or for another height: what disagrees is refused before it becomes a row.
"""

from __future__ import annotations

import re
from itertools import chain, repeat
from typing import TYPE_CHECKING

from chainflow.clients._keccak import keccak
from chainflow.errors import MalformedAnswer, NotYet
from chainflow.wire.evm import quantity
from chainflow.wire.evm_columns import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chainflow.wire.evm import Block, Receipt, Transaction
    from chainflow.wire.evm_columns import Told

# ZKsync Era's bootloader emits logs that belong to no transaction (ponder-sh/ponder#1306).
SYSTEM_LOG_CHAINS = frozenset({324, 300})
_HASH = re.compile("0x[0-9a-f]{64}")
_NO_TRANSACTION = (None, "0x" + "0" * 64)


def check_block(block: Block, height: int) -> None:
    """Refuse a block of another height, or transactions that are not its own, in its order.

    Raises:
        MalformedAnswer: What disagrees, by height and transaction index.
    """
    if not (_HASH.fullmatch(block.hash) and _HASH.fullmatch(block.parent_hash)):
        raise MalformedAnswer(f"height {height}: hash or parentHash is not 32 bytes of hex")
    if quantity(block.number) != height:
        raise MalformedAnswer(f"height {height}: the answer is block {block.number[:20]}")
    sent = block.transactions
    if not (
        [tx.block_hash for tx in sent].count(block.hash) == len(sent)
        and [tx.block_number for tx in sent].count(block.number) == len(sent)
        and tuple([tx.transaction_index for tx in sent]) == counted(len(sent))
    ):
        for index, tx in enumerate(sent):
            _belongs(tx, block, height, index, "transaction")


def check_receipts(
    block: Block, receipts: Sequence[Receipt], said: Told, height: int, *, system_logs: bool
) -> None:
    """Refuse receipts that are not those of the block's transactions, one each, in their order.

    Args:
        block: A block that `check_block` let pass.
        receipts: Its receipts as the node ordered them.
        said: What block and receipts tell.
        height: The block's height.
        system_logs: Whether the chain has logs that belong to no transaction.

    Raises:
        NotYet: The node has the block, and no receipts for it yet.
        MalformedAnswer: What disagrees, by height and transaction index.
    """
    if _all_plainly(block, said):
        return
    count = len(block.transactions)
    if count and not receipts:
        raise NotYet(f"height {height}: no receipts for {count} transactions")
    if len(receipts) != count:
        raise MalformedAnswer(f"height {height}: {len(receipts)} receipts, {count} transactions")
    for index, (tx, receipt) in enumerate(zip(block.transactions, receipts, strict=True)):
        if receipt.transaction_hash != tx.hash:
            raise MalformedAnswer(
                f"height {height}: receipt {index} is of transaction "
                f"{receipt.transaction_hash[:66]}, not {tx.hash[:66]}"
            )
        _belongs(receipt, block, height, index, "receipt")
        _check_logs(block, receipt, height, index, system_logs=system_logs)


def state_sync_hash(block: Block) -> str:
    """The hash that Polygon's Bor gives the transaction by which a block takes in L1 state.

    Source: 0xPolygon/bor, core/types/bor_receipt.go (GetDerivedBorTxHash).
    """
    number = quantity(block.number).to_bytes(8, "big")
    return "0x" + keccak(b"matic-bor-receipt-" + number + bytes.fromhex(block.hash[2:])).hex()


def _all_plainly(block: Block, said: Told) -> bool:
    """Whether every receipt and log belongs there by its text alone: whole columns are compared."""
    sent, got, logs = said.transactions, said.receipts, said.logs
    owners = chain.from_iterable(map(repeat, got["transaction_hash"], said.counts))
    return (
        got["transaction_hash"] == sent["hash"]
        and got["transaction_index"] == sent["transaction_index"]
        and logs["transaction_hash"] == tuple(owners)
        and True not in logs["removed"]
        and all(
            part["block_hash"].count(block.hash) == len(part["block_hash"])
            and part["block_number"].count(block.number) == len(part["block_number"])
            for part in (got, logs)
        )
    )


def _belongs(part: Transaction | Receipt, block: Block, height: int, index: int, what: str) -> None:
    if part.block_hash != block.hash:
        raise MalformedAnswer(
            f"height {height}: {what} {index} is of block {part.block_hash[:66]}, "
            f"not {block.hash[:66]}"
        )
    if quantity(part.block_number) != height or quantity(part.transaction_index) != index:
        raise MalformedAnswer(
            f"height {height}: {what} {index} says block {part.block_number[:20]}, "
            f"index {part.transaction_index[:20]}"
        )


def _check_logs(
    block: Block, receipt: Receipt, height: int, index: int, *, system_logs: bool
) -> None:
    for log in receipt.logs:
        if log.block_hash != block.hash:
            fault = f"is of block {log.block_hash[:66]}"
        elif log.block_number != block.number:
            fault = f"is of height {log.block_number[:20]}"
        elif log.removed:
            fault = "is marked removed"
        elif log.transaction_hash != receipt.transaction_hash and not (
            system_logs and log.transaction_hash in _NO_TRANSACTION
        ):
            fault = f"is of transaction {(log.transaction_hash or 'null')[:66]}"
        else:
            continue
        raise MalformedAnswer(f"height {height}: a log of receipt {index} {fault}")
