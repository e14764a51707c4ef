"""Base58, Bitcoin's alphabet: bytes as text without 0, O, I and l, leading zero bytes as 1."""

from __future__ import annotations

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
# Two letters at a time: half the divisions of a long number.
PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


def encode(raw: bytes) -> str:
    """The text of some bytes."""
    rest = int.from_bytes(raw, "big")
    parts = []
    while rest:
        rest, pair = divmod(rest, 58 * 58)
        parts.append(PAIRS[pair])
    text = "".join(reversed(parts)).lstrip("1")
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + text


def decode(text: str) -> bytes:
    """The bytes of a text.

    Raises:
        ValueError: A letter is not of the alphabet.
    """
    number = 0
    for letter in text:
        if letter not in _VALUES:
            raise ValueError(f"not base58: {letter!r}")
        number = number * 58 + _VALUES[letter]
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
