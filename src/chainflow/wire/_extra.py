"""Structs of a node's objects that keep, as JSON text in `extra`, the fields they do not name.

An answer is decoded once, strictly; only what holds an unknown field is decoded a second time, part
by part, to collect it. A new fork or kind of transaction so loses nothing.
"""

from __future__ import annotations

import re
from functools import cache
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar, get_args, get_origin

import msgspec

from chainflow.errors import MalformedAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping

# Our own key inside the node's object. A node's field of that name must not pass for ours, so its
# declared type admits nothing but null; the text is set once the rest is decoded.
_EXTRA = "chainflow:extra"
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
# PostgreSQL's jsonb cannot hold it.
_NUL = re.compile(rb"(?:^|[^\\])(?:\\\\)*\\u0000")


class Wire(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, gc=False):
    """What every such struct has: the fields it does not name, as JSON text."""

    if TYPE_CHECKING:
        extra: str | None = None
    else:
        extra: None = msgspec.field(name=_EXTRA, default=None)


_T = TypeVar("_T")
_W = TypeVar("_W", bound=Wire)


def decode(kind: type[_W], answer: bytes | msgspec.Raw, path: str = "$") -> _W:
    """One struct.

    Raises:
        MalformedAnswer: Not JSON, or a required field is missing or has another type; the message
            names its path.
    """
    try:
        row: _W = _decoder(kind).decode(answer)
        return row
    except _BROKEN:
        return _tolerant(kind, answer, path)


def decode_list(kind: type[_W], answer: bytes | msgspec.Raw, path: str = "$") -> list[_W]:
    """An array's structs; one with an unknown field does not slow the others down.

    Raises:
        MalformedAnswer: As `decode`.
    """
    try:
        found: list[_W] = _list_decoder(kind).decode(answer)
        return found
    except _BROKEN:
        rows = strict(_array, answer, path)
        return [decode(kind, row, f"{path}[{i}]") for i, row in enumerate(rows)]


def strict(decoder: msgspec.json.Decoder[_T], answer: bytes | msgspec.Raw, path: str = "$") -> _T:
    """What a decoder makes of an answer; raises as `decode`."""
    try:
        return decoder.decode(answer)
    except _BROKEN as error:
        raise MalformedAnswer(f"{error} (in {path})") from error


def _tolerant(kind: type[_W], answer: bytes | msgspec.Raw, path: str) -> _W:
    """The struct, with every field it does not name collected in `extra`."""
    given = strict(_object, answer, path)
    flat = _flat(kind)
    values = msgspec.structs.asdict(strict(flat.decoder, answer, path))
    for name, part in flat.parts.items():
        raw = values.pop(name)
        if not len(raw):
            continue  # the default is the struct's own
        if part.nullable and bytes(raw) == b"null":
            values[name] = None
        else:
            read = decode_list if part.many else decode
            values[name] = read(part.kind, raw, f"{path}.{part.key}")
    whole = kind(**values)
    if unknown := {key: item for key, item in given.items() if key not in flat.keys}:
        whole.extra = _text(unknown, path)
    return whole


def _text(fields: Mapping[str, msgspec.Raw], path: str) -> str:
    """The JSON object of some fields, if PostgreSQL can hold it as jsonb."""
    text = msgspec.json.encode(fields)
    strict(_anything, text, path)  # inside a Raw, escapes and UTF-8 are not looked at
    if _NUL.search(text):
        raise MalformedAnswer(f"U+0000 in an unknown field (in {path})")
    return text.decode()


class _Part(NamedTuple):
    """A field that holds a struct, or a list of them; `key` is the node's name for it."""

    key: str
    kind: type[Wire]
    many: bool
    nullable: bool


class _Flat(NamedTuple):
    """A struct's twin that leaves what is nested in it undecoded, and ignores unknown fields."""

    decoder: msgspec.json.Decoder[Any]
    parts: Mapping[str, _Part]
    keys: frozenset[str]


# Built once a kind: on OP stack and Arbitrum every receipt has fields that no struct names.
@cache
def _flat(kind: type[Wire]) -> _Flat:
    fields = [f for f in msgspec.structs.fields(kind) if f.encode_name != _EXTRA]
    parts = {f.name: part for f in fields if (part := _part(f.encode_name, f.type))}
    declared = [
        (f.name, msgspec.Raw, _raw(f)) if f.name in parts else (f.name, f.type, _same(f))
        for f in fields
    ]
    twin = msgspec.defstruct(kind.__name__, declared, kw_only=True)
    keys = frozenset(f.encode_name for f in fields)
    return _Flat(msgspec.json.Decoder(twin), parts, keys)


def _raw(field: msgspec.structs.FieldInfo) -> Any:  # noqa: ANN401 - as msgspec.field has it
    if field.required:
        return msgspec.field(name=field.encode_name)
    return msgspec.field(name=field.encode_name, default=msgspec.Raw())


def _same(field: msgspec.structs.FieldInfo) -> Any:  # noqa: ANN401
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.field(name=field.encode_name, default_factory=field.default_factory)
    return msgspec.field(name=field.encode_name, default=field.default)


def _part(key: str, declared: Any) -> _Part | None:  # noqa: ANN401 - a type's own parts
    """What a field's type nests; None where it nests no struct."""
    if isinstance(declared, type) and issubclass(declared, Wire):
        return _Part(key, declared, many=False, nullable=False)
    if get_origin(declared) is Annotated:
        return None
    inside = get_args(declared)
    found = next((part for one in inside if (part := _part(key, one))), None)
    if found is None:
        return None
    many = found.many or get_origin(declared) is list
    return found._replace(many=many, nullable=NoneType in inside)


_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array = msgspec.json.Decoder(list[msgspec.Raw])
_anything = msgspec.json.Decoder()


@cache
def _decoder(kind: type[Wire]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


@cache
def _list_decoder(kind: type[Wire]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(list[kind])  # type: ignore[valid-type]
