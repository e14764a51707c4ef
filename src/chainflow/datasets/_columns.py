"""Which column is read from which field of the node's structs, and the table they make."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pyarrow as pa

from chainflow.datasets._place import Place
from chainflow.datasets._rows import ARROW_TYPES, block_columns
from chainflow.types import Column

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from chainflow.datasets._place import Readers
    from chainflow.datasets._rows import Rows
    from chainflow.types import ColumnType

    Values = Sequence[Any] | pa.Array[Any]

_json = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Field:
    """A column, and the attribute of the node's struct it is read from; None if it is computed."""

    column: Column
    attribute: str | None


def field(
    name: str, kind: ColumnType, attribute: str | None = None, *, required: bool = False
) -> Field:
    """A column read from the attribute of its own name, or of another."""
    return Field(Column(name, kind, required=required), attribute or name)


def computed(name: str, kind: ColumnType, *, required: bool = False) -> Field:
    """A column that the dataset works out itself."""
    return Field(Column(name, kind, required=required), None)


def columns(height: str, fields: Iterable[Field]) -> tuple[Column, ...]:
    """The block's columns, the height under that name, and those of the fields, in order."""
    return (*block_columns(height), *(f.column for f in fields))


def read(fields: Iterable[Field], items: Sequence[Any]) -> dict[str, list[Any]]:
    """The fields of every item, by column; computed ones are left to the dataset."""
    return {f.column.name: list(map(attrgetter(f.attribute), items)) for f in fields if f.attribute}


def json_texts(values: Sequence[object]) -> list[str | None]:
    """Values as JSON; None stays no value."""
    there = [value for value in values if value is not None]
    # A line each: one call for all, and no line break is left in any.
    lines = iter(_json.encode_lines(there).decode().split("\n"))
    return [None if value is None else next(lines) for value in values]


def arrays(
    dataset: str,
    fields: Iterable[Field],
    rows: Rows[Any],
    said: Mapping[str, pa.Array[Any]],
    readers: Readers,
) -> dict[str, pa.Array[Any]]:
    """As `read`, of text that stands in arrays by attribute already, and finished as by `table`."""
    return {
        f.column.name: _finished(Place(dataset, f.column, rows), said[f.attribute], readers)
        for f in fields
        if f.attribute
    }


def table(
    dataset: str,
    columns: Sequence[Column],
    rows: Rows[Any],
    values: Mapping[str, Values],
    readers: Readers,
) -> pa.Table:
    """The table of a dataset: `values` by column, next to the block's own columns.

    Args:
        dataset: Its name, for error messages.
        columns: Its columns, the height first; each stands in `values` or is one of the block's.
        rows: What the rows are made of.
        values: The node's text for bigint, numeric and text columns, JSON text for jsonb; or the
            finished array.
        readers: By column type, what makes an array of the node's text.

    Raises:
        MalformedAnswer: A value cannot be read or does not fit its column; names height and column.
    """
    arrays = rows.block_arrays(columns[0].name)
    for column in columns:
        if column.name not in arrays:
            arrays[column.name] = _array(Place(dataset, column, rows), values[column.name], readers)
    return pa.table({column.name: arrays[column.name] for column in columns})


def _array(place: Place, values: Values, readers: Readers) -> pa.Array[Any]:
    if isinstance(values, pa.Array):
        return values
    kind = pa.bool_() if place.column.type == "boolean" else pa.string()
    return _finished(place, pa.array(values, kind), readers)


def _finished(place: Place, said: pa.Array[Any], readers: Readers) -> pa.Array[Any]:
    kind = place.column.type
    if kind == "boolean":
        return said
    texts = cast("pa.StringArray", said)
    if texts.null_count == len(texts):
        return pa.nulls(len(texts)).cast(ARROW_TYPES[kind])
    return readers[kind](place, texts)
