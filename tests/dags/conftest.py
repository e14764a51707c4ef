"""An Airflow home of our own, before anything imports Airflow, and registries to make DAGs of."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_HOME = tempfile.mkdtemp(prefix="chainflow-airflow-")
os.environ.update(
    AIRFLOW_HOME=_HOME,
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__LOGGING__LOGGING_LEVEL="WARNING",
)

DAGS = Path(__file__).parents[2] / "dags"


@pytest.fixture(scope="session", autouse=True)
def _airflow_home() -> Iterator[None]:
    yield
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture
def registry_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Writes a chains.yaml and returns the path of a DAG file beside it."""
    monkeypatch.delenv("CHAINFLOW_REGISTRY", raising=False)

    def write(text: str) -> Path:
        (tmp_path / "chains.yaml").write_text(text, encoding="utf-8")
        return tmp_path / "generate.py"

    return write
