"""One column of a CometBFT node's text to an Arrow array, exactly.

Numbers are decimal text in the node's JSON. What is none, or does not fit, is refused by height and
column, never cut or wrapped. U+0000, which PostgreSQL has not and anybody may write into a memo,
becomes U+FFFD.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from chainflow.datasets._place import holds, json_text

if TYPE_CHECKING:
    from chainflow.datasets._place import Place, Readers

_NUMBER = r"^-?[0-9]{1,78}$"


def numbers(place: Place, texts: pa.StringArray) -> pa.Array[Any]:
    """Numbers of decimal text: int64 for bigint, the text itself for numeric."""
    place.demand(pc.match_substring_regex(texts, _NUMBER), "a number of at most 78 digits", texts)
    if place.column.type == "numeric":
        return texts
    try:
        return texts.cast(pa.int64())
    except pa.ArrowInvalid:
        fits = [t is None or -(2**63) <= int(t) < 2**63 for t in texts.to_pylist()]
        row = fits.index(False)
        raise place.refusal(row, "a number of 64 bits", texts[row].as_py()) from None


def text(_: Place, texts: pa.StringArray) -> pa.Array[Any]:
    """Text that PostgreSQL takes."""
    if not holds(texts, b"\0"):
        return texts
    found: pa.Array[Any] = pc.replace_substring(texts, "\0", "\ufffd")
    return found


READERS: Readers = {"bigint": numbers, "numeric": numbers, "text": text, "jsonb": json_text}
"""How the node's text becomes a column of each type."""
