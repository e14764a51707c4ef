"""Parse a folder as Airflow's DAG processor does, in a process of its own.

    python parse.py FOLDER

Prints JSON: `errors` by file name; `dags` as Airflow serialises them, by id; `reached`, what the
parse touched outside its process; `imported`, modules that no parse should pay for.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

FORBIDDEN = (
    "socket.connect",
    "socket.getaddrinfo",
    "socket.bind",
    "sqlite3.connect",
    "subprocess.Popen",
    "os.system",
)
HEAVY = ("pyarrow", "web3", "chainflow.pipeline", "chainflow.store", "chainflow.clients.evm")

reached: list[str] = []
watching = False


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if watching and event in FORBIDDEN:
        reached.append(f"{event} {args!r:.200}")


def _mocked_getenv(key: str, default: str | None = None) -> str | None:
    """What `astro dev parse` puts in place of os.getenv."""
    return os.environ.get(key) or default or f"MOCKED_{key.upper()}_VALUE"


def _refused(*args: object, **kwargs: object) -> None:
    reached.append(f"a Variable or Connection {args!r}")


def main(folder: str) -> None:
    """Parse the folder and print what came of it."""
    global watching
    from airflow.models import DagBag
    from airflow.sdk import Connection, Variable

    try:
        from airflow.serialization.serialized_objects import DagSerialization
    except ImportError:  # before 3.2
        from airflow.serialization.serialized_objects import (  # type: ignore[no-redef,attr-defined,assignment,unused-ignore]
            SerializedDAG as DagSerialization,
        )

    if os.environ.get("MOCK_GETENV"):
        os.getenv = _mocked_getenv  # type: ignore[assignment]
    Variable.get = Connection.get = _refused  # type: ignore[method-assign]
    sys.addaudithook(_watch)
    watching = True
    bag = DagBag(dag_folder=folder)
    watching = False
    found = {
        "errors": {Path(path).name: text for path, text in bag.import_errors.items()},
        "dags": {dag_id: DagSerialization.to_dict(dag) for dag_id, dag in bag.dags.items()},
        "reached": reached,
        "imported": [name for name in HEAVY if name in sys.modules],
    }
    # Airflow sorts keys too before it compares one version of a DAG with the next.
    sys.stdout.write("\n" + json.dumps(found, sort_keys=True))


if __name__ == "__main__":
    main(sys.argv[1])
