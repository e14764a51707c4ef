"""Tests of real nodes are never left out in silence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_skipped_nodes_are_told_and_fail_in_ci(tmp_path: Path, ci: str, code: int) -> None:
    """A person without npm has the rest tested; CI, which has npm, must have the nodes too."""
    (tmp_path / "npm").write_text("")
    (tmp_path / "npm").chmod(0o755)
    # Without node on the path no tool of npm's is found.
    environment = {**os.environ, "PATH": str(tmp_path), "CI": ci, "CHAINFLOW_NODES": ""}
    chosen = ["tests/unit/test_testing_anvil.py", "-k", "not ends_at_once"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "REAL EVM NODES WERE NOT TESTED" in done.stdout
    assert done.returncode == code, done.stdout
