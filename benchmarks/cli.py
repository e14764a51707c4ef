"""CPU time of commands that answer at once, and what they must not import for it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from benchmarks.process import middle, run
from benchmarks.report import Line, at_most
from benchmarks.runs import CHAINFLOW, CHAINS

if TYPE_CHECKING:
    from pathlib import Path

RUNS = 9
_SECONDS = 0.35
_COMMANDS = (("--help",), ("validate", str(CHAINS)))
_HEAVY = ("airflow", "web3", "pyarrow", "sqlalchemy", "aiohttp", "grpc")
_IMPORTED = """\
import sys
from chainflow.cli import main
sys.argv = ["chainflow", *sys.argv[1:]]
try:
    main()
finally:
    print(*(name for name in {heavy} if name in sys.modules))
"""


def measure(_: Path) -> list[Line]:
    """Lines of the table."""
    lines = []
    for command in _COMMANDS:
        taken = middle([run([CHAINFLOW, *command]) for _ in range(RUNS)])
        name = f"chainflow {command[0]}"
        lines.append(at_most(f"{name}: CPU", taken.cpu_seconds, _SECONDS, "s"))
        script = _IMPORTED.format(heavy=_HEAVY)
        imported = run([sys.executable, "-c", script, *command]).out.splitlines()[-1]
        lines.append(Line(f"{name}: heavy imports", imported or "none", "none", not imported))
    return lines
