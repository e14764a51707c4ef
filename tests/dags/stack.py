"""The real Airflow that the demo starts, asked through its REST API."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from chainflow.demo import airflow

T = TypeVar("T")

# DAGs wait until a test unpauses them, and a changed registry is soon seen.
_SETTINGS = {
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "2",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "2",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
}


@dataclass(frozen=True, slots=True)
class Airflow:
    """A running Airflow."""

    home: Path
    http: httpx.Client

    def get(self, path: str, **query: str | int) -> dict[str, Any]:
        """What a resource of the API holds."""
        return _checked(self.http.get(f"/api/v2{path}", params=query))

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What the API says to a request."""
        return _checked(self.http.post(f"/api/v2{path}", json=body))

    def knows(self, dag_id: str) -> bool:
        """Whether the DAG was parsed."""
        return self.http.get(f"/api/v2/dags/{dag_id}").is_success

    def begin(self, dag_id: str) -> str:
        """Unpause a DAG once it is known; id of the run that its schedule then starts."""
        until(lambda: self.knows(dag_id), f"{dag_id} to appear")
        path, body = f"/api/v2/dags/{dag_id}", {"is_paused": False}
        # Its database is SQLite, which sometimes is locked for longer than Airflow waits.
        until(lambda: self.http.patch(path, json=body).is_success, f"{dag_id} to be unpaused")
        runs = until(lambda: self.get(f"/dags/{dag_id}/dagRuns")["dag_runs"], f"a run of {dag_id}")
        return str(runs[0]["dag_run_id"])

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Id of a new run."""
        body = {"logical_date": None, "conf": dict(conf or {})}
        return str(self.post(f"/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def wait(self, dag_id: str, run_id: str) -> str:
        """The state in which a run ended."""

        def ended() -> str:
            state = str(self.get(f"/dags/{dag_id}/dagRuns/{run_id}")["state"])
            return state if state in {"success", "failed"} else ""

        return until(ended, f"{dag_id} {run_id} to end")

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The run's task instances."""
        found = self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        return list(found["task_instances"])

    def logs(self) -> str:
        """Everything that components and tasks wrote."""
        return "\n".join(
            path.read_text(errors="replace") for path in self.home.rglob("*.log") if path.is_file()
        )


def until(ask: Callable[[], T], what: str, *, seconds: float = 120.0) -> T:
    """The first answer that is not empty or false; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := ask()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.25)
    return found


@contextmanager
def running(home: Path, dags: Path, variables: Mapping[str, str]) -> Iterator[Airflow]:
    """An Airflow over a folder of DAGs, which are paused; stopped on leaving."""
    with airflow.running(home, dags=dags, environment={**_SETTINGS, **variables}) as started:
        yield Airflow(home, started.http)


def _checked(answer: httpx.Response) -> dict[str, Any]:
    assert answer.is_success, f"{answer.request.url}: {answer.status_code} {answer.text}"
    found: dict[str, Any] = answer.json()
    return found
