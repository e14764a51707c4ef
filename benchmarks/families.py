"""`chainflow sync` of a chain of each family: how far one core is ahead of the talk's rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import runs
from benchmarks.samples import SAMPLES

if TYPE_CHECKING:
    from pathlib import Path

# Blocks per minute on the talk's board; dydx was catching up there.
TALK = {"arbitrum": 238.6, "sui": 248.4, "dydx": 555.1, "tron": 20.0}
_GOAL = 20


def measure(folder: Path) -> list[runs.Line]:
    """Lines of the table; everything it writes, but the cached blocks, is in `folder`."""
    lines = []
    for chain, per_minute in TALK.items():
        measured = runs.measure(SAMPLES[chain], folder, chain)
        times = measured.blocks_per_cpu_second * 60 / per_minute
        lines += [
            *measured.lines(chain),
            (f"{chain}: times {per_minute} blocks/min, on one core", f"{times:.0f}", f">= {_GOAL}"),
        ]
    return lines
