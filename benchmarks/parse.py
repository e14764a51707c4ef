"""The time that dags/generate.py takes to be parsed, beyond what Airflow's own import takes."""

from __future__ import annotations

import compileall
import os
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import chainflow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.runs import Line

CHAINS = 15
RUNS = 5
_CHAIN = """\
  chain{number}:
    family: evm
    chain_id: {number}
    blocks_per_minute: 30.0
    finality: finalized
    endpoints: ["conn:chain{number}_rpc", "https://chain{number}.example"]
"""
_DATASETS = "defaults: {datasets: [blocks, transactions, logs, token_transfers]}\n"
# Run in a fresh process. Airflow loads much of itself at the first use of a name, so the names are
# used before the clock starts, as any DAG file with one decorated, mapped task uses them.
_PARSE = """\
import sys, time
from datetime import datetime
import airflow
from airflow.sdk import DAG, Asset, Param, get_current_context, get_parsing_context, task
began = time.perf_counter()
with DAG("plain", schedule="0 0 * * *", start_date=datetime(2025, 1, 1), auto_register=False,
         params={"one": Param(None, type=["null", "integer"])}) as dag:
    task(lambda number: number, outlets=[Asset("plain")]).override(task_id="one").expand(number=[1])
plain = time.perf_counter()
import runpy
made = runpy.run_path(sys.argv[1])
ended = time.perf_counter()
dags = sum(isinstance(one, DAG) for one in made.values())
print(plain - began, ended - plain, dags)
"""


def measure(folder: Path) -> list[Line]:
    """Lines of the table; everything it writes is in `folder`."""
    generate = _folder(folder)
    source = folder / "src" / "chainflow"
    shutil.copytree(
        Path(chainflow.__file__).parent, source, ignore=shutil.ignore_patterns("__pycache__")
    )
    environment = _environment(folder)
    _parse(generate, environment)  # Airflow writes its configuration the first time
    cold = [_parse(generate, environment) for _ in range(RUNS)]
    compileall.compile_dir(source, quiet=1)
    warm = [_parse(generate, environment) for _ in range(RUNS)]
    what = f"generate.py, {CHAINS} chains: ms"
    plain = median(first for first, _ in warm)
    return [
        (f"{what}", f"{median(ms for _, ms in warm):.0f}", "< 60"),
        (f"{what}, no bytecode of chainflow yet", f"{median(ms for _, ms in cold):.0f}", ""),
        ("a plain DAG before it, which pays Airflow's lazy imports: ms", f"{plain:.0f}", ""),
    ]


def _folder(folder: Path) -> Path:
    """The DAG file, copied alone beside a registry."""
    dags = folder / "dags"
    dags.mkdir()
    chains = "".join(_CHAIN.format(number=number) for number in range(1, CHAINS + 1))
    (dags / "chains.yaml").write_text(f"{_DATASETS}chains:\n{chains}")
    ours = Path(__file__).parents[1] / "dags" / "generate.py"
    return Path(shutil.copy(ours, dags))


def _environment(folder: Path) -> dict[str, str]:
    ours = ("CHAINFLOW_", "AIRFLOW")
    inherited = {key: text for key, text in os.environ.items() if not key.startswith(ours)}
    return inherited | {
        "AIRFLOW_HOME": str(folder / "airflow"),
        "PYTHONPATH": str(folder / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _parse(generate: Path, environment: Mapping[str, str]) -> tuple[float, float]:
    """Milliseconds of the first plain DAG, then of the file, in one fresh process."""
    command = [sys.executable, "-c", _PARSE, str(generate)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    plain, ours, dags = done.stdout.split()[-3:]
    assert int(dags) == CHAINS + 3, done.stdout
    return float(plain) * 1000, float(ours) * 1000
