"""Real nodes from npm as child processes: find, start, ask, and stop by their own process group."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

START_SECONDS = 30.0
_ADDRESS = re.compile(r"127\.0\.0\.1:(\d+)")


class NodeError(Exception):
    """The node did not start, or answered a call with an error."""


@dataclass(frozen=True, slots=True)
class Node:
    """A running node; it belongs to whoever started it."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        """Where it answers JSON-RPC."""
        return f"http://127.0.0.1:{self.port}"

    def call(self, method: str, *params: object) -> Any:  # noqa: ANN401 - any JSON
        """The result of one JSON-RPC call.

        Raises:
            NodeError: The node answered with an error object.
        """
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        connection = HTTPConnection("127.0.0.1", self.port, timeout=START_SECONDS)
        try:
            connection.request(
                "POST", "/", json.dumps(request), {"Content-Type": "application/json"}
            )
            answer = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        if "error" in answer:
            raise NodeError(f"{method}: {answer['error']}")
        return answer["result"]


def find(tool: str) -> Path | None:
    """The tool's launcher: in $CHAINFLOW_NODES, else where `make` installs it, else on PATH.

    None if it is in none of them, or node is missing: all of them are scripts for node.
    """
    if shutil.which("node") is None:
        return None
    folders = (os.environ.get("CHAINFLOW_NODES"), ".chainflow/node/node_modules/.bin", None)
    found = (shutil.which(tool, path=folder) for folder in folders if folder != "")
    return next((Path(path).absolute() for path in found if path), None)


@contextmanager
def running(command: Sequence[str | Path]) -> Iterator[Node]:
    """A node on the port it prints first; stopped, with its children, on leaving.

    Raises:
        NodeError: It ended, or printed no loopback address within START_SECONDS; holds its last
            words.
    """
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(  # noqa: S603 - the caller's own command
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield Node(port=_port(process, log), pid=process.pid)
        finally:
            stop(process)


def stop(process: subprocess.Popen[Any], *, seconds: float = 5.0) -> None:
    """End a process started in its own session and all it started; by force after `seconds`."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    finally:  # also when a second Ctrl-C cuts the waiting short
        # npm's launchers end before what they launched, and Airflow gives each task a process group
        # of its own; the session holds them all.
        for pid in _session(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    process.wait()


def _session(leader: int) -> list[int]:
    """Processes of the session that a process leads, or led."""
    members = []
    for pid in psutil.pids():
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(pid) == leader:
                members.append(pid)
    return members


def _port(process: subprocess.Popen[Any], log: IO[str]) -> int:
    deadline = time.monotonic() + START_SECONDS
    while True:
        log.seek(0)
        printed = log.read()
        if found := _ADDRESS.search(printed):
            return int(found[1])
        if process.poll() is not None or time.monotonic() > deadline:
            raise NodeError(f"{process.args!r} did not start: {printed[-500:]}")
        time.sleep(0.02)
