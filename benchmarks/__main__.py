"""Run all benchmarks, or the named ones, and print a table of each: what came out, and its bar.

python -m benchmarks [--keep] [NAME] ...

With --keep the tables take the place of those in README.md.
"""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

NAMES = ("tables", "sync", "families", "proof", "parse", "cli", "nodes", "store")
"""Modules of this package, each with `measure`; catch_up is run by name alone."""

_README = Path(__file__).with_name("README.md")
_MARK = "## Last numbers\n"


def main(words: list[str]) -> None:
    """Measure and print."""
    names = [word for word in words if word != "--keep"]
    report = [_machine()]
    for name in names or NAMES:
        report.append(_measured(name))
        print(f"\n{report[-1]}", flush=True)
    text = "\n".join(report)
    if "--keep" in words:
        kept = _README.read_text(encoding="utf-8").partition(_MARK)[0]
        _README.write_text(f"{kept}{_MARK}\n{text}", encoding="utf-8")


def _measured(name: str) -> str:
    """One table."""
    module = import_module(f"benchmarks.{name}")
    load, began = os.getloadavg()[0], time.monotonic()
    print(f"{name}: {(module.__doc__ or '').splitlines()[0]}", flush=True)
    with tempfile.TemporaryDirectory(prefix="chainflow-bench-") as folder:
        # PostgreSQL runs as another user when started by root.
        Path(folder).chmod(0o755)
        # Those with a bar first.
        lines = sorted(module.measure(Path(folder)), key=lambda line: line.met is None)
    rows = "\n".join(map(str, lines))
    took = f"{time.monotonic() - began:.0f} s, load of others before {load:.1f}"
    return f"### {name}\n\n| {took} | measured | bar |\n|---|---:|---:|\n{rows}\n"


def _machine() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    system = f"{platform.system()} {platform.machine()}"
    today = time.strftime("%Y-%m-%d")
    return f"{today}, {cores} cores, {system}, Python {platform.python_version()}.\n"


if __name__ == "__main__":
    main(sys.argv[1:])
