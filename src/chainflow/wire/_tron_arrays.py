"""Arrow arrays of what the structs of a Tron node say, by the type that an attribute is declared.

Whether a text is what its type says is asked of all texts of a column at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate, chain
from types import NoneType
from typing import Any, get_args, get_origin

import msgspec
import pyarrow as pa
import pyarrow.compute

from chainflow.wire import tron as wire

Array = Any
Maker = Callable[[Sequence[Any]], Array]
"""Makes an array; a ValueError says what is no value of it."""

pc: Any = pyarrow.compute
_DIGITS = b"0123456789abcdef"
_PRINTABLE = bytes(range(0x20, 0x7F))


def texts(column: Sequence[str | None]) -> Array:
    """Texts, whatever they are."""
    return pa.array(column, pa.string())


def numbers(column: Sequence[int | None]) -> Array:
    """Numbers of 64 bits."""
    return pa.array(column, pa.int64())


def flags(column: Sequence[bool]) -> Array:
    """Truths."""
    return pa.array(column, pa.bool_())


def words(column: Sequence[str | None]) -> Array:
    """Texts of printable ASCII."""
    return _spelled(column, letters=_PRINTABLE, what="printable ASCII")


def lists(column: Sequence[Sequence[Any]], *, of: Maker) -> Array:
    """Lists, of what `of` makes an array of."""
    ends = pa.array([0, *accumulate(map(len, column))], pa.int32())
    return pa.ListArray.from_arrays(ends, of(list(chain.from_iterable(column))))


def makers(
    kind: type[msgspec.Struct], prefix: str = "", *, but: frozenset[str] = frozenset()
) -> dict[str, Maker]:
    """By attribute of a kind of struct, behind a prefix, what makes its array; `but` for some."""
    fields = msgspec.structs.fields(kind)
    return {prefix + one.name: _maker(one.type) for one in fields if one.name not in but}


def _spelled(
    column: Sequence[str | None], *, letters: bytes, what: str, length: int | None = None
) -> Array:
    """Texts of those letters, looked at all together.

    Raises:
        ValueError: One has another letter, or another length.
    """
    found = texts(column)
    held = found.buffers()[2]
    wrong = held is not None and held.to_pybytes().translate(None, letters)
    if wrong or (length and pc.any(pc.not_equal(pc.binary_length(found), length)).as_py()):
        odd = next(text for text in column if text is not None and _odd(text, letters, length))
        raise ValueError(f"expected {what}, got {odd[:80]!r}")
    return found


def _odd(text: str, letters: bytes, length: int | None) -> bool:
    return bool(text.encode().translate(None, letters)) or len(text) != (length or len(text))


_hex = partial(_spelled, letters=_DIGITS, what="hex")
_OF_TYPE: dict[Any, Maker] = {
    wire.Int64: numbers,
    wire.Hex: _hex,
    wire.Hash: partial(_hex, what="64 digits of hex", length=64),
    wire.LogAddress: partial(_hex, what="40 digits of hex", length=40),
    wire.Word: words,
    bool: flags,
    NoneType: texts,  # `extra`, as it is declared for the node's own answers
}


def _maker(declared: Any) -> Maker:  # noqa: ANN401 - a type
    """What makes the column of an attribute of a declared type."""
    if declared in _OF_TYPE:
        return _OF_TYPE[declared]
    inside = get_args(declared)
    if get_origin(declared) is list:
        return partial(lists, of=_maker(inside[0]))
    # Annotated, or None is another possibility.
    return _maker(next(one for one in inside if one is not NoneType))
