"""Do rows give the hashes that they are stored with?

How, a family's own file in this folder says: `rehash(chain)` makes what is called with a reader of
its tables and a range, and yields the heights that fail; `left_out(chain)` says what of the chain
no hash of stored columns covers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from chainflow import checks, lookup
from chainflow.audit._singly import singly
from chainflow.store import database, rows
from chainflow.types import BlockRange, Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from sqlalchemy.engine import Connection, Engine

    from chainflow.types import Chain, Dataset

Row = Mapping[str, Any]
Read = Callable[[str, BlockRange], "list[Row] | None"]
"""From a dataset's name and a range to its rows, None of a table that is not merged there."""
Again = Callable[[Read, BlockRange], Iterator[tuple[int, str]]]
"""The heights of a range that fail, each with what is wrong."""

# Rows of so many heights are held at a time, as dictionaries.
_HEIGHTS = 25
_SHOWN = 3


class Rehash:
    """A chain's rows hashed again; the same for all of its parts, for it remembers what it told."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._again: Again | None = None
        if chain.family in lookup.names("audit"):
            self._again = lookup.module("audit", chain.family).rehash(chain)

    def findings(
        self, engine: Engine, datasets: Sequence[Dataset], blocks: BlockRange
    ) -> list[Finding]:
        """What does not hash to what it says, by height."""
        if self._again is None:
            return []
        failing: list[tuple[int, str]] = []
        for part in blocks.split(_HEIGHTS):
            with database.begin(engine) as connection:
                connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
                for segment, names in checks.segments(connection, self._chain, datasets, part):
                    held = {d.name: d for d in datasets if d.name in names}
                    failing += self._failing(_reader(connection, self._chain, held), segment)
        return _finding(self._chain, failing)

    def _failing(self, read: Read, blocks: BlockRange) -> Sequence[tuple[int, str]]:
        def look(part: BlockRange) -> list[tuple[int, str]]:
            return [] if self._again is None else list(self._again(read, part))

        return singly(look, _broken, blocks)


def left_out(chain: Chain) -> str:
    """What of the chain's rows cannot be hashed again, and why, for a person."""
    if chain.family not in lookup.names("audit"):
        return f"anything: nothing says how rows of family {chain.family} are hashed"
    return str(lookup.module("audit", chain.family).left_out(chain))


def plain(dataset: Dataset, table: pa.Table) -> list[Row]:
    """Rows as dictionaries, numbers of any width as int and times in milliseconds.

    A row that lacks what is required is left out: it is no row of the chain's, and told as such.
    """
    import pyarrow as pa

    for at, column in enumerate(dataset.columns):
        if column.type == "timestamptz":
            milliseconds = table[column.name].cast(pa.int64())
            table = table.set_column(at, column.name, milliseconds)
    wide = [column.name for column in dataset.columns if column.type == "numeric"]
    required = [column.name for column in dataset.columns if column.required]
    found: list[dict[str, Any]] = table.to_pylist()
    for row in found:
        row.update({name: int(row[name]) for name in wide if row[name] is not None})
    return [row for row in found if all(row[name] is not None for name in required)]


def _reader(connection: Connection, chain: Chain, held: Mapping[str, Dataset]) -> Read:
    """What gives a table's rows of a range; None of a table that is not merged there."""

    def read(name: str, blocks: BlockRange) -> list[Row] | None:
        if name not in held:
            return None
        return plain(held[name], rows.read(connection, chain, held[name], blocks))

    return read


def _broken(height: int, how: str) -> tuple[int, str]:
    return height, f"no block can be made of its rows: {how}"


def _finding(chain: Chain, failing: Sequence[tuple[int, str]]) -> list[Finding]:
    if not failing:
        return []
    heights = sorted({height for height, _ in failing})
    sample = "; ".join(f"{height}: {message}" for height, message in failing[:_SHOWN])
    one_by_one = (BlockRange(height, height + 1) for height in heights)
    (whole,) = checks.joined(
        Finding("rehashed", chain.name, 0, sample, ranges=(one,)) for one in one_by_one
    )
    shown = tuple(heights[:10])
    return [Finding("rehashed", chain.name, len(failing), sample, shown, whole.ranges)]
