"""Structs that keep what they do not name, nested as deep as Tron nests its messages.

An answer is decoded once, strictly; only a message that holds an unknown field is decoded a second
time, part by part, to collect it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from chainflow.errors import MalformedAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping

# Our own key inside the node's object. A node's field of that name must not pass for ours, so its
# declared type admits nothing but null; the text is set once the rest is decoded.
_EXTRA = "chainflow:extra"
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
# PostgreSQL's jsonb holds neither.
_UNSTORABLE = re.compile(rb"(?:^|[^\\])(?:\\\\)*\\u0000")


class Wire(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, gc=False):
    """What every struct of this family has: the fields it does not name, as JSON text."""

    if TYPE_CHECKING:
        extra: str | None = None
    else:
        extra: None = msgspec.field(name=_EXTRA, default=None)


_W = TypeVar("_W", bound=Wire)
_LIST = b"[]"
# By message and name of a field: what kind of message is in it, and the least JSON of the field.
Parts = dict[type[Wire], dict[str, tuple[type[Wire], bytes]]]


def many(kind: type[Wire]) -> tuple[type[Wire], bytes]:
    """For Parts: a list of such messages."""
    return kind, _LIST


def one(kind: type[Wire], least: bytes = b"{}") -> tuple[type[Wire], bytes]:
    """For Parts: one such message, of which `least` is the shortest JSON."""
    return kind, least


@dataclass(frozen=True, slots=True)
class Reader:
    """Decodes messages of the kinds whose parts it knows.

    Its methods raise MalformedAnswer where an answer is not JSON, or a field is missing, of another
    type or not of its pattern; the message names the path.
    """

    parts: Parts

    def row(self, kind: type[_W], answer: bytes | msgspec.Raw, path: str = "$") -> _W:
        """One message."""
        try:
            row: _W = _decoder(kind).decode(answer)
            return row
        except _BROKEN:
            return self._tolerant(kind, answer, path)

    def rows(self, kind: type[_W], answer: bytes | msgspec.Raw, path: str = "$") -> list[_W]:
        """A list of messages; one with an unknown field does not slow the others down."""
        try:
            found: list[_W] = _list_decoder(kind).decode(answer)
            return found
        except _BROKEN:
            rows = _decode(_raws, answer, path)
            return [self.row(kind, row, f"{path}[{i}]") for i, row in enumerate(rows)]

    def _tolerant(self, kind: type[_W], answer: bytes | msgspec.Raw, path: str) -> _W:
        """The message, with every field it does not name collected in `extra`."""
        given: dict[str, msgspec.Raw] = _decode(_object, answer, path)
        fields = _fields(kind)
        known = {name: item for name, item in given.items() if name in fields}
        inside: dict[str, Any] = {}
        for name, (part, least) in self.parts.get(kind, {}).items():
            if name in known and bytes(known[name]) != b"null":
                read = self.rows if least == _LIST else self.row
                inside[fields[name]] = read(part, known[name], f"{path}.{name}")
                known[name] = msgspec.Raw(least)
        whole: _W = _decode(_decoder(kind), msgspec.json.encode(known), path)
        for attribute, value in inside.items():
            setattr(whole, attribute, value)
        if unknown := {name: item for name, item in given.items() if name not in fields}:
            whole.extra = _text(unknown, path)
        return whole


def _decode(decoder: msgspec.json.Decoder[Any], answer: bytes | msgspec.Raw, path: str) -> Any:  # noqa: ANN401 - what the decoder is for
    try:
        return decoder.decode(answer)
    except _BROKEN as error:
        raise MalformedAnswer(f"{error} (in {path})") from error


def _text(fields: Mapping[str, msgspec.Raw], path: str) -> str:
    """The JSON object of some fields, if PostgreSQL can hold it as jsonb."""
    text = msgspec.json.encode(fields)
    _decode(_anything, text, path)  # inside a Raw, escapes and UTF-8 are not looked at
    if _UNSTORABLE.search(text):
        raise MalformedAnswer(f"U+0000 in an unknown field (in {path})")
    return text.decode()


_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_raws = msgspec.json.Decoder(list[msgspec.Raw])
_anything = msgspec.json.Decoder()


# Built once a kind: staking contracts have fields of their own in every block.
@cache
def _fields(kind: type[Wire]) -> Mapping[str, str]:
    """The node's names of a kind's fields, with ours."""
    named = {f.encode_name: f.name for f in msgspec.structs.fields(kind)}
    return {name: ours for name, ours in named.items() if name != _EXTRA}


@cache
def _decoder(kind: type[Wire]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


@cache
def _list_decoder(kind: type[Wire]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(list[kind])  # type: ignore[valid-type]
