"""A task in a process of its own, which prints the most memory that it took, in MiB.

python -m tests.peak DATABASE_URL NODE_URL STOP
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from chainflow import pipeline
from chainflow.endpoints import connection_from_environment as no_connection
from chainflow.store import database
from chainflow.types import Batch, BlockRange
from tests.fake_node import CHAIN

DATASETS = ("blocks", "transactions", "logs", "token_transfers")


def main(url: str, node: str, stop: str) -> None:
    """Ingest the heights [0, stop)."""
    chain = replace(CHAIN, endpoints=(node,), datasets=DATASETS)
    batch = Batch(BlockRange(0, int(stop)), DATASETS)
    pipeline.ingest(database.engine(url), chain, batch, no_connection, run_id="peak")
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (kib,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    print(int(kib) // 1024)  # noqa: T201 - what the test reads


if __name__ == "__main__":
    main(*sys.argv[1:])
