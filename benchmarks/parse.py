"""The time that a DAG file takes to be parsed, beyond what Airflow's own import takes.

Ours, and dag-factory's for DAGs of the same shape: four tasks, one of them mapped.
"""

from __future__ import annotations

import compileall
import os
import shutil
import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import chainflow
from benchmarks import _dag_factory, peers
from benchmarks.process import run
from benchmarks.report import Line, at_least, at_most, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

FEW, MANY = 15, 1000
RUNS = 5
# Beside a chain for each: audit, heights, housekeeping.
_OTHERS = 3
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
    source = folder / "src" / "chainflow"
    shutil.copytree(
        Path(chainflow.__file__).parent, source, ignore=shutil.ignore_patterns("__pycache__")
    )
    few, many = (_ours(folder / f"dags{count}", count) for count in (FEW, MANY))
    environment = _environment(folder)
    _parse(few, environment)  # Airflow writes its configuration the first time
    cold = _milliseconds(few, environment, FEW + _OTHERS)
    compileall.compile_dir(source, quiet=1)
    warm = _milliseconds(few, environment, FEW + _OTHERS)
    thousand = _milliseconds(many, environment, MANY + _OTHERS)
    one = {**environment, "_AIRFLOW_PARSING_CONTEXT_DAG_ID": "ingest_chain500"}
    return [
        at_most(f"generate.py, {FEW} chains", warm, 40, "ms"),
        at_most(f"generate.py, {MANY} chains", thousand, 1200, "ms"),
        at_most("the same in the process of one task", _milliseconds(many, one, 1), 25, "ms"),
        plain(f"generate.py, {FEW} chains, no bytecode of chainflow yet", cold, "ms"),
        plain("a plain DAG before it: Airflow's lazy imports", _parse(few, environment)[0], "ms"),
        *_beside(folder, environment, {FEW: warm, MANY: thousand}),
    ]


def _beside(folder: Path, environment: Mapping[str, str], ours: Mapping[int, float]) -> list[Line]:
    """dag-factory with as many DAGs."""
    try:
        path = f"{peers.dag_factory()}{os.pathsep}{environment['PYTHONPATH']}"
    except peers.NoPeer as why:
        return [Line("dag-factory is not to be had", str(why))]
    # It would tell its makers of each DAG.
    variables = {**environment, "PYTHONPATH": path, "DO_NOT_TRACK": "1", "SCARF_NO_ANALYTICS": "1"}
    lines = []
    for count, milliseconds in ours.items():
        theirs = _milliseconds(
            _dag_factory.written(folder / f"factory{count}", count), variables, count
        )
        lines += [
            plain(f"{peers.DAG_FACTORY}, {count} DAGs", theirs, "ms"),
            at_least(f"its time over ours, {count}", theirs / milliseconds, 4),
        ]
    return lines


def _ours(dags: Path, count: int) -> Path:
    """The DAG file, copied alone beside a registry."""
    dags.mkdir()
    chains = "".join(_CHAIN.format(number=number) for number in range(1, count + 1))
    (dags / "chains.yaml").write_text(f"{_DATASETS}chains:\n{chains}")
    return Path(shutil.copy(Path(__file__).parents[1] / "dags" / "generate.py", dags))


def _environment(folder: Path) -> dict[str, str]:
    ours = ("CHAINFLOW_", "AIRFLOW")
    inherited = {key: text for key, text in os.environ.items() if not key.startswith(ours)}
    return inherited | {
        "AIRFLOW_HOME": str(folder / "airflow"),
        "PYTHONPATH": str(folder / "src"),
    }


def _milliseconds(file: Path, environment: Mapping[str, str], dags: int) -> float:
    """The file's alone, the median of a few fresh processes."""
    runs = [_parse(file, environment) for _ in range(RUNS)]
    assert {made for *_, made in runs} == {dags}, runs
    return median(milliseconds for _, milliseconds, _ in runs)


def _parse(file: Path, environment: Mapping[str, str]) -> tuple[float, float, int]:
    """Milliseconds of the first plain DAG, then of the file, in one fresh process; its DAGs."""
    done = run([sys.executable, "-B", "-c", _PARSE, str(file)], environment)
    plain_, ours, dags = done.out.split()[-3:]
    return float(plain_) * 1000, float(ours) * 1000, int(dags)
