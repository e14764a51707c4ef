"""Structs of a node's objects that keep, as JSON text in `extra`, the fields they do not name."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_origin

import msgspec

from chainflow.errors import MalformedAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

# Our own key inside the node's object. A node's field of that name must not pass for ours, so its
# declared type admits nothing but null; the text is set once the rest is decoded.
_EXTRA = "chainflow:extra"
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Wire(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, gc=False):
    """What every struct of this family has: the fields it does not name, as JSON text."""

    if TYPE_CHECKING:
        extra: str | None = None
    else:
        extra: None = msgspec.field(name=_EXTRA, default=None)


_W = TypeVar("_W", bound=Wire)
_T = TypeVar("_T")
Path = tuple[str | int, ...]
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array = msgspec.json.Decoder(list[msgspec.Raw])


def decode(kind: type[_W], answer: bytes | msgspec.Raw) -> _W:
    """The struct; only what holds an unknown field is decoded a second time, to collect it.

    Raises:
        MalformedAnswer: Not JSON, or a required field is missing or has another type; the message
            names its path.
    """
    decoder: msgspec.json.Decoder[_W] = _decoder(kind)
    try:
        return decoder.decode(answer)
    except _BROKEN:
        unknown: list[tuple[Path, str]] = []
        whole = strict(decoder, _known(kind, answer, (), unknown))
        for path, text in unknown:
            _at(whole, path).extra = text
        return whole


def _known(
    kind: type[Wire],
    answer: bytes | msgspec.Raw,
    path: Path,
    unknown: list[tuple[Path, str]],
) -> msgspec.Raw:
    """The object with only the fields that its structs name; the others are added to `unknown`."""
    given = strict(_object, answer)
    fields = _fields(kind)
    if rest := {key: item for key, item in given.items() if key not in fields}:
        unknown.append((path, _text(rest)))
    for key, part in fields.items():
        if part is None or (raw := given.get(key)) is None:
            continue
        first = bytes(raw).lstrip()[:1]
        if first == b"{":
            given[key] = _known(part, raw, (*path, key), unknown)
        elif first == b"[":
            rows: list[msgspec.Raw] = strict(_array, raw)
            kept = [_known(part, row, (*path, key, i), unknown) for i, row in enumerate(rows)]
            given[key] = msgspec.Raw(msgspec.json.encode(kept))
    return msgspec.Raw(msgspec.json.encode({key: given[key] for key in fields if key in given}))


def _at(whole: Wire, path: Sequence[str | int]) -> Wire:
    found: Any = whole
    for step in path:
        found = found[step] if isinstance(step, int) else getattr(found, step)
    part: Wire = found
    return part


def strict(decoder: msgspec.json.Decoder[_T], answer: bytes | msgspec.Raw) -> _T:
    """What a decoder makes of an answer; raises as `decode`."""
    try:
        return decoder.decode(answer)
    except _BROKEN as error:
        raise MalformedAnswer(str(error)) from error


def _text(fields: dict[str, msgspec.Raw]) -> str:
    try:
        return msgspec.json.encode(fields).decode()
    except UnicodeDecodeError as error:
        raise MalformedAnswer(str(error)) from error


@cache
def _fields(kind: type[Wire]) -> dict[str, type[Wire] | None]:
    """By the node's name of a field, the struct that it holds, or a list of; None for others."""
    fields = msgspec.structs.fields(kind)
    return {f.encode_name: _struct(f.type) for f in fields if f.encode_name != _EXTRA}


def _struct(declared: Any) -> type[Wire] | None:  # noqa: ANN401 - a type's own parts
    if isinstance(declared, type) and issubclass(declared, Wire):
        return declared
    parts = get_args(declared) if get_origin(declared) is not Annotated else ()
    return next((found for part in parts if (found := _struct(part))), None)


@cache
def _decoder(kind: type[_T]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)
