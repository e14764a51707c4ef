"""Digests as base58, a whole column at once.

A digest is eight words of 32 bits; its text is 44 letters, eleven digits to the base 58^4. What a
word adds to each of those digits is a constant, so that all but the carrying is multiplication.
"""

from __future__ import annotations

import sys
from array import array
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute

from chainflow.wire import _base58 as base58

if TYPE_CHECKING:
    from collections.abc import Sequence

# They take plain numbers beside arrays, which the stubs of pyarrow do not know.
pc: Any = pyarrow.compute

_WORDS, _WORD_BITS = 8, 32
_PAIR, _DIGIT = 58**2, 58**4
_DIGITS, _PAIRS, _LETTERS = 11, 22, 44
# A digest whose first byte is zero has a leading 1 for it, and fewer letters.
_NO_ZERO_BYTE = 2**24
# What a column's calls into Arrow cost, at 2.4 us a digest.
_FEW = 400


def digests(values: Sequence[bytes | None]) -> pa.Array[Any]:
    """Digests of 32 bytes as base58; None stays no value."""
    there = [value for value in values if value is not None]
    texts = _texts(there)
    if len(there) == len(values):
        return texts
    place = iter(range(len(there)))
    return texts.take(pa.array([v if v is None else next(place) for v in values], pa.int64()))


def _texts(values: Sequence[bytes]) -> pa.Array[Any]:
    if len(values) < _FEW:
        return pa.array(map(base58.encode, values), pa.string())
    words = _words(values)
    texts: pa.Array[Any] = _padded(words).cast(pa.string())
    texts = pc.ascii_ltrim(texts, "1")
    zero = pc.less(words[-1], _NO_ZERO_BYTE)
    if pc.any(zero).as_py():
        exact = [base58.encode(value) for value in values if not value[0]]
        texts = pc.replace_with_mask(texts, zero, pa.array(exact, pa.string()))
    return texts


def _words(values: Sequence[bytes]) -> list[pa.Array[Any]]:
    """The words of all values, the least significant first."""
    every = array("I", b"".join(values))
    if sys.byteorder == "little":
        every.byteswap()
    kind, count = pa.uint32(), len(values)
    return [
        pa.Array.from_buffers(kind, count, [None, pa.py_buffer(every[place::_WORDS])]).cast("int64")
        for place in reversed(range(_WORDS))
    ]


def _padded(words: Sequence[pa.Array[Any]]) -> pa.Array[Any]:
    """44 letters of each value, ones before the rest."""
    count = len(words[0])
    letters = bytearray(_LETTERS * count)
    pairs = memoryview(letters).cast("H")
    carry: Any = 0
    for digit, weights in enumerate(_weights()):
        total = carry
        for word, weight in zip(words, weights, strict=True):
            if weight:
                total = pc.add(total, pc.multiply(word, weight))
        carry, low = _divided(total, _DIGIT)
        for i, pair in enumerate(reversed(_divided(low, _PAIR))):
            held: Any = _pairs().take(pair).buffers()[1]
            pairs[_PAIRS - 1 - 2 * digit - i :: _PAIRS] = memoryview(held).cast("H")[:count]
    return pa.Array.from_buffers(pa.binary(_LETTERS), count, [None, pa.py_buffer(letters)])


def _divided(numbers: pa.Array[Any], by: int) -> tuple[pa.Array[Any], pa.Array[Any]]:
    quotient = pc.divide(numbers, by)
    return quotient, pc.subtract(numbers, pc.multiply(quotient, by))


@cache
def _weights() -> list[list[int]]:
    """By digit, the least significant first: what a one in each word adds to it."""
    return [
        [(1 << _WORD_BITS * word) // _DIGIT**digit % _DIGIT for word in range(_WORDS)]
        for digit in range(_DIGITS)
    ]


@cache
def _pairs() -> pa.Array[Any]:
    """The two letters of every number below 58^2, as they lie in memory."""
    texts = "".join(base58.PAIRS).encode()
    return pa.Array.from_buffers(pa.uint16(), _PAIR, [None, pa.py_buffer(texts)])
