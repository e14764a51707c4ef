"""Child processes of the demo: each with a log of its own, all stopped on leaving."""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chainflow.errors import WorkError
from chainflow.testing.node import stop

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_TAIL_LINES, _TAIL_WIDTH = 10, 240
# A shell's own Airflow or store must not leak into the demo's, nor a proxy stand before loopback.
_NOT_INHERITED = ("AIRFLOW", "CHAINFLOW_")
_LOOPBACK = {"no_proxy": "127.0.0.1,localhost", "NO_PROXY": "127.0.0.1,localhost"}


@dataclass(frozen=True, slots=True)
class Service:
    """A child process that is meant to run until it is stopped."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def require_running(self) -> None:
        """Make sure that it still runs.

        Raises:
            WorkError: It ended; the message names its log and ends with its last lines.
        """
        if self.process.poll() is not None:
            raise WorkError(
                f"{self.name} ended with {self.process.returncode}; {last_words(self.log)}"
            )


@contextmanager
def started(
    name: str, command: Sequence[str], *, logs: Path, environment: Mapping[str, str]
) -> Iterator[Service]:
    """The process while inside; it and all it started are stopped on leaving."""
    log = logs / f"{name}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 - the demo's own commands
            command,
            env={**_inherited(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Service(name, process, log)
    finally:
        stop(process, seconds=3.0)


def last_words(log: Path) -> str:
    """A log's name and its last lines."""
    lines = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
    return "\n  ".join([f"the end of {log}:", *(line[:_TAIL_WIDTH] for line in lines)])


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _inherited() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_NOT_INHERITED)}
    return kept | _LOOPBACK
