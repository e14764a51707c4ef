"""What a block holds, as rows: its transactions with what became of each, and their columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from chainflow.datasets import _columns
from chainflow.datasets._place import json_text
from chainflow.datasets._rows import ARROW_TYPES, Rows, rows
from chainflow.datasets.tron import _address
from chainflow.wire.tron import Contract, Log, Transaction, TransactionInfo, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chainflow.datasets._columns import Field, Values
    from chainflow.datasets._place import Place, Readers
    from chainflow.types import RawBlock

_SUCCESS = (None, "DEFAULT", "SUCCESS")
_FAILED = "FAILED"


class Executed(NamedTuple):
    """A transaction, its place in the block and its info; `first_log` is the place of its logs."""

    place: int
    tx: Transaction
    info: TransactionInfo
    first_log: int

    @property
    def contract(self) -> Contract:
        """What it does; the chain admits one contract a transaction."""
        return self.tx.raw_data.contract[0]

    @property
    def value(self) -> Value:
        """The parameters of its contract."""
        return self.contract.parameter.value

    @property
    def succeeded(self) -> bool:
        """Whether it did what it was to do; the oldest transactions do not say."""
        outcomes = [(result.contract_ret, result.ret) for result in self.tx.ret]
        return self.info.result != _FAILED and all(
            outcome in _SUCCESS and code != _FAILED for outcome, code in outcomes
        )


class Emitted(NamedTuple):
    """A log, its place in the block, and what emitted it."""

    place: int
    by: Executed
    log: Log


def executed(blocks: Sequence[RawBlock]) -> Rows[Executed]:
    """Every transaction of the blocks, with its info."""
    return rows(blocks, _executed)


def emitted(blocks: Sequence[RawBlock]) -> Rows[Emitted]:
    """Every log of the blocks."""
    return rows(
        blocks,
        lambda block: [
            Emitted(place, one, log)
            for one in _executed(block)
            for place, log in enumerate(one.info.log, one.first_log)
        ],
    )


def read(fields: Iterable[Field], items: Sequence[Any]) -> dict[str, Values]:
    """The fields of every item, by column: numbers as arrays, addresses in base58."""
    fields = tuple(fields)
    values: dict[str, Values] = dict(_columns.read(fields, items))
    for field in fields:
        name, kind = field.column.name, field.column.type
        if field.attribute is None:
            continue
        if kind in ("bigint", "numeric"):
            values[name] = pa.array(values[name], pa.int64()).cast(ARROW_TYPES[kind])
        elif name.endswith("address"):
            values[name] = _address.each(values[name])
    return values


def integers(values: Iterable[int | None], kind: str = "bigint") -> pa.Array[Any]:
    """Numbers of at most 64 bits as a column of that type."""
    return pa.array(list(values), pa.int64()).cast(ARROW_TYPES[kind])


def printable(text: str) -> str:
    """What bytes of hex spell; the hex with 0x before it where nothing is that one can print."""
    try:
        spelled = bytes.fromhex(text).decode()
    except ValueError:
        return f"0x{text}"
    return spelled if spelled.isprintable() else f"0x{text}"


def _as_it_is(_: Place, texts: pa.StringArray) -> pa.Array[Any]:
    """Text whose pattern was held to when the answer was read."""
    return texts


READERS: Readers = {"text": _as_it_is, "jsonb": json_text}


def _executed(block: RawBlock) -> list[Executed]:
    sent, infos = block.payload.block.transactions, block.payload.infos or ()
    found, logs = [], 0
    for place, (tx, info) in enumerate(zip(sent, infos, strict=True)):
        found.append(Executed(place, tx, info, logs))
        logs += len(info.log)
    return found
