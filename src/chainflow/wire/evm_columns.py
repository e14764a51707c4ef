"""A proven block of an EVM node as columns of the node's own text.

Structs are many small objects that cost more to keep than to make. So they live while their block
is proven; what waits to become a table is columns.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, chain, repeat
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from msgspec.structs import astuple

from chainflow.errors import MalformedAnswer
from chainflow.wire.evm import ADDRESS, WORD, Block, Log, Receipt, Transaction, quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import msgspec

    Array = pa.Array[Any]


@dataclass(frozen=True, slots=True)
class Payload:
    """What a RawBlock of this family carries.

    Attributes:
        block: The block without its transactions.
        transactions: A row each, in their order: the attributes of `wire.evm.Transaction`, without
            those that name the block. `block_timestamp` is null where it is the block's.
        receipts: The receipt of each transaction: the attributes of `wire.evm.Receipt`, without
            those that name the block, blooms and logs; where the node gave none, nulls. What it
            says again of its transaction (REPEATED) is null unless some receipt contradicts.
        logs: A row each, in the order of the receipts: the attributes of `wire.evm.Log`, without
            those that name the block, and `place`, the index in the block. Some nodes count from 0
            again in each transaction; there `place` counts through the block. Any other doubled
            index is the node's mistake, and stays for the checks to find. `log_index` is null where
            it is `place`, `block_timestamp` where it is the block's, `removed` where none is.
    """

    block: Block
    transactions: pa.RecordBatch
    receipts: pa.RecordBatch
    logs: pa.RecordBatch


Column = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Told:
    """What a node says of a block's parts: by attribute, the values of all in their order.

    `counts` are the logs of each receipt, `topics` those of all logs.
    """

    transactions: Mapping[str, Column]
    receipts: Mapping[str, Column]
    logs: Mapping[str, Column]
    counts: list[int]
    topics: list[str]


REPEATED = ("transaction_index", "type", "from_", "to")
"""What a receipt says again of its transaction."""


def told(block: Block, receipts: Sequence[Receipt]) -> Told:
    """What a block and its receipts say, as columns."""
    of_receipts = _told(Receipt, receipts)
    of_logs = _told(Log, list(chain.from_iterable(of_receipts["logs"])))
    return Told(
        transactions=_told(Transaction, block.transactions),
        receipts=of_receipts,
        logs=of_logs,
        counts=list(map(len, of_receipts["logs"])),
        topics=list(chain.from_iterable(of_logs["topics"])),
    )


def has_unknown(block: Block, said: Told) -> bool:
    """Whether the node says something that no struct names."""
    parts = (said.transactions["extra"], said.receipts["extra"], said.logs["extra"])
    return block.extra is not None or any(part.count(None) < len(part) for part in parts)


def payload(block: Block, receipts: Sequence[Receipt], said: Told | None = None) -> Payload:
    """A block and its receipts; `said` is what they tell, where that is at hand.

    Raises:
        MalformedAnswer: A receipt belongs to no transaction of the block, or to one that has
            another.
    """
    header = copy(block)
    header.transactions = []
    said = said or told(block, receipts)
    if said.receipts["transaction_hash"] != said.transactions["hash"]:
        said = told(block, _paired(block, receipts))
    return Payload(
        block=header,
        transactions=_batch(_transactions(block, said.transactions)),
        receipts=_batch(_receipts(said)),
        logs=_batch(_logs(block, said)),
    )


def _told(kind: type[msgspec.Struct], items: Sequence[msgspec.Struct]) -> dict[str, Column]:
    """Every attribute of the structs; `astuple` reads them all at once, and soonest."""
    values = zip(*map(astuple, items), strict=True) if items else repeat(())
    return dict(zip(kind.__struct_fields__, values, strict=False))


def _paired(block: Block, receipts: Sequence[Receipt]) -> Sequence[Receipt]:
    """The receipt of every transaction, in the order of the transactions."""
    sent = block.transactions
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


def _transactions(block: Block, said: Mapping[str, Column]) -> dict[str, Array]:
    times = _unlike(said["block_timestamp"], block.timestamp)
    return _arrays({**said, "block_timestamp": times})


def _receipts(said: Told) -> dict[str, Array]:
    again = [name for name in REPEATED if said.receipts[name] == said.transactions[name]]
    return _arrays({**said.receipts, **dict.fromkeys(again, _NONE * len(said.counts))})


def _logs(block: Block, said: Told) -> dict[str, Array]:
    given = said.logs["log_index"]
    places = _places(given, said.counts)
    own = {
        "log_index": _NONE * len(given) if places is None else given,
        "block_timestamp": _unlike(said.logs["block_timestamp"], block.timestamp),
    }
    return {
        **_arrays({**said.logs, **own}),
        "topics": _lists(said.logs["topics"], said.topics),
        "place": _counted(len(given)) if places is None else _texts(places),
    }


# Blocks with more are few.
_COUNTED = tuple(map(hex, range(1 << 12)))
_COUNTED_ARRAY = pa.array(_COUNTED, pa.string())


def counted(count: int) -> tuple[str, ...]:
    """The quantities from 0 on, as nodes write them."""
    return _COUNTED[:count] if count <= len(_COUNTED) else tuple(map(hex, range(count)))


def _counted(count: int) -> Array:
    few = count <= len(_COUNTED)
    return _COUNTED_ARRAY.slice(0, count) if few else _texts(counted(count))


def _places(given: Column, counts: Sequence[int]) -> Column | None:
    """Each log's index in the block; None where they count through it, as given."""
    count = len(given)
    through = counted(count)
    if given == through:
        return None
    restarted = tuple(hex(index) for one in counts for index in range(one))
    return through if given == restarted and len(set(given)) < count else given


def _arrays(said: Mapping[str, Column]) -> dict[str, Array]:
    """What is kept, as arrays; all texts in one go, since each call into Arrow has its price."""
    made: dict[str, Array] = {}
    texts = []
    for name, column in said.items():
        if name in _NOT_KEPT:
            continue
        if name in _ODD:
            made[name] = _ODD[name](column)
        elif _is_nothing(column):
            made[name] = _nulls(len(column))
        else:
            made[name] = _NULLS  # until all texts are known
            texts.append(name)
    together = _texts(list(chain.from_iterable(map(said.__getitem__, texts))))
    for place, name in enumerate(texts):
        count = len(said[name])
        made[name] = together.slice(place * count, count)
    return made


def _batch(columns: Mapping[str, Array]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


_NONE = (None,)
_MANY = 1 << 12
_NULLS = pa.nulls(_MANY, pa.string())
_NO_FLAGS = pa.nulls(_MANY, pa.bool_())


def _texts(column: Column) -> Array:
    return pa.array(column, pa.string())


def _is_nothing(column: Column) -> bool:
    """Whether it holds nothing: most blocks lack most of what some chain or other adds."""
    return column[:1] in ((), _NONE) and column.count(None) == len(column)


def _nulls(count: int) -> Array:
    return _NULLS.slice(0, count) if count <= _MANY else pa.nulls(count, pa.string())


def _unlike(column: Column, usual: str) -> Column:
    """The column; nothing where all of it is the usual text."""
    return _NONE * len(column) if column.count(usual) == len(column) else column


def _flags(column: Column) -> Array:
    if len(column) <= _MANY and _is_nothing(column):
        return _NO_FLAGS.slice(0, len(column))
    return pa.array(column, pa.bool_())


def _removed(column: Column) -> Array:
    return _flags(column if True in column else _NONE * len(column))


def _json(column: Sequence[msgspec.Raw]) -> Array:
    """The node's JSON as text; null where it gave nothing, or null."""
    if not any(column):
        return _nulls(len(column))
    texts = [str(raw, "utf-8") if raw else None for raw in column]
    return _texts([None if text == "null" else text for text in texts])


# Where texts of one size begin and end in what they are joined to.
_ENDS = {
    size: pa.py_buffer(array("i", range(0, size * (_MANY + 1), size))) for size in (WORD, ADDRESS)
}


def _equally_long(column: Column, size: int) -> Array:
    """Texts of as many characters each: joined, at a third of what Arrow's own way costs."""
    joined = "".join(column).encode()
    count = len(column)
    if count > _MANY or len(joined) != count * size:
        return _texts(column)
    return pa.StringArray.from_buffers(count, _ENDS[size], pa.py_buffer(joined))


def _lists(column: Sequence[Sequence[str]], flat: Sequence[str]) -> Array:
    ends = pa.array([0, *accumulate(map(len, column))], pa.int32())
    return pa.ListArray.from_arrays(ends, _equally_long(flat, WORD))


# Each of them is the block's own, or proven against it; receipts' blooms are a sixth of an answer.
_NOT_KEPT = frozenset({"block_hash", "block_number", "logs_bloom", "logs", "topics"})
_ODD: dict[str, Callable[[Sequence[Any]], Array]] = {
    "address": partial(_equally_long, size=ADDRESS),
    "hash": partial(_equally_long, size=WORD),
    "removed": _removed,
    "is_system_tx": _flags,
    "blob_versioned_hashes": _json,
    "access_list": _json,
    "authorization_list": _json,
}


def _schemas() -> dict[str, pa.Schema]:
    nothing = Block(number="0x0", hash="", parent_hash="", timestamp="0x0", transactions=[])
    empty = payload(nothing, [])
    return {name: getattr(empty, name).schema for name in ("transactions", "receipts", "logs")}


SCHEMAS = _schemas()
"""By part of a payload, the columns of its rows."""
