"""Processes that are measured: wall clock, CPU and peak memory; and the node they ask."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.samples import Sample

LATENCY_SECONDS = 0.05  # of a node that is far away


@dataclass(frozen=True, slots=True)
class Run:
    """What one process took, from start to end; `out` is what it printed.

    CPU seconds are those of its own children too, `peak_bytes` those of the largest one of them.
    The system never says less than what the process that started it has held at most: whoever
    measures memory keeps its own small.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    out: str = ""


def run(command: Sequence[str], environment: Mapping[str, str] = os.environ) -> Run:
    """Run a command to its end; it must succeed."""
    # With bytecode, as an installed package has it.
    variables = {k: v for k, v in environment.items() if k != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    process = subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    out = process.stdout.read()
    # Not RUSAGE_CHILDREN: that would be the highest of the node's and all others' too.
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.stdout.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{command[0]} ended with {process.returncode}: {out[-2000:]}"
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Run(seconds, usage.ru_utime + usage.ru_stime, peak, out)


def at_once(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """One command that runs two at the same time and fails if either does."""
    return ["sh", "-c", f"{shlex.join(first)} & {shlex.join(second)} && wait $!"]


def middle(runs: Sequence[Run]) -> Run:
    """Medians; of the memory the highest, and what the last one printed."""
    return Run(
        median(one.seconds for one in runs),
        median(one.cpu_seconds for one in runs),
        max(one.peak_bytes for one in runs),
        runs[-1].out,
    )


@contextmanager
def node(sample: Sample, seconds: float = 0.0) -> Iterator[str]:
    """The URL of a node in a process of its own; each answer comes so many seconds late."""
    command = [sys.executable, "-m", "benchmarks.node", sample.chain, str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            assert port, "the node did not start"
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
