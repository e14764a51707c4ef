"""Where a node's text is to go, and what is said of text that cannot go there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from chainflow.errors import MalformedAnswer

if TYPE_CHECKING:
    from chainflow.datasets._rows import Rows
    from chainflow.types import Column

_NUL = r"(^|[^\\])(\\\\)*\\u0000"


@dataclass(frozen=True, slots=True)
class Place:
    """The column a value is for, and the rows that know their height."""

    dataset: str
    column: Column
    rows: Rows[Any]

    def refusal(self, row: int, expected: str, got: str) -> MalformedAnswer:
        """The error that says what is wrong, and where."""
        return MalformedAnswer(
            f"height {self.rows.height(row)}: {self.dataset}.{self.column.name}: "
            f"expected {expected}, got {got[:80]!r}"
        )

    def demand(self, fine: pa.BooleanArray, expected: str, texts: pa.StringArray) -> None:
        """Refuse the first row that is not fine; nulls are."""
        row = pc.index(fine, pa.scalar(False)).as_py()
        if row >= 0:
            raise self.refusal(row, expected, texts[row].as_py())


def holds(texts: pa.StringArray, what: bytes) -> bool:
    """Whether bytes may stand somewhere in a column: one cheap look at all of it."""
    held = texts.buffers()[2]
    return held is not None and what in held.to_pybytes()


def json_text(place: Place, texts: pa.StringArray) -> pa.Array[Any]:
    """JSON that PostgreSQL takes as jsonb: it knows no U+0000."""
    if not holds(texts, b"\\u0000"):
        return texts
    place.demand(pc.invert(pc.match_substring_regex(texts, _NUL)), "JSON without U+0000", texts)
    return texts


Readers = Mapping[str, Callable[[Place, "pa.StringArray"], "pa.Array[Any]"]]
"""By column type, how a family's text becomes a column of it."""
