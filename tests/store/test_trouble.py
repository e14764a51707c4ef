"""A store in trouble: told in one line with what to do, outlasted where that is short, once."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, quote, urlsplit

import psycopg2
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from chainflow.errors import ChainflowError, StoreBusy, StoreUnavailable, TerminalError
from chainflow.store import batch, database, trouble
from chainflow.types import BlockRange
from tests import killable, small
from tests.store.test_line import merge

FEW = BlockRange(0, 3)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trouble, "WAIT_SECONDS", 0.0)


def refusing(engine: Engine, table: str, code: str) -> None:
    """Let a table refuse rows as PostgreSQL does in such trouble."""
    small.do(
        engine,
        "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION 'no more of it' USING ERRCODE = '{code}'; END $$",
    )
    small.do(
        engine,
        f"CREATE TRIGGER refuse BEFORE INSERT ON {table} EXECUTE FUNCTION public.refuse()",
    )


@contextmanager
def limited(engine: Engine, database_url: str) -> Iterator[str]:
    """The URL of a role that may connect once, and has."""
    role = f"one_{secrets.token_hex(4)}"
    small.do(engine, f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1")
    url = database_url.replace("postgres:@", f"{role}:@")
    held = psycopg2.connect(url)
    try:
        yield url
    finally:
        held.close()
        killable.settle(engine)
        small.do(engine, f"DROP ROLE {role}")


@pytest.mark.parametrize(
    ("code", "expected", "advice"),
    [
        ("53100", TerminalError, "disk is full, nothing was merged: make room"),
        ("53200", StoreUnavailable, "out of memory, nothing was merged: give it more"),
        ("53300", StoreUnavailable, "no connection left: raise max_connections"),
        ("25006", StoreUnavailable, "takes no writes, .* target_session_attrs=read-write"),
        ("55P03", StoreBusy, "lock_timeout, nothing was merged: pg_blocking_pids"),
        ("57014", StoreBusy, "was stopped, nothing was merged: .* raise statement_timeout"),
    ],
)
@pytest.mark.parametrize("table", ["tinychain.transactions", "chainflow.merge_log"])
def test_trouble_amid_a_merge_loses_nothing(
    engine: Engine, table: str, code: str, expected: type[ChainflowError], advice: str
) -> None:
    """One line says what to do, nothing of the slice is there, and the next run merges it once."""
    small.merge(engine, 3, 6)
    rows = small.slice_(engine, FEW)
    refusing(engine, table, code)
    with pytest.raises(expected, match=rf"^store .*: .*{advice}.*\(no more of it\)$") as told:
        merge(engine, rows)
    assert type(told.value) is expected
    assert small.heights(engine) == [3, 4, 5]
    assert small.staging(engine) == []
    small.do(engine, "DROP FUNCTION public.refuse CASCADE")
    merge(engine, rows)
    assert small.heights(engine) == [0, 1, 2, 3, 4, 5]
    assert small.ask(engine, "SELECT blocks::text FROM chainflow.merge_log ORDER BY 1") == [
        "[0,3)",
        "[3,6)",
    ]


def test_no_connection_left_is_told_as_such(engine: Engine, database_url: str) -> None:
    """A role at its limit: worth a retry, and whoever reads it knows what to raise."""
    with (
        limited(engine, database_url) as url,
        pytest.raises(StoreUnavailable, match=r"no connection left.*too many connections for role"),
    ):
        small.ask(database.engine(url), "SELECT 1")


@pytest.mark.parametrize(
    "said", ["sorry, too many clients already", "remaining connection slots are reserved for x"]
)
def test_a_full_server_is_told_as_such(said: str) -> None:
    """A connection that was never made has no code: the server's words tell."""
    error = trouble.meant(psycopg2.OperationalError(f"connection failed: FATAL:  {said}\n"), "s")
    assert type(error) is StoreUnavailable
    assert "no connection left" in str(error)


def test_a_store_that_takes_no_writes_is_told_as_such(engine: Engine, database_url: str) -> None:
    """A standby, as a failover leaves the old primary, is worth a retry and said to be one."""
    rows = small.slice_(engine, FEW)
    standby = database.engine(f"{database_url}&options=-c%20default_transaction_read_only%3Don")
    with pytest.raises(StoreUnavailable, match=r"no writes.*read-only transaction"):
        merge(standby, rows)
    assert small.heights(engine) == []


def test_the_primary_is_found_among_several_servers(database_url: str) -> None:
    """A URL may name all of them: the dead are passed over, and a read-only one is told."""
    host = parse_qs(urlsplit(database_url).query)["host"][0]
    several = database_url.replace(quote(host, safe=""), host).replace(
        f"host={host}", f"host=127.0.0.1,{host}&port=1,&target_session_attrs=read-write"
    )
    assert small.ask(database.engine(several), "SELECT 1") == [1]
    read_only = f"{several}&options=-c%20default_transaction_read_only%3Don"
    with pytest.raises(StoreUnavailable, match=r"no writes.*port 1 failed.*read-only"):
        small.ask(database.engine(read_only), "SELECT 1")


def test_a_lock_held_for_long_is_told_as_such(engine: Engine, database_url: str) -> None:
    """Who waits longer than the URL's lock_timeout gives up without having changed anything."""
    rows = small.slice_(engine, FEW)
    hasty = database.engine(f"{database_url}&options=-c%20lock_timeout%3D50ms")
    with engine.connect() as holder:
        holder.execute(sa.text("LOCK TABLE tinychain.logs"))
        with pytest.raises(StoreBusy, match="pg_blocking_pids"):
            merge(hasty, rows)
    assert small.heights(engine) == []


def _breaking(engine: Engine, *, arrived: bool) -> list[str]:
    """Let the first merge's connection break in its COMMIT; what the log then says of that."""
    told: list[str] = []

    def break_off(connection: sa.engine.Connection) -> None:
        query = "SELECT 1 FROM chainflow.merge_log WHERE xmin = pg_current_xact_id()::xid"
        if told or not connection.execute(sa.text(query)).all():
            return
        told.append("broke off")
        raw = connection.connection
        if arrived:
            raw.commit()
        raw.driver_connection.close()  # type: ignore[union-attr]  # psycopg2's, which is there
        raise psycopg2.OperationalError("server closed the connection unexpectedly")

    sa.event.listen(engine, "commit", break_off)
    return told


@pytest.mark.parametrize("arrived", [True, False], ids=["arrived", "was lost"])
def test_a_merge_whose_commit_broke_off_is_merged_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, arrived: bool
) -> None:
    """Whether the COMMIT arrived or not: the rows once, and one row of merge_log."""
    monkeypatch.setattr(trouble, "WAIT_SECONDS", 30.0)
    rows = small.slice_(engine, FEW)
    broken = _breaking(engine, arrived=arrived)
    total = merge(engine, rows)
    assert broken
    assert total.blocks == 3
    assert small.heights(engine) == [0, 1, 2]
    assert small.ask(engine, "SELECT blocks::text FROM chainflow.merge_log") == ["[0,3)"]
    # A rerun is a merge of its own.
    merge(engine, rows)
    assert len(small.ask(engine, "SELECT id FROM chainflow.merge_log")) == 2


def test_a_merge_done_before_it_broke_off_is_not_done_over_anothers(engine: Engine) -> None:
    """What another run merged there since stays: the first merge was done before it."""
    rows = small.slice_(engine, FEW)
    broken = _breaking(engine, arrived=True)
    again = batch.merging(engine, rows, lambda _: None, seconds=1.0, run_id="first")
    with pytest.raises(StoreUnavailable):
        again()
    assert broken
    small.merge(engine, 0, 3, fork="b")
    assert again() == 9
    assert small.ask(engine, "SELECT DISTINCT left(block_hash, 3) FROM tinychain.blocks") == ["0xb"]


def test_a_merge_gives_up_on_a_store_that_stays_away(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After its time, in an error that says how long it waited; each wait was told."""
    monkeypatch.setattr(trouble, "WAIT_SECONDS", 0.5)
    rows = small.slice_(engine, FEW)
    away = database.engine("postgresql://127.0.0.1:1/db")
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(StoreUnavailable, match=r"store 127.*refused.*gave up after waiting \d+ s"),
    ):
        merge(away, rows)
    assert "waiting for the store" in caplog.text


def test_a_wait_for_the_store_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C and Airflow's stop need not wait until the store is given up."""
    monkeypatch.setattr(trouble, "WAIT_SECONDS", 3600.0)

    def away() -> None:
        raise StoreUnavailable("away")

    async def wait() -> None:
        async with asyncio.timeout(0.2):
            await trouble.outlast_in_thread(away)

    with pytest.raises(TimeoutError):
        asyncio.run(wait())


@pytest.mark.parametrize("error", [StoreBusy("held"), TerminalError("full"), ValueError("ours")])
def test_what_waiting_does_not_help_is_raised_at_once(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A time limit that has passed was a wait already, and the rest would be the same again."""
    monkeypatch.setattr(trouble, "WAIT_SECONDS", 3600.0)
    calls = []

    def work() -> None:
        calls.append(1)
        raise error

    with pytest.raises(type(error)):
        trouble.outlast(work)
    assert calls == [1]
