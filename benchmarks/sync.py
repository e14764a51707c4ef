"""`chainflow sync` of blocks like Ethereum's, with and without the proof of their roots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import runs
from benchmarks.samples import SAMPLES

if TYPE_CHECKING:
    from pathlib import Path

_DATASETS = ["blocks", "transactions", "logs", "token_transfers"]
_GOALS = {"roots": ">= 60", "hashes": ""}


def measure(folder: Path) -> list[runs.Line]:
    """Lines of the table; everything it writes, but the cached blocks, is in `folder`."""
    lines = []
    for verify, goal in _GOALS.items():
        measured = runs.measure(
            SAMPLES["ethereum"],
            folder,
            f"ethereum_{verify}",
            datasets=_DATASETS,
            verify=verify,
        )
        lines += measured.lines(f"ethereum, verify: {verify}", blocks_per_second=goal)
    return lines
