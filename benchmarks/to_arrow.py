"""The line without its store: blocks fetched, proven and decoded into Arrow tables.

    python -m benchmarks.to_arrow URL START STOP VERIFY [FOLDER]

Prints the rows of each table as JSON. With a folder the tables are written there as Parquet.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections import Counter
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from chainflow import clients, datasets, endpoints, line
from chainflow.types import BlockRange, Chain

if TYPE_CHECKING:
    from chainflow.types import Verify

DATASETS = ("blocks", "transactions", "logs", "token_transfers")


async def rows(url: str, blocks: BlockRange, verify: Verify, folder: Path | None) -> dict[str, int]:
    """Rows by table."""
    chain = Chain("ethereum", "evm", 1, 5.0, datasets=DATASETS, verify=verify)
    wanted = datasets.get(chain.family, DATASETS)
    counts: Counter[str] = Counter()
    async with (
        clients.connect(chain, endpoints.resolve([url])) as client,
        aclosing(client.fetch(blocks, DATASETS)) as fetched,
    ):
        async for part in line.slices(fetched):
            first = part[0].height
            tables = datasets.decode(wanted, part)
            part.clear()
            counts.update({name: table.num_rows for name, table in tables.items()})
            if folder:
                _write(tables, folder, first)
    return dict(counts)


def _write(tables: dict[str, pa.Table], folder: Path, first: int) -> None:
    from pyarrow import parquet

    for name, table in tables.items():
        parquet.write_table(table, folder / f"{name}_{first}.parquet", compression="zstd")


def main(url: str, start: str, stop: str, verify: Verify, folder: str | None = None) -> None:
    """Do it all and print the rows."""
    # As `line.run` does.
    gc.set_threshold(200_000, 50, 100)
    pa.set_memory_pool(pa.system_memory_pool())
    wanted = BlockRange(int(start), int(stop))
    found = asyncio.run(rows(url, wanted, verify, Path(folder) if folder else None))
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])  # type: ignore[arg-type]
