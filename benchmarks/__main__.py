"""Run all benchmarks, or the named ones, and print one table: what was measured, what is wanted.

python -m benchmarks [sync | families | proof | parse] ...
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from pathlib import Path

from benchmarks import families, parse, proof, sync

_ALL = {
    "sync": sync.measure,
    "families": families.measure,
    "proof": proof.measure,
    "parse": parse.measure,
}


def main(names: list[str]) -> None:
    """Measure and print."""
    wanted = [_ALL[name] for name in names or _ALL]
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="chainflow-bench-") as folder:
        # PostgreSQL runs as another user when started by root.
        Path(folder).chmod(0o755)
        lines = [line for measure in wanted for line in measure(Path(folder))]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    system = f"{platform.system()} {platform.machine()}"
    python = platform.python_version()
    print(f"\n{cores} cores, {system}, Python {python}, load of others before: {load:.1f}\n")
    for name, value, goal in lines:
        print(f"{name:<62}{value:>12}{goal:>14}")


if __name__ == "__main__":
    main(sys.argv[1:])
