"""Which PostgreSQL, how we connect to it, and what its errors mean to us."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

import psycopg2
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool, QueuePool

from chainflow import endpoints
from chainflow.errors import InputError, StoreOutdated, UnknownConnection
from chainflow.store import embedded, known, migrations, trouble

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Connection, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection

# A merge of one slice takes seconds; ten minutes is a hung one. Eight tasks of a chain may queue.
# The locks of a worker whose machine is gone last a minute: the server asks whether it is there.
# Compiling a query costs more than any of ours takes.
_SESSION = (
    "-c statement_timeout=10min -c lock_timeout=2min -c idle_in_transaction_session_timeout=10min"
    " -c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
    " -c jit=off"
)
_DEFAULTS: Mapping[str, Any] = {
    "application_name": "chainflow",
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    # What was sent and is not acknowledged counts as lost: keepalives do not run meanwhile.
    "tcp_user_timeout": 60_000,
}

REFUSALS = (sa.exc.DBAPIError, psycopg2.Error)
"""What `begin` turns into errors of ours; who catches all that rows may break lets these pass."""


def url(
    explicit: str | None = None,
    *,
    connection: Callable[[str], str] = endpoints.connection_from_environment,
) -> str:
    """The store's URL: `explicit`, CHAINFLOW_DATABASE_URL, connection `chainflow_db`, or our own.

    With none of them given an embedded server is started under CHAINFLOW_HOME, else ./.chainflow;
    it stops with the last process that uses it.
    """
    given = explicit or os.environ.get("CHAINFLOW_DATABASE_URL")
    if given:
        return given
    try:
        return connection("chainflow_db")
    except UnknownConnection:
        return embedded.start(Path(os.environ.get("CHAINFLOW_HOME", ".chainflow")) / "postgres")


def engine(url: str) -> Engine:
    """An engine without a pool: every task is a new, short process. Connects to nothing yet.

    Raises:
        InputError: Not a PostgreSQL URL; the text holds nothing of it, for it may hold a password.
    """
    try:
        parsed = make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise InputError(
            "the store's URL cannot be read (expected postgresql://user:password@host/database)"
        ) from None
    kind = parsed.drivername.partition("+")[0]
    if kind not in {"postgresql", "postgres"}:
        raise InputError(f"the store's URL names {kind!r} (expected postgresql)")
    given = _options(parsed)
    options = {**_DEFAULTS, **given, "options": f"{_SESSION} {given.get('options', '')}".strip()}
    # Named because SQLAlchemy 2.1 would take another driver; a quoted host is a socket's folder.
    plain = parsed.set(drivername="postgresql+psycopg2", host=unquote(parsed.host or "") or None)
    return sa.create_engine(plain.set(query={}), poolclass=NullPool, connect_args=options)


@contextmanager
def kept(engine: Engine) -> Iterator[Engine]:
    """The same store, but one connection serves all that is done within, if one thing at a time.

    It is asked whether it is there before it is used again, and given up after an error of the
    store: a new one may find another server.
    """
    one = sa.create_engine(
        engine.url,
        creator=lambda: _opened(engine),
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=-1,
        pool_pre_ping=True,
    )
    try:
        yield one
    finally:
        one.dispose()


@contextmanager
def begin(engine: Engine) -> Iterator[Connection]:
    """One transaction, committed at the end; what PostgreSQL refuses becomes an error of ours."""
    with _ours(engine), engine.begin() as connection:
        yield connection


@contextmanager
def autocommit(engine: Engine) -> Iterator[Connection]:
    """A connection on which every statement is its own transaction; errors are those of `begin`."""
    alone = engine.execution_options(isolation_level="AUTOCOMMIT")
    with _ours(engine), alone.connect() as connection:
        yield connection


@contextmanager
def _ours(engine: Engine) -> Iterator[None]:
    try:
        yield
    except REFUSALS as error:
        engine.dispose()
        raise trouble.meant(getattr(error, "orig", None) or error, _where(engine)) from None


def _opened(engine: Engine) -> DBAPIConnection:
    """A connection of the driver's own, as the engine opens them."""
    opened = engine.raw_connection()
    opened.detach()
    return cast("DBAPIConnection", opened.dbapi_connection)


def upgrade(engine: Engine) -> None:
    """Create or migrate the control schema; safe to repeat and to run twice at once.

    Raises:
        InputError: The server is older than PostgreSQL 14.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "chainflow.store:migrations")
    with begin(engine) as connection:
        _require_multiranges(connection)
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('chainflow.upgrade'))"))
        connection.execute(sa.text("CREATE SCHEMA IF NOT EXISTS chainflow"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        known.fill(connection)


def require_current(engine: Engine) -> None:
    """Make sure that the control schema is the one this release works with.

    Raises:
        StoreOutdated: It is missing, older or newer; the message says what to do.
    """
    with begin(engine) as connection:
        found = connection.execute(
            sa.text("SELECT version_num FROM chainflow.alembic_version")
        ).scalar()
    if found != migrations.HEAD:
        raise StoreOutdated(
            f"the store's control schema is {found} (expected {migrations.HEAD}): "
            "run `chainflow db upgrade` with the newest chainflow that uses this store"
        )


def quoted(*names: str) -> str:
    """A name such as "ethereum"."blocks", quoted whatever it holds."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def quoted_list(*names: str) -> str:
    """Column names, quoted, with commas between."""
    return ", ".join(quoted(name) for name in names)


def literal(text: str) -> str:
    """An SQL string constant."""
    return "'" + text.replace("'", "''") + "'"


def _where(engine: Engine) -> str:
    return f"store {engine.url.host or 'on this machine'}"


def _require_multiranges(connection: Connection) -> None:
    found = connection.execute(
        sa.text("SELECT to_regtype('int8multirange'), current_setting('server_version')")
    ).one()
    if found[0] is None:
        raise InputError(f"the store is PostgreSQL {found[1]} (expected 14 or newer)")


def _options(parsed: URL) -> dict[str, Any]:
    """The libpq options of a URL; an Airflow connection may carry its extras as one JSON object."""
    query: dict[str, Any] = {
        key: item if isinstance(item, str) else ",".join(item) for key, item in parsed.query.items()
    }
    try:
        extras = dict(json.loads(query.pop("__extra__", "{}")))
    except (TypeError, ValueError):
        raise InputError("the extras of the store's connection are no JSON object") from None
    return {**query, **{key: item for key, item in extras.items() if item is not None}}
