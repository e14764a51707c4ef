"""One column of an EVM node's hex text to an Arrow array, exactly.

Arrow reads hex numbers in C++, up to 64 bits; Python reads the wider ones of a column. What is not
hex, or does not fit, is refused by height and column, never cut or wrapped.

Source: ethereum/execution-apis, types `uint` (0x and at least one digit) and `bytes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from chainflow.datasets._place import json_text
from chainflow.datasets._rows import ARROW_TYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chainflow.datasets._place import Place, Readers

_BITS = {"bigint": 63, "numeric": 256}
_QUANTITY = "^0x[0-9a-fA-F]+$"


def numbers(place: Place, texts: pa.StringArray) -> pa.Array[Any]:
    """Numbers of hex quantities: int64 for bigint, decimal text for numeric."""
    kind = ARROW_TYPES[place.column.type]
    # Without 0x Arrow would read a decimal number.
    if pc.all(pc.starts_with(texts, "0x")).as_py():
        try:
            return texts.cast(pa.uint64()).cast(kind)
        except pa.ArrowInvalid:
            pass  # some are wider, or wrong
    place.demand(pc.match_substring_regex(texts, _QUANTITY), "a hex quantity", texts)
    digits = pc.ascii_ltrim(pc.utf8_slice_codeunits(texts, 2), "0")
    wide = pc.greater(pc.binary_length(digits), pa.scalar(15))
    narrow = pc.binary_join_element_wise("0x0", pc.if_else(wide, "", digits), "")
    long: list[Any] = texts.filter(wide).to_pylist()
    exact = [int(text, 16) for text in long]
    _demand_width(place, texts, wide, exact)
    decimals = narrow.cast(pa.int64()).cast(pa.string())
    filled: pa.Array[Any] = pc.replace_with_mask(
        decimals, wide, pa.array(map(str, exact), pa.string())
    )
    return filled.cast(kind)


def _demand_width(
    place: Place, texts: pa.StringArray, wide: pa.BooleanArray, exact: Sequence[int]
) -> None:
    """Refuse a number that its column cannot hold; `exact` are those of the wide rows."""
    bits = _BITS[place.column.type]
    for position, number in enumerate(exact):
        if number >> bits:
            row = pc.indices_nonzero(wide)[position].as_py()
            expected = f"a hex quantity of at most {bits} bits"
            raise place.refusal(row, expected, texts[row].as_py())


def lower_hex(place: Place, texts: pa.StringArray) -> pa.Array[Any]:
    """Hashes, addresses and bytes in lower case."""
    lower = pc.ascii_lower(texts)
    # Trimmed of digits from its end, hex is 0x and anything else is not.
    rest = pc.ascii_rtrim(lower, "0123456789abcdef")
    place.demand(pc.equal(rest, pa.scalar("0x")), "hex", texts)
    return lower


READERS: Readers = {
    "bigint": numbers,
    "numeric": numbers,
    "text": lower_hex,
    "jsonb": json_text,
}
"""How the node's text becomes a column of each type."""
