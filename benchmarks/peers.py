"""Other tools that do the same work, each in an environment of its own in the temporary folder.

Their packages come from the package registry with the pins they ask for; nothing of theirs gets
into the project's environment.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(tempfile.gettempdir()) / "chainflow-bench-peers"


class NoPeer(Exception):
    """A peer cannot be installed here."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A package and the Pythons that its pins still run on."""

    name: str
    requirements: tuple[str, ...]
    pythons: tuple[str, ...]

    @property
    def bin(self) -> Path:
        """Where its programs are."""
        return FOLDER / self.name / "bin"


CRYO = Peer("cryo", ("cryo==0.3.2",), ("3.11", "3.10", "3.9", "3.8"))
ETHEREUM_ETL = Peer(
    "ethereum-etl",
    # It imports pkg_resources, which later setuptools lack.
    ("setuptools<70", "wheel", "ethereum-etl[streaming]==2.4.2"),
    ("3.10", "3.9", "3.8"),
)
DAG_FACTORY = "dag-factory==1.1.0"


@cache
def install(peer: Peer) -> Path:
    """Where a peer's programs are; installed when missing, which takes a minute or two.

    Raises:
        NoPeer: With why not.
    """
    done = peer.bin.parent / "installed"
    if not done.exists():
        print(f"installing {' '.join(peer.requirements)} into {peer.bin.parent}", flush=True)
        _run([_python(peer), "-m", "venv", "--clear", str(peer.bin.parent)])
        _run([str(peer.bin / "python"), "-m", "pip", "install", "-q", *peer.requirements])
        done.touch()
    return peer.bin


@cache
def dag_factory() -> Path:
    """A folder for PYTHONPATH with dag-factory alone: the rest of what it needs is here.

    Raises:
        NoPeer: With why not.
    """
    folder = FOLDER / DAG_FACTORY
    if not folder.exists():
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target"]
        _run([*pip, str(folder), DAG_FACTORY])
    return folder


def _python(peer: Peer) -> str:
    """A Python that the peer runs on: from the path, else one that pyenv keeps."""
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in peer.pythons:
        named = shutil.which(f"python{version}")
        found = [named] if named else []
        found += [str(one) for one in sorted(kept.glob(f"{version}.*/bin/python{version}"))]
        for python in found:
            # pyenv's own stand-in is there for every version, whether it may be used or not.
            if not subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode:
                return python
    raise NoPeer(f"{peer.name} needs Python {', '.join(peer.pythons)}: none was found")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise NoPeer(f"{' '.join(command)}: {done.stderr[-1000:]}")
