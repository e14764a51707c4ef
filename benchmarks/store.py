"""Gaps, plan and lag where there is much of everything."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.postgres import Postgres, do
from benchmarks.report import Line, at_most, plain
from chainflow import heights, lag, pipeline
from chainflow.store import database
from chainflow.types import Chain, Heights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RUNS = 9
CHAINS, GAPS, LOGGED = 1000, 100_000, 10_000_000
_HEIGHTS = 10**9
_LONG = Chain("chain1", "evm", 1, 5.0, datasets=("blocks",), confirmations=0)
# A gap of one height every so many.
_EVERY = _HEIGHTS // GAPS
_GAPS = f"""
UPDATE chainflow.progress SET merged = (
  SELECT range_agg(int8range(n * {_EVERY}, (n + 1) * {_EVERY} - 1))
  FROM generate_series(0, {GAPS} - 1) n)
WHERE chain = 'chain1'
"""
# Three hundred days: a slice of a chain every forty minutes or so.
_LOG = f"""
INSERT INTO chainflow.merge_log
  (chain, datasets, blocks, rows, row_count, bytes, seconds, run_id, merged_at)
SELECT 'chain' || 1 + n % {CHAINS}, '{{blocks}}', int8range(n, n + 1), '{{"blocks": 1}}', 1, 1000,
  0.1, 'bench', now() - n * interval '2.6 seconds'
FROM generate_series(1, {LOGGED}) n
"""


def measure(folder: Path) -> list[Line]:
    """Lines of the table; everything it writes is in `folder`."""
    with Postgres(folder / "postgres") as server:
        url = server.database("much")
        engine = database.engine(url)
        database.upgrade(engine)
        chains = [Chain(f"chain{n}", "evm", n, 5.0) for n in range(1, CHAINS + 1)]
        heights.register(engine, chains)
        heights.observe_many(engine, {chain.name: Heights(_HEIGHTS, None) for chain in chains})
        do(
            url,
            "INSERT INTO chainflow.progress (chain, dataset, start)"
            " SELECT chain, 'blocks', 0 FROM chainflow.chain",
            _GAPS,
        )

        def planned() -> None:
            assert pipeline.next_batches(engine, _LONG, Heights(_HEIGHTS - 1, None))

        def lagging() -> None:
            assert len(lag.rows(engine)) == CHAINS

        before = _milliseconds(planned), _milliseconds(lagging)
        print(f"store: writing {LOGGED:,} rows of merge_log", flush=True)
        _write_log(url)
        after = _milliseconds(planned), _milliseconds(lagging)
    gaps, log = f"10^9 heights with {GAPS:,} gaps", f"beside {LOGGED:,} rows of merge_log"
    return [
        at_most(f"gaps and plan, {gaps}, {log}", after[0], 100, "ms"),
        plain("the same, merge_log empty", before[0], "ms"),
        at_most(f"chainflow.lag of {CHAINS} chains, {log}", after[1], 50, "ms"),
        plain("the same, merge_log empty", before[1], "ms"),
    ]


def _write_log(url: str) -> None:
    """All rows first, then their indexes, which are slow to grow row by row."""
    indexes = do(
        url,
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'merge_log'"
        " AND indexname <> 'merge_log_pkey'",
    )
    do(url, *(f"DROP INDEX chainflow.{name}" for name, _ in indexes), _LOG)
    do(url, "SET maintenance_work_mem = '1GB'", *(made for _, made in indexes))
    do(url, "VACUUM ANALYZE")


def _milliseconds(work: Callable[[], None]) -> float:
    taken = []
    for _ in range(RUNS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return 1000 * median(taken)
