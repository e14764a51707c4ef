"""A real Airflow of the demo: API server, scheduler and DAG processor on loopback.

Its own database is SQLite in its folder; the store is never Airflow's.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from chainflow.demo import services
from chainflow.errors import WorkError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

USER = PASSWORD = "admin"  # noqa: S105 - a demo on loopback, told on its screen
_COMPONENTS = ("api-server", "scheduler", "dag-processor")
_START_SECONDS = 120.0
_PARTS = ("metadatabase", "scheduler", "dag_processor")


@dataclass(frozen=True, slots=True)
class Airflow:
    """A running Airflow."""

    url: str
    http: httpx.Client
    services: Sequence[services.Service]

    def require_running(self) -> None:
        """Make sure that all its components still run.

        Raises:
            WorkError: One ended.
        """
        for service in self.services:
            service.require_running()

    def failed_runs(self) -> list[str]:
        """DAG ids of runs that failed."""
        answer = self.http.get("/api/v2/dags/~/dagRuns", params={"state": "failed"})
        return sorted({run["dag_id"] for run in _json(answer)["dag_runs"]})


@contextmanager
def running(home: Path, *, dags: Path, environment: Mapping[str, str]) -> Iterator[Airflow]:
    """An Airflow over a folder of DAGs, unpaused; stopped on leaving.

    Args:
        home: A folder that is not there yet.
        dags: The folder of DAG files.
        environment: More variables for its processes.

    Raises:
        WorkError: It did not become healthy; the message names a log and its last lines.
    """
    port = services.free_port()
    url = f"http://127.0.0.1:{port}"
    logs = home / "logs"
    logs.mkdir(parents=True)
    (home / "passwords.json").write_text(json.dumps({USER: PASSWORD}))
    variables = {**_settings(home, dags, port), **environment}
    _migrate(logs, variables)
    with ExitStack() as stack:
        parts = [
            stack.enter_context(
                services.started(name, _command(name), logs=logs, environment=variables)
            )
            for name in _COMPONENTS
        ]
        http = stack.enter_context(httpx.Client(base_url=url, timeout=30.0, trust_env=False))
        airflow = Airflow(url, http, parts)
        _wait(airflow)
        login = _json(http.post("/auth/token", json={"username": USER, "password": PASSWORD}))
        http.headers["Authorization"] = f"Bearer {login['access_token']}"
        yield airflow


def _json(answer: httpx.Response) -> dict[str, Any]:
    if not answer.is_success:
        raise WorkError(f"Airflow answered {answer.status_code} to {answer.request.url.path}")
    found: dict[str, Any] = answer.json()
    return found


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "airflow", *words]


def _migrate(logs: Path, variables: Mapping[str, str]) -> None:
    with services.started(
        "db", _command("db", "migrate"), logs=logs, environment=variables
    ) as made:
        try:
            failed = made.process.wait(_START_SECONDS)
        except subprocess.TimeoutExpired:
            failed = -1
    if failed:
        raise WorkError(f"Airflow's database could not be made; {services.last_words(made.log)}")


def _wait(airflow: Airflow) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _healthy(airflow.http):
        airflow.require_running()
        if time.monotonic() > deadline:
            last = services.last_words(airflow.services[0].log)
            raise WorkError(f"Airflow is not healthy after {_START_SECONDS:.0f} s; {last}")
        time.sleep(0.5)


def _healthy(http: httpx.Client) -> bool:
    try:
        health = http.get("/api/v2/monitor/health").json()
    except (httpx.TransportError, ValueError):
        return False
    return all((health.get(part) or {}).get("status") == "healthy" for part in _PARTS)


def _settings(home: Path, dags: Path, port: int) -> dict[str, str]:
    """Small and quick: two cores, a dozen chains, runs a minute apart, and no call home."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
