"""BCS written by a description of Sui's types, apart from the code that reads it.

A type is a word (`u64`, `bytes`, `text`, `address`, `digest`), or one of
`vec(T)`, `option(T)` (a value or None), `struct(name=T, ...)` (a dict) and `enum(Name=T, ...)` (a
name, or {name: value}). Addresses are hex text, digests base58 text, `bytes` bytes.

Source: diem/bcs; the ABNF in MystenLabs/sui-rust-sdk, crates/sui-sdk-types.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

from chainflow.wire import _base58 as base58

Value = Any  # what a type describes, of any shape
NUMBERS = {"u8": 1, "bool": 1, "u16": 2, "u32": 4, "u64": 8}


@dataclass(frozen=True, slots=True)
class Compound:
    """A type made of others."""

    form: Literal["vec", "option", "struct", "enum"]
    parts: tuple[tuple[str, Any], ...]


Type = str | Compound


def vec(of: Type) -> Compound:
    """A list."""
    return Compound("vec", (("", of),))


def option(of: Type) -> Compound:
    """A value or None."""
    return Compound("option", (("", of),))


def struct(**fields: Type) -> Compound:
    """A dict of these fields, in this order."""
    return Compound("struct", tuple(fields.items()))


def enum(**variants: Type | None) -> Compound:
    """One of these, by its place."""
    return Compound("enum", tuple(variants.items()))


def encode(kind: Type, value: Value) -> bytes:
    """The BCS of a value."""
    out = bytearray()
    _write(out, kind, value)
    return bytes(out)


def digest(name: str, bcs: bytes) -> str:
    """The digest of a value by the name of its type, as base58."""
    return base58.encode(blake2b(f"{name}::".encode() + bcs, digest_size=32).digest())


def uleb(value: int) -> bytes:
    """A length, seven bits a byte."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _write(out: bytearray, kind: Type, value: Value) -> None:
    if isinstance(kind, Compound):
        _compound(out, kind, value)
    elif kind in NUMBERS:
        out += int(value).to_bytes(NUMBERS[kind], "little")
    elif kind == "address":
        out += bytes.fromhex(value.removeprefix("0x").rjust(64, "0"))
    elif kind == "type":
        _compound(out, TYPE_TAG, value)
    else:
        raw = _octets(kind, value)
        out += uleb(len(raw)) + raw


def _octets(kind: str, value: Value) -> bytes:
    if kind == "digest":
        return base58.decode(value)
    return value.encode() if kind == "text" else bytes(value)


def _compound(out: bytearray, kind: Compound, value: Value) -> None:
    match kind.form:
        case "struct":
            for name, part in kind.parts:
                _write(out, part, value[name])
        case "vec":
            out += uleb(len(value))
            for item in value:
                _write(out, kind.parts[0][1], item)
        case "option":
            out.append(value is not None)
            if value is not None:
                _write(out, kind.parts[0][1], value)
        case "enum":
            _variant(out, kind, value)


def _variant(out: bytearray, kind: Compound, value: Value) -> None:
    name, inner = next(iter(value.items())) if isinstance(value, dict) else (value, None)
    place = [variant for variant, _ in kind.parts].index(name)
    out += uleb(place)
    part = kind.parts[place][1]
    if part is not None:
        _write(out, part, inner)


STRUCT_TAG = struct(address="address", module="text", name="text", type_params=vec("type"))
TYPE_TAG = enum(
    bool=None,
    u8=None,
    u64=None,
    u128=None,
    address=None,
    signer=None,
    vector="type",
    struct=STRUCT_TAG,
    u16=None,
    u32=None,
    u256=None,
)
