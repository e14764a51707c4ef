"""What a block holds against the roots in its header.

Source: Ethereum Yellow Paper, 4.3; EIP-2718, EIP-4895.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import chain, repeat
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import msgspec

from chainflow.clients import _evm_receipts as receipt_forms
from chainflow.clients import _evm_rlp as rlp
from chainflow.clients import _evm_transactions as transaction_forms
from chainflow.clients._evm_trie import root
from chainflow.clients._keccak import keccak
from chainflow.errors import MalformedAnswer
from chainflow.wire.evm import quantity
from chainflow.wire.evm_columns import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chainflow.wire.evm import Block, Receipt, Transaction, Withdrawal
    from chainflow.wire.evm_columns import Told

ZERO = "0x" + "00" * 32
_BROKEN = (ValueError, msgspec.DecodeError)

_P = ParamSpec("_P")
_T = TypeVar("_T")


def check_transactions(block: Block, rooted: int, height: int) -> set[int]:
    """Refuse transactions that are not what their hashes, or all together transactionsRoot, say.

    Args:
        block: The block.
        rooted: How many of its transactions, from the first, the root knows.
        height: The block's height.

    Returns:
        The types that cannot be rebuilt; where there are any, the root is left unchecked.

    Raises:
        MalformedAnswer: What was expected and what came, by height.
    """
    given = block.transactions[:rooted]
    kinds = [kind_of(tx.type) for tx in given]
    odd = {kind for kind in kinds if not transaction_forms.known(kind)}
    encoded = None if odd else _as_hashed(given, kinds)
    if encoded is None:
        encoded = [
            _transaction(tx, kind, height, index)
            for index, (tx, kind) in enumerate(zip(given, kinds, strict=True))
            if kind not in odd
        ]
    if not odd:
        same(height, "transactionsRoot", block.transactions_root, _root(encoded), "hashes")
    return odd


def check_receipts(
    block: Block, receipts: Sequence[Receipt], height: int, said: Told | None = None
) -> None:
    """Refuse receipts that are not those of receiptsRoot, or do not fit their transactions.

    Args:
        block: The block.
        receipts: Those that the root knows, in the order of the transactions.
        height: The block's height.
        said: What block and receipts tell, where that is at hand.

    Raises:
        MalformedAnswer: What was expected and what came, by height.
    """
    texts: list[str] = []
    gas = 0
    plainly = said is not None and _all_agree(said)
    for index, (tx, receipt) in enumerate(zip(block.transactions, receipts, strict=False)):
        kind = kind_of(tx.type if receipt.type is None else receipt.type)
        if not plainly:
            _agree(tx, receipt, kind, height, index)
        gas = _check_gas(receipt, kind, gas, height, index)
        texts.append(made(height, f"receipt {index}", receipt_forms.rebuilt, receipt, kind))
    same(height, "receiptsRoot", block.receipts_root, _root(_bytes_of(texts, height)), "hashes")


def check_log_indexes(receipts: Sequence[Receipt], height: int) -> None:
    """Refuse logs that are not numbered in their order, through the block or each transaction.

    No root holds the index, but it is a key: two logs would stand in each other's place.

    Raises:
        MalformedAnswer: The block's first log with another index.
    """
    given = [log.log_index for one in receipts for log in one.logs]
    through = list(counted(len(given)))
    if given == through:
        return
    in_each = [hex(index) for one in receipts for index in range(len(one.logs))]
    numbers = made(height, "logIndex", lambda: [hex(quantity(text)) for text in given])
    if numbers in (through, in_each):
        return
    at = next(index for index, text in enumerate(numbers) if text != through[index])
    raise MalformedAnswer(
        f"height {height}: log {at} of the block has the index {given[at][:20]}{advice('hashes')}"
    )


def check_withdrawals(block: Block, height: int) -> None:
    """Refuse withdrawals that are not those of withdrawalsRoot.

    Raises:
        MalformedAnswer: What was expected and what came, by height.
    """
    given = block.withdrawals or []
    if given or block.withdrawals_root not in (None, ZERO):
        found = _root([made(height, "a withdrawal", _withdrawal, one) for one in given])
        same(height, "withdrawalsRoot", block.withdrawals_root, found, "hashes")


@lru_cache(maxsize=256)
def kind_of(text: str | None) -> int:
    """The number of a type; nodes leave it out of what is of type 0."""
    return quantity("0x0" if text is None else text)


def made(height: int, what: str, make: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """What `make` makes of the node's fields; MalformedAnswer where they do not allow it."""
    try:
        return make(*args, **kwargs)
    except _BROKEN as error:
        raise MalformedAnswer(f"height {height}: {what} cannot be hashed: {error}") from error


def same(height: int, what: str, said: str | None, found: str, less: str) -> None:
    """Refuse what is said not to be what was found; `less` is the `verify` that would take it."""
    if said != found and (said or "").lower() != found:
        raise MalformedAnswer(
            f"height {height}: {what} is {(said or 'missing')[:66]}, but what came gives {found}"
            f"{advice(less)}"
        )


def advice(less: str) -> str:
    """How an operator takes blocks of a form that is not known here."""
    return f"; if every endpoint gives the same, this chain needs `verify: {less}`"


def _as_hashed(given: Sequence[Transaction], kinds: Sequence[int]) -> list[bytes] | None:
    """The encodings, or None if one cannot be made or is not what the transaction's hash says."""
    try:
        encoded = rlp.every([*map(transaction_forms.rebuilt, given, kinds)])
    except _BROKEN:
        return None
    found = [f"0x{keccak(one).hex()}" for one in encoded]
    return encoded if found == [tx.hash for tx in given] else None


def _transaction(tx: Transaction, kind: int, height: int, index: int) -> bytes:
    """The encoding that its hash is of."""
    what = f"transaction {index}"
    encoded = made(height, what, lambda: rlp.encoded(transaction_forms.rebuilt(tx, kind)))
    same(height, f"the hash of {what}", tx.hash.lower(), f"0x{keccak(encoded).hex()}", "hashes")
    return encoded


def _bytes_of(texts: Sequence[str], height: int) -> list[bytes]:
    """The bytes of receipts that were rebuilt."""
    try:
        return rlp.every(texts)
    except ValueError:
        return [made(height, f"receipt {i}", rlp.encoded, text) for i, text in enumerate(texts)]


def _all_agree(said: Told) -> bool:
    """Whether no receipt is of another type or sender than its transaction, nor a log of another.

    By their text alone: whole columns are compared.
    """
    sent, got = said.transactions, said.receipts
    owners = chain.from_iterable(map(repeat, got["transaction_index"], said.counts))
    return (
        got["type"] == sent["type"]
        and got["from_"] == sent["from_"]
        and said.logs["transaction_index"] == tuple(owners)
    )


def _agree(tx: Transaction, receipt: Receipt, kind: int, height: int, index: int) -> None:
    """Refuse a receipt of another type or sender than its transaction, or a log of another one."""
    if tx.type is not None and kind_of(tx.type) != kind:
        fault = f"is of type {kind:#x}, its transaction of {tx.type[:20]}"
    elif tx.from_ != receipt.from_ and (tx.from_ or "").lower() != (receipt.from_ or "").lower():
        fault = (
            f"is from {(receipt.from_ or '')[:42]}, its transaction from {(tx.from_ or '')[:42]}"
        )
    elif any(log.transaction_index != receipt.transaction_index for log in receipt.logs) and any(
        quantity(log.transaction_index or "") != index for log in receipt.logs
    ):
        fault = "has a log with another transaction's index"
    else:
        return
    raise MalformedAnswer(f"height {height}: receipt {index} {fault}")


def _check_gas(receipt: Receipt, kind: int, before: int, height: int, index: int) -> int:
    """The gas that the block had used after it, which the root proves, and so its own share."""
    after = quantity(receipt.cumulative_gas_used or "")
    # Before Regolith a system deposit's own gas was told as 0.
    if receipt.gas_used is not None and kind != transaction_forms.DEPOSIT:
        own = quantity(receipt.gas_used)
        if own != after - before:
            raise MalformedAnswer(
                f"height {height}: receipt {index} says {own} gas used, its place {after - before}"
            )
    return after


def _withdrawal(one: Withdrawal) -> bytes:
    return rlp.encoded(
        rlp.listed(
            f"{rlp.number(one.index)}{rlp.number(one.validator_index)}"
            f"{rlp.item(one.address)}{rlp.number(one.amount)}"
        )
    )


def _root(values: Sequence[bytes]) -> str:
    return f"0x{root(values).hex()}"
