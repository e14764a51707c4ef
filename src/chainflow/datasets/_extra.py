"""The column `extra`: what the node says and no column keeps, as a JSON object."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from chainflow.datasets._rows import pc

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chainflow.datasets._rows import Array

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


def contradictions(said: Array, held: Array) -> dict[int, str]:
    """By row, what the node says where it is not what the row holds already."""
    differ = pc.and_(pc.is_valid(said), pc.fill_null(pc.not_equal(said, held), True))
    return {row: said[row].as_py() for row in pc.indices_nonzero(differ).to_pylist()}


def with_unknown(unknown: Array, unkept: Mapping[str, Mapping[int, object]]) -> list[str | None]:
    """The column: as `extras`, of an array."""
    none = unknown.null_count == len(unknown)
    return extras([None] * len(unknown) if none else unknown.to_pylist(), unkept)


def extras(
    unknown: Iterable[str | None], unkept: Mapping[str, Mapping[int, object]]
) -> list[str | None]:
    """The column; None in a row where every field has its column.

    Args:
        unknown: Of every row, the JSON object of the fields that no struct names.
        unkept: Fields that a struct does name: by the node's name for them, then by row.
    """
    texts = list(unknown)
    for row in {row for values in unkept.values() for row in values}:
        kept = {name: values[row] for name, values in unkept.items() if row in values}
        texts[row] = _merged(texts[row], kept)
    return texts


def objects(texts: Iterable[str | None]) -> dict[int, msgspec.Raw]:
    """By row, the JSON objects there are, ready to stand inside another."""
    return {row: msgspec.Raw(text.encode()) for row, text in enumerate(texts) if text}


def _merged(text: str | None, more: Mapping[str, object]) -> str:
    """The JSON object, with more fields."""
    given = _object.decode(text) if text else {}
    return msgspec.json.encode({**given, **more}).decode()
