"""What Ethereum hashes: minimal integers, Merkle-Patricia roots, blooms.

The root is computed from all values at once, which is all a block needs; a general trie (PyPI
`trie`, against which the tests hold this) keeps nodes for later look-ups and takes ten times as
long.

Source: Ethereum Yellow Paper, appendices B (RLP) to D (trie), 4.3.1 (bloom).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby, takewhile
from typing import TYPE_CHECKING

from eth_hash.auto import keccak
from rlp.codec import encode_raw

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EMPTY_ROOT = keccak(encode_raw(b""))


def minimal(number: int) -> bytes:
    """The number big-endian without leading zeros; nothing for 0."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def root(values: Sequence[bytes]) -> bytes:
    """Root of the trie that maps each value's index to the value."""
    if not values:
        return EMPTY_ROOT
    keyed = ((encode_raw(minimal(index)).hex(), value) for index, value in enumerate(values))
    return keccak(encode_raw(_node(sorted(keyed), 0)))


def bloom(items: Iterable[bytes]) -> int:
    """The 2048 bits that addresses and topics set, as one number; blooms combine by `|`."""
    bits = 0
    for item in items:
        bits |= _bits(item)
    return bits


@lru_cache(maxsize=1 << 14)
def _bits(item: bytes) -> int:
    hashed = keccak(item)
    return sum({1 << (int.from_bytes(hashed[i : i + 2], "big") & 2047) for i in (0, 2, 4)})


def _node(items: list[tuple[str, bytes]], depth: int) -> list[object]:
    """The node over sorted (nibbles as hex text, value) pairs that agree in their first `depth`."""
    if len(items) == 1:
        nibbles, value = items[0]
        return [_path(nibbles[depth:], leaf=True), value]
    ends = zip(items[0][0], items[-1][0], strict=False)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], ends))
    if shared > depth:
        return [_path(items[0][0][depth:shared], leaf=False), _reference(_node(items, shared))]
    branch: list[object] = [b""] * 17
    # No index's key is the beginning of another's, so no branch holds a value of its own.
    for nibble, below in groupby(items, key=lambda item: item[0][depth]):
        branch[int(nibble, 16)] = _reference(_node(list(below), depth + 1))
    return branch


def _reference(node: list[object]) -> object:
    encoded: bytes = encode_raw(node)
    return node if len(encoded) < 32 else keccak(encoded)


def _path(nibbles: str, *, leaf: bool) -> bytes:
    flag = 2 * leaf + len(nibbles) % 2
    return bytes.fromhex(f"{flag}{nibbles}" if len(nibbles) % 2 else f"{flag}0{nibbles}")
