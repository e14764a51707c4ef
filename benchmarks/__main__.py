"""Run both benchmarks and print one table: what was measured, what is wanted."""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path

from benchmarks import parse, sync


def main() -> None:
    """Measure and print."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="chainflow-bench-") as folder:
        # PostgreSQL runs as another user when started by root.
        Path(folder).chmod(0o755)
        parsed = parse.measure(Path(folder))
        synced = sync.measure(Path(folder))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    system = f"{platform.system()} {platform.machine()}"
    python = platform.python_version()
    print(f"\n{cores} cores, {system}, Python {python}, load of others before: {load:.1f}\n")
    for name, value, goal in [*synced, *parsed]:
        print(f"{name:<62}{value:>12}{goal:>14}")


if __name__ == "__main__":
    main()
