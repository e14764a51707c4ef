"""How long a test goes on: short in the suite, long under `make soak`."""

from __future__ import annotations

import os


def times(usually: int, soaking: int) -> int:
    """How often, now."""
    return soaking if os.environ.get("CHAINFLOW_SOAK") else usually
