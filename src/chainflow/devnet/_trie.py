"""What Ethereum hashes: minimal integers, Merkle-Patricia roots, blooms.

The root is the client's: the tests of both hold it against PyPI's `trie`.

Source: Ethereum Yellow Paper, appendices B (RLP) to D (trie), 4.3.1 (bloom).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from chainflow.clients._evm_trie import EMPTY_ROOT, root
from chainflow.clients._keccak import keccak

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["EMPTY_ROOT", "bloom", "minimal", "root"]


def minimal(number: int) -> bytes:
    """The number big-endian without leading zeros; nothing for 0."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


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
