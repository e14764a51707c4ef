"""The store and processes: the embedded server's life, and two that upgrade at once."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg2

from chainflow.store import database, embedded
from tests import memory


def _use_embedded(home: str, *, ending: str) -> None:
    """Another process that upgrades the embedded store and ends so."""
    script = (
        "import os\n"
        "from chainflow.store import database\n"
        "engine = database.engine(database.url())\n"
        "database.upgrade(engine)\n"
        "database.require_current(engine)\n"
        f"{ending}\n"
    )
    named = {"CHAINFLOW_DATABASE_URL", "AIRFLOW_CONN_CHAINFLOW_DB"}
    unnamed = {name: text for name, text in os.environ.items() if name not in named}
    environment = {**unnamed, "CHAINFLOW_HOME": home}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)


def test_embedded_server_ends_with_its_last_process() -> None:
    """It starts on first use, keeps its data, and is gone when the process that used it ends."""
    with tempfile.TemporaryDirectory(prefix="chainflow-", dir=memory.folder()) as home:
        for _ in range(2):
            _use_embedded(home, ending="pass")
            assert not (Path(home) / "postgres" / "postmaster.pid").exists()


def test_embedded_server_can_be_stopped_by_its_owner() -> None:
    """A process that ended without Python's exit leaves it running; stop ends it."""
    with tempfile.TemporaryDirectory(prefix="chainflow-", dir=memory.folder()) as home:
        folder = Path(home) / "postgres"
        _use_embedded(home, ending="os._exit(0)")
        assert (folder / "postmaster.pid").exists()
        for _ in range(2):
            embedded.stop(folder)
            assert not (folder / "postmaster.pid").exists()


def test_upgrade_by_two_at_once_is_one_upgrade(postgres: str) -> None:
    """Two processes that find an empty database both end well."""
    name = f"test_{secrets.token_hex(6)}"
    _autocommit(postgres, f"CREATE DATABASE {name}")
    try:
        script = (
            "import sys; from chainflow.store import database;"
            "database.upgrade(database.engine(sys.argv[1]))"
        )
        url = postgres.replace("/postgres?", f"/{name}?")
        both = [subprocess.Popen([sys.executable, "-c", script, url]) for _ in range(2)]
        assert [process.wait() for process in both] == [0, 0]
        database.require_current(database.engine(url))
    finally:
        _autocommit(postgres, f"DROP DATABASE {name} WITH (FORCE)")


def _autocommit(url: str, statement: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()
