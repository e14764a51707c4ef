"""As much protobuf and hashing as Tron's blocks are made of.

The messages are few and their hashes cover their exact bytes, so they are written here field by
field: no generated code stands between a hash and what it is the hash of.

Source: protobuf's encoding page; tronprotocol/java-tron, MerkleTree.java and BlockCapsule.java.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NO_ROOT = bytes(32)  # the root of a block without transactions
_VARINT, _BYTES = 0, 2
_WORD = 2**64


def message(*fields: tuple[int, int | bytes | None]) -> bytes:
    """A message of varints and bytes by field number, in ascending order; None is left out."""
    return b"".join(_field(number, value) for number, value in fields if value is not None)


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """The root over the leaves' hashes; an odd one out moves up a level as it is."""
    if not leaves:
        return NO_ROOT
    level = [sha256(leaf).digest() for leaf in leaves]
    while len(level) > 1:
        pairs = [sha256(a + b).digest() for a, b in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]


def block_id(number: int, header: bytes) -> bytes:
    """A block's id: its height, and the hash of its header but for the first eight bytes."""
    return number.to_bytes(8, "big") + sha256(header).digest()[8:]


def transaction(raw: bytes, signatures: Iterable[bytes], results: Iterable[bytes]) -> bytes:
    """A transaction as the root of its block has it: with what became of it."""
    # Every transaction of a chain goes through here: no pairs of number and value are made.
    parts = [_head(1, len(raw)), raw]
    for signature in signatures:
        parts += (_head(2, len(signature)), signature)
    for result in results:
        parts += (_head(5, len(result)), result)
    return b"".join(parts)


def header(
    *,
    timestamp: int,
    root: bytes | None,
    parent: bytes,
    number: int,
    witness: bytes | None,
    version: int | None,
    witness_id: int | None = None,
    state_root: bytes | None = None,
) -> bytes:
    """A block's header as its id has it; the time in Unix milliseconds."""
    return message(
        (1, timestamp or None),
        (2, root),
        (3, parent),
        (7, number or None),
        (8, witness_id or None),
        (9, witness),
        (10, version or None),
        (11, state_root),
    )


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(value % _WORD)
    return _head(number, len(value)) + value


@lru_cache(maxsize=4096)
def _head(number: int, size: int) -> bytes:
    """What stands before so many bytes."""
    return _varint(number << 3 | _BYTES) + _varint(size)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
