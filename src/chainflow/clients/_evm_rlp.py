"""RLP of a node's hex text, as hex text: no number is parsed and no byte touched on the way.

`encoded` makes the bytes of it, once for a whole transaction or receipt. Every item is given its
own length, so two different texts never give the same bytes.

Source: Ethereum Yellow Paper, appendix B.
"""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

EMPTY = "80"
EMPTY_LIST = "c0"
_MISSING = "a field that is hashed is missing"
# By the length of the text with its 0x: the prefix of 0 and of 2 to 55 bytes ...
_BYTES = {2: EMPTY, **{2 + 2 * size: f"{0x80 + size:02x}" for size in range(2, 56)}}
# ... and of a number of 3 to 64 digits that begins with no zero; an odd count lacks half a byte.
_NUMBER = {
    2 + digits: f"{0x80 + (digits + 1) // 2:02x}{'0' * (digits % 2)}" for digits in range(3, 65)
}
_LIST = [f"{0xC0 + size:02x}" for size in range(56)]


def item(text: str | None) -> str:
    """Bytes: a hash, an address, data.

    Raises:
        ValueError: Not 0x and whole bytes, or None.
    """
    if text is None:
        raise ValueError(_MISSING)
    prefix = _BYTES.get(len(text))
    if prefix is None:
        prefix = _odd_prefix(text)
    if text[:2] != "0x":
        raise ValueError(f"{text[:20]!r} does not begin with 0x")
    return prefix + text[2:]


def number(text: str | None) -> str:
    """A quantity, however many zeros it begins with; raises as `item`."""
    if text is None:
        raise ValueError(_MISSING)
    if text[:2] != "0x":
        raise ValueError(f"{text[:20]!r} does not begin with 0x")
    if text[2:3] > "0" and (prefix := _NUMBER.get(len(text))) is not None:
        return prefix + text[2:]
    return _small_number(text)


def listed(payload: str) -> str:
    """The list of items that are encoded and joined already."""
    size = len(payload) // 2
    return (_LIST[size] if size < 56 else _long(0xF7, size)) + payload


def encoded(text: str) -> bytes:
    """The bytes that the hex text stands for; ValueError where it is none."""
    given = bytes.fromhex(text)
    if len(given) * 2 != len(text):  # fromhex passes over blanks
        raise ValueError("there are blanks in it")
    return given


def every(texts: Sequence[str]) -> list[bytes]:
    """`encoded` of each, at one go; where one has half a byte, it or others are cut wrongly."""
    whole = encoded("".join(texts))
    ends = list(accumulate([len(text) // 2 for text in texts]))
    return [whole[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def join(items: Iterable[bytes]) -> bytes:
    """The list of items that are encoded already, as bytes."""
    payload = b"".join(items)
    return list_prefix(len(payload)) + payload


@lru_cache(maxsize=1 << 12)
def list_prefix(size: int) -> bytes:
    """What stands before a list's payload of that many bytes."""
    return bytes.fromhex(_LIST[size] if size < 56 else _long(0xF7, size))


def bytes_prefix(value: bytes) -> bytes:
    """What stands before bytes."""
    size = len(value)
    if size == 1 and value < b"\x80":
        return b""
    return bytes([0x80 + size]) if size < 56 else bytes.fromhex(_long(0xB7, size))


@cache
def _long(base: int, size: int) -> str:
    digits = f"{size:x}"
    digits = "0" * (len(digits) % 2) + digits
    return f"{base + len(digits) // 2:02x}{digits}"


def _odd_prefix(text: str) -> str:
    """The prefix of one byte, or of more than 55."""
    size, half = divmod(len(text), 2)
    if half or size == 0:
        raise ValueError(f"{text[:20]!r} is no whole number of bytes")
    if size == 2:
        return "" if text[2] < "8" else "81"
    return _long(0xB7, size - 1)


# Zeros, types, gas limits: most are met again at once.
@lru_cache(maxsize=1 << 12)
def _small_number(text: str) -> str:
    """A number below 256, with zeros before it, or none at all."""
    if len(text) == 2:
        raise ValueError("0x is no number")
    digits = text[2:].lstrip("0")
    if len(digits) > 2:
        return _NUMBER[2 + len(digits)] + digits if len(digits) <= 64 else _too_wide(text)
    if not digits:
        return EMPTY
    return digits.zfill(2) if len(digits) == 1 or digits < "8" else f"81{digits}"


def _too_wide(text: str) -> str:
    raise ValueError(f"{text[:20]!r} is wider than 256 bits")
