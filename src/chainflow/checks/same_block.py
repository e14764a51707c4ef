"""Is every row of the block that stands at its height?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chainflow.checks import CheckedTable
    from chainflow.types import BlockRange


def queries(tables: Mapping[str, CheckedTable], blocks: BlockRange) -> Iterator[tuple[str, str]]:
    """Rows whose `block_hash` is not that of the row in `blocks`: left over from a fork.

    Rows in their own merge have the time of their block with its hash; of others it is asked.
    """
    told = tables.get("blocks")
    if told is None or not told.has("block_hash"):
        return
    for name, table in tables.items():
        if table is not told and table.has("block_hash") and (told.judged or table.judged):
            timed = not table.enforced and all(t.has("block_timestamp") for t in (told, table))
            other = "t.block_hash IS DISTINCT FROM b.block_hash"
            if timed:
                other += " OR t.block_timestamp IS DISTINCT FROM b.block_timestamp"
            columns = ("block_hash", "block_timestamp") if timed else ("block_hash",)
            of, there = (", ".join(f"{row}.{column}" for column in columns) for row in "tb")
            yield (
                name,
                f"SELECT t.{table.height} AS height, format('of block %s but blocks has %s',"
                f" concat_ws(' ', {of}), concat_ws(' ', {there})) AS message"
                f" FROM {table.rows} t JOIN {told.rows} b ON b.{told.height} = t.{table.height}"
                f" WHERE {other}",
            )
