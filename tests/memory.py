"""Where servers of the tests keep their files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_ROOMY_BYTES = 4 * 2**30


def folder() -> Path | None:
    """Where files are kept in memory, if it is large enough: a new database is 300 of them."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > _ROOMY_BYTES
    return memory if roomy and os.access(memory, os.W_OK) else None
