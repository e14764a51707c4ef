"""The shipped DAG folder as Airflow's DAG processor sees it, each time in a fresh process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DAGS = ROOT / "dags"
BAD = "  broken: {family: evm, chain_id: 1, blocks_per_minute: 1, endpoints: ['conn:x'], node: 3}\n"


def _parse(folder: Path, **variables: str) -> dict[str, Any]:
    inherited = {k: v for k, v in os.environ.items() if k != "CHAINFLOW_REGISTRY"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", Path(__file__).with_name("parse.py"), folder],
        env={**inherited, **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _drop_in(folder: Path, registry: Path) -> Path:
    """A copy of the DAG folder alone, as a user has it in his own project."""
    shutil.copytree(DAGS, folder / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(registry, folder / "dags" / "chains.yaml")
    return folder / "dags"


@pytest.mark.parametrize("name", ["generate.py", "registry_errors.py"])
def test_dag_files_are_seen_by_safe_mode_and_short(name: str) -> None:
    """Airflow silently skips a file that lacks either word; and all logic stands in the package."""
    text = (DAGS / name).read_text(encoding="utf-8")
    assert "dag" in text.lower()
    assert "airflow" in text.lower()
    assert len(text.splitlines()) < 15


def test_folder_parses_twice_to_the_same_bytes() -> None:
    """No error, a DAG for every chain, nothing outside touched, whatever the process hashes to."""
    first = _parse(DAGS, PYTHONHASHSEED="1")
    second = _parse(DAGS, PYTHONHASHSEED="2", MOCK_GETENV="1")
    assert first["errors"] == {}
    assert first["reached"] == []
    assert first["imported"] == []
    assert {"ingest_ethereum", "audit", "heights", "housekeeping"} <= set(first["dags"])
    assert json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


def test_folder_copied_alone_parses_and_tells_a_bad_entry(tmp_path: Path) -> None:
    """In somebody's own folder, the good chains have DAGs and the bad one stands in the errors."""
    folder = _drop_in(tmp_path, ROOT / "chains.yaml")
    with (folder / "chains.yaml").open("a", encoding="utf-8") as file:
        file.write(BAD)
    found = _parse(folder)
    assert "ingest_ethereum" in found["dags"]
    assert "ingest_broken" not in found["dags"]
    assert list(found["errors"]) == ["registry_errors.py"]
    assert "broken.node: unknown key" in found["errors"]["registry_errors.py"]


def test_new_entry_is_a_new_dag(tmp_path: Path) -> None:
    """A chain is one entry: nothing else changes, and there is one DAG more."""
    folder = _drop_in(tmp_path, ROOT / "chains.yaml")
    before = {path: path.read_bytes() for path in folder.rglob("*.py")}
    with (folder / "chains.yaml").open("a", encoding="utf-8") as file:
        file.write(
            "  gnosis: {family: evm, chain_id: 100, blocks_per_minute: 12, endpoints: ['conn:g']}\n"
        )
    found = _parse(folder)
    assert found["errors"] == {}
    assert "ingest_gnosis" in found["dags"]
    assert {path: path.read_bytes() for path in folder.rglob("*.py")} == before


def test_folder_in_a_task_builds_one_dag(tmp_path: Path) -> None:
    """The registry one folder up is found, and a task's process builds only what it runs."""
    folder = _drop_in(tmp_path, ROOT / "chains.yaml")
    (folder / "chains.yaml").rename(tmp_path / "chains.yaml")
    found = _parse(folder, _AIRFLOW_PARSING_CONTEXT_DAG_ID="ingest_base")
    assert list(found["dags"]) == ["ingest_base"]
