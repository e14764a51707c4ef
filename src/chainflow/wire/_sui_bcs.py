"""BCS, the bytes that Sui hashes: reading its primitives, Move's types, and the digests made of it.

Source: the ABNF in MystenLabs/sui-rust-sdk, crates/sui-sdk-types; diem/bcs.
"""

from __future__ import annotations

from hashlib import blake2b

from chainflow.errors import MalformedAnswer

DIGEST_BYTES = 32
_ADDRESS_BYTES = 32
_LENGTH_BITS = 32
# Move's own bound on how deep a type may nest is 16.
_DEEPEST_TYPE = 32
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


def hexadecimal(raw: bytes) -> str:
    """Bytes as 0x and hex digits."""
    return f"0x{raw.hex()}"


class Reader:
    """Reads one BCS value from its beginning; every read beyond the end is MalformedAnswer."""

    __slots__ = ("_data", "_end", "at")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._end = len(data)
        self.at = 0

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
        if self.at < self._end and self._data[self.at] < 0x80:  # as most are
            self.at += 1
            return self._data[self.at - 1]
        value = shift = 0
        while True:
            byte = self.number(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift >= _LENGTH_BITS + 3:
                break
        if value >> _LENGTH_BITS or shift > _LENGTH_BITS:
            raise MalformedAnswer(f"byte {self.at}: a length of more than 32 bits")
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
        """An identifier, or another short text of a type: printable ASCII."""
        raw = self.octets()
        text = raw.decode("latin-1")
        if not (text.isascii() and text.isprintable()):
            raise MalformedAnswer(f"byte {self.at}: expected an identifier, got {text[:40]!r}")
        return text

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
        if self.at != self._end:
            raise MalformedAnswer(f"BCS has {self._end - self.at} bytes after its value")

    def rest(self) -> bytes:
        """Everything not read yet."""
        return self.take(self._end - self.at)

    def find(self, part: bytes) -> int:
        """Where those bytes stand at or after the place reached; -1 if nowhere."""
        return self._data.find(part, self.at)
