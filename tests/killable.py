"""Runs of the line in processes of their own, which may be killed at any instant.

A process is forked from a warm one, so that it is at work some milliseconds after its start and a
random instant falls into the work, not into its imports.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from chainflow import line, pipeline
from chainflow.endpoints import connection_from_environment as no_connection
from chainflow.errors import StoreUnavailable
from chainflow.store import database, trouble
from chainflow.types import Batch, BlockRange, Chain

# Exit codes of a run: done, or the store went away.
DONE, STORE_LOST = 0, 75
# Some fifteen blocks of the devnet: instants then fall between merges and into them.
SLICE_BYTES = 400_000
_SETTLE_SECONDS = 30.0
_WARM = [
    "chainflow.checks",
    "chainflow.clients.evm",
    "chainflow.datasets.evm.token_transfers",
    "chainflow.pipeline",
    "pyarrow.compute",
    "pyarrow.csv",
    "tests.killable",
]


@contextmanager
def running(
    url: str, chain: Chain, blocks: BlockRange, *, again: bool = False, patience: float = 0.0
) -> Iterator[ForkServerProcess]:
    """A process that syncs a range into a store, or ingests it again; killed on leaving.

    It waits `patience` seconds for a store that goes away.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_WARM)
    process = context.Process(target=_run, args=(url, chain, blocks, again, patience))
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()
        process.close()


def settle(engine: Engine) -> None:
    """Wait until the server has noticed which of its clients are gone.

    What a killed client had begun ends by then, and with its backend every lock.
    """
    others = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        with database.begin(engine) as connection:
            if connection.execute(others).scalar() == 0:
                return
        assert time.monotonic() < deadline, "a backend outlives its client"
        time.sleep(0.01)


def _run(url: str, chain: Chain, blocks: BlockRange, again: bool, patience: float) -> None:
    line.SLICE_BYTES = SLICE_BYTES
    trouble.WAIT_SECONDS = patience
    engine = database.engine(url)
    try:
        if again:
            batch = Batch(blocks, chain.datasets)
            pipeline.ingest(engine, chain, batch, no_connection, run_id="again")
        else:
            pipeline.sync(engine, chain, blocks, no_connection, run_id="sync")
    except StoreUnavailable as error:
        print(error, file=sys.stderr)  # noqa: T201 - pytest shows it where the test fails
        os._exit(STORE_LOST)
