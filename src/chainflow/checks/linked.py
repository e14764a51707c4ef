"""Does every block name the one below as its parent?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chainflow.checks import CheckedTable
    from chainflow.types import BlockRange


def queries(tables: Mapping[str, CheckedTable], blocks: BlockRange) -> Iterator[tuple[str, str]]:
    """Blocks whose parent is not the block below, the range's merged neighbours included."""
    table = tables.get("blocks")
    if table is None or not table.judged or not table.has("block_hash", "parent_hash"):
        return
    columns = f"{table.height} AS height, block_hash, parent_hash"
    yield (
        "blocks",
        f"WITH linked AS (SELECT {columns} FROM {table.rows} t"
        f" UNION ALL SELECT {columns} FROM {table.merged} t"
        f" WHERE t.{table.height} IN ({blocks.start - 1}, {blocks.stop}))"
        " SELECT above.height, format('parent_hash is %s but the block below is %s',"
        " above.parent_hash, below.block_hash) AS message"
        " FROM linked above JOIN linked below ON below.height = above.height - 1"
        " WHERE above.parent_hash <> below.block_hash",
    )
