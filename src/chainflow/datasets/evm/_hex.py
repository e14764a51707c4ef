"""One column of an EVM node's hex text to an Arrow array, exactly.

Arrow reads hex numbers in C++, up to 64 bits; Python reads the wider ones of a column. What is not
hex, or does not fit, is refused by height and column, never cut or wrapped.

Source: ethereum/execution-apis, types `uint` (0x and at least one digit) and `bytes`.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING

import pyarrow as pa

from chainflow.datasets._place import json_text
from chainflow.datasets._rows import ARROW_TYPES, Array, pc

if TYPE_CHECKING:
    from chainflow.datasets._place import Place, Readers

_BITS = {"bigint": 63, "numeric": 256}
_DIGITS = "0123456789abcdefABCDEF"


def numbers(place: Place, texts: Array) -> Array:
    """Numbers of hex quantities: int64 for bigint, decimal text for numeric."""
    kind = ARROW_TYPES[place.column.type]
    # Without 0x Arrow would read a decimal number.
    if pc.all(pc.starts_with(texts, "0x")).as_py():
        try:
            return texts.cast(pa.uint64()).cast(kind)
        except pa.ArrowInvalid:
            pass  # some are wider, or wrong
    some = pc.greater(pc.binary_length(texts), 2)
    place.demand(pc.and_(some, _is_hex(texts)), "a hex quantity", texts)
    bits = _BITS[place.column.type]
    digits = _significant(texts)
    # The highest digit of 63 bits is at most 7.
    fits = pc.less_equal(pc.binary_length(digits), bits // 4)
    if bits % 4:
        fits = pc.or_(
            fits,
            pc.and_(pc.equal(pc.binary_length(digits), 16), pc.less(digits, "8")),
        )
    place.demand(fits, f"a hex quantity of at most {bits} bits", texts)
    return decimals(texts).cast(kind)


def decimals(texts: Array) -> Array:
    """Decimal text of hex quantities, known to be such, of any width."""
    digits = _significant(texts)
    wide = pc.greater(pc.binary_length(digits), 15)
    narrow = pc.binary_join_element_wise("0x0", pc.if_else(wide, "", digits), "")
    exact = list(map(str, map(int, _words(digits.filter(wide)), repeat(16))))
    filled: Array = pc.replace_with_mask(
        narrow.cast(pa.int64()).cast(pa.string()), wide, pa.array(exact, pa.string())
    )
    return filled


def lower_hex(place: Place, texts: Array) -> Array:
    """Hashes, addresses and bytes in lower case."""
    lower: Array = pc.ascii_lower(texts)
    place.demand(_is_hex(lower), "hex", texts)
    return lower


def _is_hex(texts: Array) -> Array:
    """Trimmed of digits from its end, hex is 0x and anything else is not."""
    return pc.equal(pc.ascii_rtrim(texts, _DIGITS), "0x")


def _significant(texts: Array) -> Array:
    """Digits of hex quantities, without leading zeros."""
    return pc.ascii_ltrim(texts, "0x")


def _words(texts: Array) -> list[str]:
    """The texts, none of which is empty or has a blank; `to_pylist` takes ten times as long."""
    every = pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts)
    joined: str = pc.binary_join(every, " ")[0].as_py()
    return joined.split()


READERS: Readers = {
    "bigint": numbers,
    "numeric": numbers,
    "text": lower_hex,
    "jsonb": json_text,
}
"""How the node's text becomes a column of each type."""
