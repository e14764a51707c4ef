"""DAGs of the shape of ours, as dag-factory has them in YAML."""

from __future__ import annotations

from pathlib import Path

import yaml

from benchmarks.to_arrow import DATASETS

_FILE = """\
from pathlib import Path
from dagfactory import load_yaml_dags
load_yaml_dags(globals(), config_filepath=str(Path(__file__).with_name("dags.yaml")))
"""
_OPERATOR = "airflow.providers.standard.operators.python.PythonOperator"
_DOC = "| family | chain id | endpoint |\n|---|---|---|\n| evm | {0} | chain{0}_rpc |\n"


def written(dags: Path, count: int) -> Path:
    """A DAG file that makes so many DAGs of the YAML beside it."""
    dags.mkdir()
    config: dict[str, object] = {f"ingest_chain{n}": _dag(n) for n in range(1, count + 1)}
    config["default"] = {
        "catchup": False,
        "max_active_runs": 1,
        "default_args": {
            "owner": "data-platform",
            "start_date": "2025-01-01",
            "retries": 3,
            "retry_delay_sec": 30,
        },
    }
    (dags / "dags.yaml").write_text(yaml.safe_dump(config))
    file = dags / "factory.py"
    file.write_text(_FILE)
    return file


def _dag(number: int) -> dict[str, object]:
    chain = f"chain{number}"
    assets = [
        _made("Asset", name=f"{chain}.{one}", uri=f"chainflow://{chain}/{one}") for one in DATASETS
    ]
    ingest = {"expand": {"op_kwargs": "plan.output"}, "outlets": assets}
    return {
        "description": f"{chain}: from its nodes into the store",
        "schedule": f"{number % 5}-59/5 * * * *",
        "tags": ["chainflow", "evm", chain],
        "doc_md": _DOC.format(number),
        "params": {
            "from": _made("Param", default=None, type=["null", "integer"], minimum=0),
            "to": _made("Param", default=None, type=["null", "integer"], minimum=1),
            "datasets": _made("Param", default=[], type="array"),
            "re_ingest": _made("Param", default=False, type="boolean"),
        },
        "tasks": {
            "observe": _task("observe", op_args=[chain]),
            "plan": _task("plan", "observe", op_args=[chain]),
            "ingest": _task("ingest", "plan", map_index_template="{{ task.op_kwargs }}", **ingest),
            "report": _task("report", "ingest", op_args=[chain], trigger_rule="none_failed"),
        },
    }


def _task(name: str, *after: str, **more: object) -> dict[str, object]:
    called = {"operator": _OPERATOR, "python_callable": f"chainflow.tasks.{name}"}
    return {**called, "dependencies": list(after), "pool": "default_pool", **more}


def _made(kind: str, **arguments: object) -> dict[str, object]:
    return {"__type__": f"airflow.sdk.{kind}", **arguments}
