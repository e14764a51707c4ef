"""The tests that see which versions are pinned, for each Airflow that we promise, in its own venv.

    python tests/dags/matrix.py [VERSION...]

A version is one that constraints/mwaa-<version>.txt has the pins of. Its environment is
.venv-<version>, made once and brought up to date by every run. Ends with 1 if a version fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PINS = "constraints/mwaa-{}.txt"
# The scheduler's own test stays with the newest version: these see what differs between them.
_DAGS = ("test_factory.py", "test_tasks.py", "test_parse.py", "test_one_run.py")
# Both generations of protobuf and gRPC are pinned; their messages are made when they are imported.
_PROTOBUF = (
    "unit/test_wire_sui.py",
    "unit/test_clients_sui.py",
    "unit/test_datasets_sui.py",
    "contract/test_recorded_sui.py",
    "unit/test_datasets_cosmos.py",
    "contract/test_recorded_cosmos.py",
    "unit/test_wire_tron.py",
    "unit/test_clients_tron_proof.py",
    "contract/test_recorded_tron.py",
)
TESTS = (*(f"dags/{name}" for name in _DAGS), *_PROTOBUF)


def versions() -> list[str]:
    """The versions that we have pins of, ascending."""
    found = (path.stem.removeprefix("mwaa-") for path in ROOT.glob(PINS.format("*")))
    return sorted(found, key=lambda version: [int(part) for part in version.split(".")])


def check(version: str) -> bool:
    """Install one version under its pins and run the tests there; whether they passed."""
    folder = ROOT / f".venv-{version}"
    python = folder / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    if not python.exists():
        _run(*uv, "venv", "-q", "--python", sys.executable, str(folder))
    pins, wanted = (
        PINS.format(version),
        (f"apache-airflow=={version}", "-e", ".[embedded]", "hypothesis", "pytest", "pytest-xdist"),
    )
    _run(*uv, "pip", "install", "-q", "-p", str(python), "-c", pins, *wanted)
    tests = [f"tests/{name}" for name in TESTS]
    done = subprocess.run(
        [python, "-m", "pytest", "-q", *tests], cwd=ROOT, env=_environment(), check=False
    )
    return done.returncode == 0


def main(asked: list[str]) -> int:
    """Check the versions asked for, or all; 1 if one failed."""
    failed = [version for version in asked or versions() if not check(version)]
    sys.stdout.write(f"failed: {', '.join(failed)}\n" if failed else "every version passed\n")
    return 1 if failed else 0


def _run(*command: str) -> None:
    subprocess.run(command, cwd=ROOT, env=_environment(), check=True)


def _environment() -> dict[str, str]:
    """Ours without what would lead Python or uv back to the environment this runs in."""
    foreign = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_CONSTRAINT")
    return {name: text for name, text in os.environ.items() if name not in foreign}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
