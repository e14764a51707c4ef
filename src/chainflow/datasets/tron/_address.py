"""Addresses between their two forms: base58 with a checksum (`T...`), and the hex of their bytes.

Source: tronprotocol/documentation, Account; base58 as Bitcoin has it.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable

    from chainflow.datasets._rows import Array

_DIGITS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_PAIRS = [high + low for high in _DIGITS for low in _DIGITS]
_HEX_LENGTH = 42  # 21 bytes
PREFIX = "41"
_CHECKSUM = 4


# A few hundred thousand addresses do nearly everything on the chain.
@lru_cache(maxsize=2**17)
def base58(address: str) -> str:
    """An address of 21 bytes that begin with 41, in base58; other hex stays as it is.

    The genesis block has an owner that is no address.
    """
    if len(address) != _HEX_LENGTH or not address.startswith(PREFIX):
        return address
    raw = bytes.fromhex(address)
    number = int.from_bytes(raw + _checksum(raw), "big")
    pairs = []
    while number:
        number, pair = divmod(number, 58 * 58)
        pairs.append(_PAIRS[pair])
    return "".join(reversed(pairs))


def hexadecimal(address: str) -> str:
    """The 42 hex digits of an address in base58.

    Raises:
        ValueError: It is none: a digit is no base58, or the checksum is wrong.
    """
    number = 0
    for digit in address:
        number = number * 58 + _DIGITS.index(digit)
    raw = number.to_bytes(_HEX_LENGTH // 2 + _CHECKSUM, "big")
    if _checksum(raw[:-_CHECKSUM]) != raw[-_CHECKSUM:]:
        raise ValueError(f"{address!r} is no address: its checksum is wrong")
    return raw[:-_CHECKSUM].hex()


def of_log(address: str) -> str:
    """In base58, an address of 20 bytes, as logs and their topics have it."""
    return base58(PREFIX + address)


def each(addresses: Array) -> Array:
    """In base58, every address of a column; null where there is none, or an empty one."""
    return spelled(addresses, lambda address: base58(address) or None)


def spelled(texts: Array, spell: Callable[[str], str | None]) -> Array:
    """Every text of a column in another form; each form is made once."""
    found = texts.dictionary_encode()
    return pa.array(map(spell, found.dictionary.to_pylist()), pa.string()).take(found.indices)


def _checksum(raw: bytes) -> bytes:
    return sha256(sha256(raw).digest()).digest()[:_CHECKSUM]
