"""Airflow at the door: every module but three works where it is not installed."""

from __future__ import annotations

import subprocess
import sys

_DOOR = ("chainflow.factory", "chainflow.tasks", "chainflow._airflow")
# Alembic alone can run its environment file.
_IMPORT_ALL = f"""
import pkgutil, sys
from importlib import import_module
sys.modules["airflow"] = None
import chainflow
for module in pkgutil.walk_packages(chainflow.__path__, "chainflow."):
    if module.name not in {(*_DOOR, "chainflow.store.migrations.env")!r}:
        import_module(module.name)
        print(module.name)
"""


def test_every_module_but_the_door_imports_without_airflow() -> None:
    """With Airflow out of reach each other module imports, and the walk sees them all."""
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT_ALL], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {"chainflow.cli", "chainflow.clients.evm", "chainflow.demo.airflow"} <= set(
        done.stdout.split()
    )
