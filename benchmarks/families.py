"""`chainflow sync` of a chain of each family: how far one core is ahead of the talk's rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import runs
from benchmarks.report import Line, at_least, plain
from benchmarks.runs import Work
from benchmarks.samples import SAMPLES, unpacked

if TYPE_CHECKING:
    from pathlib import Path

# Blocks per minute on the talk's board; dydx was catching up there.
TALK = {"arbitrum": 238.6, "sui": 248.4, "dydx": 555.1, "tron": 20.0}
# Heavy blocks of the family that is measured most, and what of its speed the others shall have.
_EVM, _SHARE = "ethereum", 0.5
_GOAL = 20
_BLOCKS = {"ethereum": 400}
_RUNS = 3


def measure(folder: Path) -> list[Line]:
    """Lines of the table; everything it writes, but the cached blocks, is in `folder`."""
    works = {
        chain: Work(SAMPLES[chain], _BLOCKS.get(chain, SAMPLES[chain].blocks), runs=_RUNS)
        for chain in (_EVM, *TALK)
    }
    synced = runs.measure(folder, works)
    sent = {chain: one.size / 1e6 / one.cpu_seconds for chain, one in synced.items()}
    speeds = {chain: speed * unpacked(SAMPLES[chain]) for chain, speed in sent.items()}
    lines = [line for chain, one in synced.items() for line in one.lines(chain)]
    for chain, per_minute in TALK.items():
        times = synced[chain].blocks / synced[chain].cpu_seconds * 60 / per_minute
        lines.append(at_least(f"{chain}: times {per_minute} blocks/min, on one core", times, _GOAL))
        if SAMPLES[chain].family != SAMPLES[_EVM].family:
            share = speeds[chain] / speeds[_EVM]
            lines.append(at_least(f"{chain}: MB per CPU second over {_EVM}'s", share, _SHARE))
            if speeds[chain] != sent[chain]:
                packed = sent[chain] / sent[_EVM]
                lines.append(plain(f"{chain}: the same, its bytes counted as packed", packed))
    return lines
