"""Sui's values as tables: numbers are at most 64 bits wide, digests base58, the rest JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from chainflow.datasets import _columns
from chainflow.datasets._place import Place, json_text
from chainflow.wire import _base58 as base58

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from chainflow.datasets._columns import Values
    from chainflow.datasets._place import Readers
    from chainflow.datasets._rows import Rows
    from chainflow.types import Column

HEIGHT = "checkpoint"
_TOP = 2**63 - 1
_READERS: Readers = {"text": lambda _, texts: texts, "jsonb": json_text}


def table(
    dataset: str, columns: Sequence[Column], rows: Rows[Any], values: Mapping[str, Values]
) -> pa.Table:
    """The table of a dataset; bigint and numeric columns are lists of unsigned numbers.

    Raises:
        MalformedAnswer: A number does not fit its column; names height and column.
    """
    kinds = {"bigint": _bigint, "numeric": _numeric}
    finished = {
        column.name: kinds[column.type](Place(dataset, column, rows), values[column.name])
        for column in columns
        if column.type in kinds
        and column.name in values
        and not isinstance(values[column.name], pa.Array)
    }
    return _columns.table(dataset, columns, rows, {**values, **finished}, _READERS)


def digests(values: Iterable[bytes | None]) -> list[str | None]:
    """Digests as base58."""
    return [None if value is None else base58.encode(value) for value in values]


def json_texts(values: Iterable[object]) -> list[str | None]:
    """Values as JSON; None stays no value."""
    return [None if value is None else msgspec.json.encode(value).decode() for value in values]


def _bigint(place: Place, values: Values) -> pa.Array[Any]:
    numbers = pa.array(values, pa.uint64())
    texts: Any = numbers.cast(pa.string())
    place.demand(pc.less_equal(numbers, pa.scalar(_TOP, pa.uint64())), "a number of 63 bits", texts)
    return numbers.cast(pa.int64())


def _numeric(_: Place, values: Values) -> pa.Array[Any]:
    return pa.array(values, pa.uint64()).cast(pa.string())
