"""BCS, the bytes that Sui hashes: reading its primitives, Move's types, and the digests made of it.

Source: the ABNF in MystenLabs/sui-rust-sdk, crates/sui-sdk-types; diem/bcs.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

from chainflow.errors import MalformedAnswer

if TYPE_CHECKING:
    from collections.abc import Iterable

DIGEST_BYTES = 32
_ADDRESS_BYTES = 32
_LENGTH_BITS = 32
# Move's own bound on how deep a type may nest is 16.
_DEEPEST_TYPE = 32
# How many texts made of types and names are kept: a few hundred are used again and again.
_KEPT_TEXTS = 8_192
VECTOR, STRUCT = 6, 7
PLAIN_TYPES = {
    0: "bool",
    1: "u8",
    2: "u64",
    3: "u128",
    4: "address",
    5: "signer",
    8: "u16",
    9: "u32",
    10: "u256",
}


def digest(kind: bytes, bcs: bytes) -> bytes:
    """The digest of a value by the name of its type, such as `TransactionData`."""
    return blake2b(kind + b"::" + bcs, digest_size=DIGEST_BYTES).digest()


def digests(kind: bytes, values: Iterable[bytes]) -> list[bytes]:
    """The digest of each of many values of one type."""
    begun = blake2b(kind + b"::", digest_size=DIGEST_BYTES)
    found = []
    for bcs in values:
        state = begun.copy()
        state.update(bcs)
        found.append(state.digest())
    return found


def hexadecimal(raw: bytes) -> str:
    """Bytes as 0x and hex digits."""
    return f"0x{raw.hex()}"


def length(data: bytes, at: int) -> tuple[int, int]:
    """The length, or enum's variant, that stands at a place, and the place after it.

    Raises:
        MalformedAnswer: It has more than 32 bits.
        IndexError: The bytes end before.
    """
    byte = data[at]
    at += 1
    if byte < 0x80:  # as most are
        return byte, at
    value, shift = byte & 0x7F, 7
    while byte >= 0x80:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if value >> _LENGTH_BITS or shift > _LENGTH_BITS + 3:
            raise MalformedAnswer(f"byte {at}: a length of more than 32 bits")
    return value, at


def octets_end(data: bytes, at: int) -> int:
    """The place after bytes that stand with their length before them; it may lie after the end.

    Raises:
        MalformedAnswer: Their length has more than 32 bits.
        IndexError: The bytes end before.
    """
    size = data[at]
    if size < 0x80:  # as most are
        return at + 1 + size
    size, at = length(data, at)
    return at + size


def type_end(data: bytes, at: int, depth: int = 0) -> int:
    """The place after the Move type that stands at one; it may lie after the end.

    Raises:
        MalformedAnswer: There is no type.
        IndexError: The bytes end before.
    """
    variant = data[at]
    if variant == STRUCT:
        return struct_end(data, at + 1, depth)
    if variant == VECTOR and depth < _DEEPEST_TYPE:
        return type_end(data, at + 1, depth + 1)
    if variant not in PLAIN_TYPES:
        raise MalformedAnswer(f"byte {at}: expected a Move type, got variant {variant}")
    return at + 1


def struct_end(data: bytes, at: int, depth: int = 0) -> int:
    """As `type_end`, of a Move struct's type without the variant before it."""
    if depth > _DEEPEST_TYPE:
        raise MalformedAnswer(f"byte {at}: a type nested deeper than {_DEEPEST_TYPE}")
    module = at + _ADDRESS_BYTES
    name = module + 1 + data[module]
    parameters = name + 1 + data[name]
    if data[module] >= 0x80 or data[name] >= 0x80:  # identifiers may have 128 letters
        parameters = octets_end(data, octets_end(data, module))
    count, at = length(data, parameters)
    for _ in range(count):
        at = type_end(data, at, depth + 1)
    return at


def finish(data: bytes, at: int) -> None:
    """Refuse bytes that end before a place, or go on after it."""
    if at > len(data):
        raise MalformedAnswer(f"BCS ends at byte {len(data)}, where byte {at} is needed")
    if at < len(data):
        raise MalformedAnswer(f"BCS has {len(data) - at} bytes after its value")


@lru_cache(_KEPT_TEXTS)
def identifier(raw: bytes) -> str:
    """An identifier, or another short text of a type: printable ASCII."""
    text = raw.decode("latin-1")
    if not (text.isascii() and text.isprintable()):
        raise MalformedAnswer(f"expected an identifier, got {text[:40]!r}")
    return text


@lru_cache(_KEPT_TEXTS)
def type_text(bcs: bytes) -> str:
    """The canonical text of a Move type that is all of some bytes; see `Reader.type_tag`."""
    reader = Reader(bcs)
    text = reader.type_tag()
    reader.finish()
    return text


@lru_cache(_KEPT_TEXTS)
def struct_text(bcs: bytes) -> str:
    """As `type_text`, of a Move struct's type without the variant before it."""
    reader = Reader(bcs)
    text = reader.struct_tag()
    reader.finish()
    return text


@lru_cache(_KEPT_TEXTS)
def function_text(bcs: bytes) -> str:
    """The name of a function in its module and package, that is all of some bytes."""
    reader = Reader(bcs)
    name = f"{reader.address()}::{reader.text()}::{reader.text()}"
    reader.finish()
    return name


class Reader:
    """Reads BCS from a place on; every read beyond the end is MalformedAnswer."""

    __slots__ = ("_data", "_end", "at")

    def __init__(self, data: bytes, at: int = 0) -> None:
        self._data = data
        self._end = len(data)
        self.at = at

    def take(self, size: int) -> bytes:
        """The next bytes."""
        at = self.at
        self.skip(size)
        return self._data[at : self.at]

    def skip(self, size: int) -> None:
        """Step over that many bytes."""
        self.at += size
        if self.at > self._end:
            raise MalformedAnswer(f"BCS ends at byte {self._end}, where byte {self.at} is needed")

    def number(self, size: int) -> int:
        """An unsigned number of that many bytes."""
        return int.from_bytes(self.take(size), "little")

    def u64(self) -> int:
        """An unsigned number of eight bytes."""
        return int.from_bytes(self.take(8), "little")

    def length(self) -> int:
        """A length, or an enum's variant: ULEB128 of at most 32 bits."""
        try:
            value, self.at = length(self._data, self.at)
        except IndexError:
            raise MalformedAnswer(f"BCS ends at byte {self._end}, within a length") from None
        return value

    def option(self) -> bool:
        """Whether the optional value that stands here is there."""
        flag = self.number(1)
        if flag > 1:
            raise MalformedAnswer(f"byte {self.at}: expected 0 or 1, got {flag}")
        return flag == 1

    def octets(self) -> bytes:
        """Bytes with their length before them."""
        return self.take(self.length())

    def digest(self) -> bytes:
        """The 32 bytes of a digest, which stands here with its length."""
        size = self.length()
        if size != DIGEST_BYTES:
            raise MalformedAnswer(f"byte {self.at}: expected a digest of 32 bytes, got {size}")
        return self.take(size)

    def optional_digest(self) -> bytes | None:
        """A digest that may be absent."""
        return self.digest() if self.option() else None

    def address(self) -> str:
        """An address or object id, with all its 64 hex digits."""
        return f"0x{self.take(_ADDRESS_BYTES).hex()}"

    def text(self) -> str:
        """An identifier, which stands here with its length."""
        return identifier(self.octets())

    def type_tag(self, depth: int = 0) -> str:
        """A Move type in its canonical text: addresses in full, no blanks."""
        variant = self.length()
        if variant == STRUCT:
            return self.struct_tag(depth)
        if variant == VECTOR and depth < _DEEPEST_TYPE:
            return f"vector<{self.type_tag(depth + 1)}>"
        if variant not in PLAIN_TYPES:
            raise MalformedAnswer(f"byte {self.at}: expected a Move type, got variant {variant}")
        return PLAIN_TYPES[variant]

    def struct_tag(self, depth: int = 0) -> str:
        """A Move struct's type: `0x<64 digits>::module::Name<Parameter,...>`."""
        if depth > _DEEPEST_TYPE:
            raise MalformedAnswer(f"byte {self.at}: a type nested deeper than {_DEEPEST_TYPE}")
        name = f"{self.address()}::{self.text()}::{self.text()}"
        count = self.length()
        if not count:
            return name
        return f"{name}<{','.join(self.type_tag(depth + 1) for _ in range(count))}>"

    def finish(self) -> None:
        """Refuse bytes that are left over."""
        finish(self._data, self.at)

    def rest(self) -> bytes:
        """Everything not read yet."""
        return self.take(self._end - self.at)

    def find(self, part: bytes) -> int:
        """Where those bytes stand at or after the place reached; -1 if nowhere."""
        return self._data.find(part, self.at)
