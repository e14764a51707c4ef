"""Keccak-256: in C where there is a wheel of it, else by the library that web3 brings.

A short text costs 1 µs the one way and 8 µs the other; a block has some five hundred.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def fastest() -> Callable[[bytes], bytes]:
    """The faster of the two that is installed here."""
    try:
        from sha3 import keccak_256
    except ImportError:
        from eth_hash.auto import keccak

        return keccak
    return lambda data: keccak_256(data).digest()


keccak = fastest()
"""The 32 bytes of the hash."""
