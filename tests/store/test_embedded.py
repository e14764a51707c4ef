"""The server of our own stops with the last command that uses it, however commands end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import memory

REGISTRY = """\
chains:
  ethereum:
    family: evm
    blocks_per_minute: 5.0
    endpoints: ["http://127.0.0.1:9"]
"""
PROGRAM = "from chainflow import cli; cli.main()"


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that the user PostgreSQL runs as under root may enter, with a registry."""
    folder = Path(tempfile.mkdtemp(prefix="chainflow-", dir=memory.folder()))
    (folder / "chains.yaml").write_text(REGISTRY)
    yield folder
    shutil.rmtree(folder)


def command(home: Path, *words: str, **variables: str) -> subprocess.Popen[bytes]:
    """A command on the folder's own server."""
    names = ("CHAINFLOW_DATABASE_URL", "AIRFLOW_CONN_CHAINFLOW_DB")
    environment = {name: text for name, text in os.environ.items() if name not in names}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "--registry", str(home / "chains.yaml"), *words],
        env={**environment, "CHAINFLOW_HOME": str(home), **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def following(home: Path) -> subprocess.Popen[bytes]:
    """A command that goes on for ever, once the server is its."""
    running = command(home, "sync", "ethereum", "--follow")
    users = home / "postgres" / ".handle_pids.json"
    until = time.monotonic() + 60
    while not (
        users.exists() and users.read_text() and running.pid in json.loads(users.read_text())
    ):
        assert running.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    return running


def is_up(home: Path) -> bool:
    """Whether the server runs."""
    return (home / "postgres" / "postmaster.pid").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_server_stops_with_a_command_that_is_ended(home: Path, number: signal.Signals) -> None:
    """As `kill` and a closed terminal do."""
    with following(home) as running:
        running.send_signal(number)
        assert running.wait(60) == 130
    assert not is_up(home)


def test_server_of_our_own_is_upgraded_where_a_variable_is_empty(home: Path) -> None:
    """An empty connection names no store: the first command on a fresh folder just works."""
    with command(home, "gaps", AIRFLOW_CONN_CHAINFLOW_DB="", CHAINFLOW_DATABASE_URL="") as running:
        assert running.wait(60) == 0


def test_server_of_a_killed_command_stops_with_the_next(home: Path) -> None:
    """`kill -9` leaves it up; whoever uses it next counts alone, even if the list was cut off."""
    with following(home) as running:
        running.kill()
    assert is_up(home)
    with command(home, "gaps") as second:
        assert second.wait(60) == 0
    assert not is_up(home)
    (home / "postgres" / ".handle_pids.json").write_text("[12, 1")
    with command(home, "gaps") as third:
        assert third.wait(60) == 0
    assert not is_up(home)
