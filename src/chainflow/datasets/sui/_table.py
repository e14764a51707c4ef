"""Sui's values as tables: numbers are at most 64 bits wide, digests base58, the rest JSON."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from chainflow.datasets import _columns
from chainflow.datasets._place import Place, json_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from chainflow.datasets._columns import Field, Values
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


def read(fields: Iterable[Field], items: Sequence[Any]) -> dict[str, Sequence[Any]]:
    """The fields of every item, by column; computed ones are left to the dataset.

    A struct that many fields are in is looked up once.
    """
    found: dict[str, Sequence[Any]] = {"": items}

    def of(path: str) -> Sequence[Any]:
        if path not in found:
            outer, _, name = path.rpartition(".")
            found[path] = list(map(attrgetter(name), of(outer)))
        return found[path]

    return {field.column.name: of(field.attribute) for field in fields if field.attribute}


def _bigint(place: Place, values: Values) -> pa.Array[Any]:
    numbers = pa.array(values, pa.uint64())
    fine = pc.less_equal(numbers, pa.scalar(_TOP, pa.uint64()))
    if not pc.all(fine).as_py():
        texts: Any = numbers.cast(pa.string())
        place.demand(fine, "a number of 63 bits", texts)
    return numbers.cast(pa.int64())


def _numeric(_: Place, values: Values) -> pa.Array[Any]:
    return pa.array(values, pa.uint64()).cast(pa.string())
