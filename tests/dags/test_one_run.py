"""One ingest DAG to its end by `airflow dags test`, that is dag.test(), without a scheduler."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml
from sqlalchemy.engine import Engine

from tests.dags import nodes

pytestmark = pytest.mark.airflow

DAGS = Path(__file__).parents[2] / "dags"
Cli = Callable[..., str]


@pytest.fixture
def ethereum() -> Iterator[nodes.Nodes]:
    """Ethereum's node, fifty blocks long."""
    with nodes.frozen("ethereum", blocks=50) as running:
        yield running


@pytest.fixture
def airflow(tmp_path: Path, database_url: str, ethereum: nodes.Nodes) -> Cli:
    """Airflow's command line over a copy of the DAG folder; fails where a command does."""
    shutil.copytree(DAGS, tmp_path / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    document = {"defaults": ethereum.defaults, "chains": ethereum.entries}
    (tmp_path / "dags" / "chains.yaml").write_text(yaml.safe_dump(document))
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        "CHAINFLOW_DATABASE_URL": database_url,
    }

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "airflow", *arguments],
            env=environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    run("db", "migrate")
    run("dags", "reserialize")
    return run


def test_ingest_dag_runs_to_its_end(airflow: Cli, ethereum: nodes.Nodes, engine: Engine) -> None:
    """It merges the node's blocks up to the finalized one; a range asked for again, once more."""
    low = ethereum.simulations["ethereum"].first
    final = ethereum.call("ethereum", "eth_getBlockByNumber", "finalized", False)
    told = airflow("dags", "test", "ingest_ethereum")
    assert "reported chain=ethereum" in told
    with engine.connect() as connection:
        blocks = sa.text("SELECT block_number, block_hash FROM ethereum.blocks ORDER BY 1 DESC")
        heights = [tuple(row) for row in connection.execute(blocks)]
    assert heights[0] == (int(final["number"], 16), final["hash"])
    assert [height for height, _ in heights] == list(range(heights[0][0], low - 1, -1))
    asked = {"from": low, "to": low + 30, "datasets": ["blocks"], "re_ingest": True}
    told = airflow("dags", "test", "ingest_ethereum", "--conf", json.dumps(asked))
    assert "blocks=30 rows=30" in told
