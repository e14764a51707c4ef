"""BCS written from what our columns hold: the way back of `_sui_bcs`.

Source: the ABNF in MystenLabs/sui-rust-sdk, crates/sui-sdk-types; diem/bcs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chainflow.wire._sui_bcs import PLAIN_TYPES, STRUCT, VECTOR

if TYPE_CHECKING:
    from collections.abc import Sequence

_PLAIN = {name: variant for variant, name in PLAIN_TYPES.items()}
_NAMES = re.compile(r"0x([0-9a-f]{64})::(\w+)::(\w+)(?:<(.*)>)?")


def u64(value: int) -> bytes:
    """A number of eight bytes.

    Raises:
        OverflowError: It is negative, or wider.
    """
    return value.to_bytes(8, "little")


def length(value: int) -> bytes:
    """A length, or an enum's variant: seven bits a byte."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def octets(raw: bytes) -> bytes:
    """Bytes with their length before them."""
    return length(len(raw)) + raw


def text(given: str) -> bytes:
    """An identifier."""
    return octets(given.encode())


def many(parts: Sequence[bytes]) -> bytes:
    """A list of values, each of them written."""
    return length(len(parts)) + b"".join(parts)


def address(given: str) -> bytes:
    """An address or object id of 0x and 64 hex digits."""
    return bytes.fromhex(given.removeprefix("0x"))


def struct_tag(given: str) -> bytes:
    """A Move struct's type, written as `Reader.struct_tag` tells it.

    Raises:
        ValueError: It is no such type.
    """
    found = _NAMES.fullmatch(given)
    if not found:
        raise ValueError(f"no Move type: {given[:100]!r}")
    where, module, name, parameters = found.groups()
    tags = [_type_tag(one) for one in _split(parameters or "")]
    return bytes.fromhex(where) + text(module) + text(name) + many(tags)


def _type_tag(given: str) -> bytes:
    if given in _PLAIN:
        return length(_PLAIN[given])
    if given.startswith("vector<") and given.endswith(">"):
        return length(VECTOR) + _type_tag(given[len("vector<") : -1])
    return length(STRUCT) + struct_tag(given)


def _split(parameters: str) -> list[str]:
    """The types between commas that stand in no brackets."""
    found, depth = [""], 0
    for letter in parameters:
        depth += (letter == "<") - (letter == ">")
        if letter == "," and not depth:
            found.append("")
        else:
            found[-1] += letter
    return found if parameters else []
