"""A proven block of an EVM node as columns of the node's own text.

Structs are many small objects that cost more to keep than to make. So they live while their block
is proven; what waits to become a table is columns.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, chain, repeat
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from msgspec.structs import astuple

from chainflow.errors import MalformedAnswer
from chainflow.wire.evm import Block, Log, Receipt, Transaction, quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import msgspec

    Array = pa.Array[Any]


@dataclass(frozen=True, slots=True)
class Payload:
    """What a RawBlock of this family carries.

    Attributes:
        block: The block without its transactions.
        transactions: A row each, in their order: the attributes of `wire.evm.Transaction`, without
            those that name the block.
        receipts: The receipt of each transaction: the attributes of `wire.evm.Receipt`, without
            these, blooms and logs; where the node gave none, nulls.
        logs: A row each, in the order of the receipts: the attributes of `wire.evm.Log`, without
            those that name the block, and `place`, the index in the block. Some nodes count from 0
            again in each transaction; there `place` counts through the block. Any other doubled
            index is the node's mistake, and stays for the checks to find.
    """

    block: Block
    transactions: pa.RecordBatch
    receipts: pa.RecordBatch
    logs: pa.RecordBatch


def payload(block: Block, receipts: Sequence[Receipt]) -> Payload:
    """A block and its receipts.

    Raises:
        MalformedAnswer: A receipt belongs to no transaction of the block, or to one that has
            another.
    """
    header = copy(block)
    header.transactions = []
    of_logs = _columns(Log, [log for receipt in receipts for log in receipt.logs])
    return Payload(
        block=header,
        transactions=_batch(_columns(Transaction, block.transactions)),
        receipts=_batch(_columns(Receipt, _paired(block, receipts))),
        logs=_batch({**of_logs, "place": _places(receipts)}),
    )


def _paired(block: Block, receipts: Sequence[Receipt]) -> Sequence[Receipt]:
    """The receipt of every transaction, in the order of the transactions."""
    sent = block.transactions
    if [receipt.transaction_hash for receipt in receipts] == [one.hash for one in sent]:
        return receipts
    by_hash = {receipt.transaction_hash: receipt for receipt in receipts}
    if len(by_hash) < len(receipts) or not by_hash.keys() <= {one.hash for one in sent}:
        raise MalformedAnswer(
            f"height {quantity(block.number)}: expected at most one receipt for each of "
            f"{len(sent)} transactions, got {len(receipts)} receipts that are not"
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


def _places(receipts: Sequence[Receipt]) -> Array:
    given = [log.log_index for receipt in receipts for log in receipt.logs]
    counted = _counted(len(given))
    if given != counted and len(set(given)) < len(given):
        restarted = [hex(i) for receipt in receipts for i in range(len(receipt.logs))]
        given = counted if given == restarted else given
    return _texts(given)


@lru_cache(maxsize=1024)
def _counted(count: int) -> list[str]:
    return [hex(i) for i in range(count)]


def _columns(kind: type[msgspec.Struct], items: Sequence[msgspec.Struct]) -> dict[str, Array]:
    """Every attribute of the structs; `astuple` reads them all at once, and soonest."""
    values = zip(*map(astuple, items), strict=True) if items else repeat(())
    return {
        name: _ODD.get(name, _texts)(column)
        for name, column in zip(kind.__struct_fields__, values, strict=False)
        if name not in _NOT_KEPT
    }


def _batch(columns: Mapping[str, Array]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _texts(column: Sequence[str | None]) -> Array:
    return pa.array(column, pa.string())


def _flags(column: Sequence[bool | None]) -> Array:
    return pa.array(column, pa.bool_())


def _json(column: Sequence[msgspec.Raw]) -> Array:
    """The node's JSON as text; null where it gave nothing, or null."""
    texts = [bytes(raw).decode() if raw else "null" for raw in column]
    return _texts([None if text == "null" else text for text in texts])


def _lists(column: Sequence[Sequence[str]]) -> Array:
    ends = pa.array([0, *accumulate(map(len, column))], pa.int32())
    return pa.ListArray.from_arrays(ends, _texts(list(chain.from_iterable(column))))


# Each of them is the block's own, or proven against it; receipts' blooms are a sixth of an answer.
_NOT_KEPT = frozenset({"block_hash", "block_number", "logs_bloom", "logs"})
_ODD: dict[str, Callable[[Sequence[Any]], Array]] = {
    "topics": _lists,
    "removed": _flags,
    "is_system_tx": _flags,
    "blob_versioned_hashes": _json,
    "access_list": _json,
    "authorization_list": _json,
}

SCHEMAS: dict[str, pa.Schema] = {
    "transactions": _batch(_columns(Transaction, [])).schema,
    "receipts": _batch(_columns(Receipt, [])).schema,
    "logs": _batch({**_columns(Log, []), "place": _texts([])}).schema,
}
"""By part of a payload, the columns of its rows."""
