"""Chain -> DAG: no network, no database, no clock; from the same registry always the same DAGs."""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, Param, get_parsing_context

from chainflow import registry, tasks
from chainflow._airflow import BACKOFF
from chainflow.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from airflow.sdk import XComArg

    from chainflow.types import Chain

log = logging.getLogger(__name__)

_T = TypeVar("_T")

# Heights drive the plan, not dates: Airflow only wants to know from when on it may run.
_START = datetime(2025, 1, 1, tzinfo=UTC)
_INGEST = "ingest_"
# What cron can hold evenly, in minutes: divisors of the hour, then of the day.
_INTERVALS = (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720, 1440)
_RETRIES = {
    "retries": 3,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": BACKOFF,
    "max_retry_delay": timedelta(minutes=10),
}
# An hour of five-minute runs, each with its retries: a dead chain stops costing slots and alerts.
_FAILED_RUNS = 12
_SHORT = timedelta(minutes=5)
_EVEN_SKIPPED = {"trigger_rule": "none_failed"}
# How a mapped task is called in the UI.
_RANGE = "[{{ task.op_kwargs['start'] }}, {{ task.op_kwargs['stop'] }})"
# A planned task is meant to take five minutes; this is a hung node.
_LONG = timedelta(hours=1)
_DAY = timedelta(days=1)
# An audit reads many rows: so many chains at a time leave the store to those who merge.
_AUDITS = 2


def dags(file: Path) -> dict[str, DAG]:
    """The DAGs of the registry that belongs to a DAG file, by id; in a task, the task's own alone.

    Never raises for what a registry holds: a bad entry costs its own DAG, and is among the problems
    that `require_sound` raises.
    """
    return _built(file)[0]


def require_sound(file: Path) -> None:
    """Make sure that every entry of the registry became a DAG.

    Raises:
        RegistryError: With every problem.
    """
    problems = _built(file)[1]
    if problems:
        raise RegistryError(problems)


def cron(chain: Chain) -> str:
    """When the chain's DAG runs: at most `schedule_minutes` apart, at a minute of the chain's own.

    An interval that cron cannot hold evenly becomes the next shorter one that it can.
    """
    every = max(minutes for minutes in _INTERVALS if minutes <= max(chain.schedule_minutes, 1))
    # hash() differs between processes, and the DAG must not.
    digest = hashlib.sha256(chain.name.encode()).digest()
    hour, minute = divmod(int.from_bytes(digest[:8], "big") % every, 60)
    if every < 60:
        return f"{_steps(minute, 59, every)} * * * *"
    return f"{minute} {_steps(hour, 23, every // 60)} * * *"


def ingest_dag(chain: Chain) -> DAG:
    """The DAG that follows one chain: observe, plan, ingest each planned range, report."""
    with DAG(
        dag_id=f"{_INGEST}{chain.name}",
        description=chain.description or f"{chain.name}: from its nodes into the store",
        schedule=cron(chain),
        start_date=_START,
        catchup=False,
        max_active_runs=1,
        max_consecutive_failed_dag_runs=_FAILED_RUNS,
        default_args={"owner": chain.owner, "execution_timeout": _SHORT, **_RETRIES},
        tags={"chainflow", f"chain:{chain.name}", f"env:{chain.env}", chain.family, *chain.tags},
        doc_md=_doc(chain),
        auto_register=False,
    ) as dag:
        observed = _step(tasks.observe, of=chain, pool=chain.pool)
        # It asks the node whether what is merged is still the chain's.
        planned = _step(tasks.plan, observed, of=chain, pool=chain.pool)
        # Each planned batch is the arguments of one task.
        ingested = PythonOperator.partial(
            **_called(tasks.ingest),
            pool=chain.pool,
            max_active_tis_per_dag=chain.max_tasks_per_run,
            execution_timeout=_LONG,
            map_index_template=_RANGE,
            outlets=[tasks.asset(chain.name, dataset) for dataset in chain.datasets],
        ).expand(op_kwargs=planned)
        # Nothing to ingest skips the mapped task, and is still worth a line.
        _step(tasks.report, observed, planned, ingested.output, of=chain, **_EVEN_SKIPPED)
    # After the tasks: each would carry a copy, which a parse of many chains feels.
    dag.params.update(_params(chain.datasets))
    return dag


def heights_dag(file: Path) -> DAG:
    """The DAG that asks the nodes of a DAG file's registry for their heights once a minute."""
    with DAG(
        dag_id="heights",
        description="Heights of all chains, for the lag table",
        schedule="* * * * *",
        start_date=_START,
        catchup=False,
        max_active_runs=1,
        default_args={"owner": "chainflow", "retries": 0, "execution_timeout": _SHORT},
        tags={"chainflow"},
        doc_md="Asks the nodes of all live chains for their heights, all at once. A node that does"
        " not answer is recorded as such and delays nobody.",
        auto_register=False,
    ) as dag:
        _step(tasks.heights, of=file)
    return dag


def housekeeping_dag(file: Path) -> DAG:
    """The DAG that drops what has expired and makes indexes that are new, once a day."""
    with DAG(
        dag_id="housekeeping",
        description="Drops what has expired, makes indexes that the registry newly asks for",
        schedule="17 3 * * *",
        start_date=_START,
        catchup=False,
        max_active_runs=1,
        default_args={"owner": "chainflow", "execution_timeout": _LONG, **_RETRIES},
        tags={"chainflow"},
        doc_md="A batch whose checks failed leaves its staging tables for a week, to be looked at."
        " Indexes are made beside whoever reads and merges, which on large tables takes hours.",
        auto_register=False,
    ) as dag:
        _step(tasks.housekeeping)
        _step(tasks.index, of=file, execution_timeout=_DAY)
    return dag


def audit_dag(file: Path) -> DAG:
    """The DAG that looks again at what is merged: of each chain, an hour's share of its days."""
    with DAG(
        dag_id="audit",
        description="Looks again at a share of every chain's merged heights",
        schedule="41 * * * *",
        start_date=_START,
        catchup=False,
        max_active_runs=1,
        default_args={"owner": "chainflow", "execution_timeout": _LONG, **_RETRIES},
        tags={"chainflow"},
        doc_md="Recounts, links and hashes again a share of each live chain's merged rows, so that"
        " all are looked at within the `audit_days` of its entry. What fails is told in the task's"
        " error, by table and range, and left as it is: `chainflow audit CHAIN --repair` reads it"
        " again. Table `chainflow.audit_log` has what was looked at and what failed.",
        auto_register=False,
    ) as dag:
        names = _step(tasks.audited, of=file)
        PythonOperator.partial(
            **_called(tasks.audit, file),
            max_active_tis_per_dag=_AUDITS,
            map_index_template="{{ task.op_kwargs['chain'] }}",
        ).expand(op_kwargs=names)
    return dag


def _step(
    function: Callable[..., Any],
    *arguments: XComArg,
    of: object = None,
    **options: Any,  # noqa: ANN401 - Airflow's
) -> XComArg:
    """What a function returns, as a task; an argument is what another task returns.

    An operator, not a decorated function: that takes twice the time to parse.
    """
    return PythonOperator(**_called(function, of), op_args=arguments, **options).output


def _called(function: Callable[..., Any], of: object = None) -> dict[str, Any]:
    """A function as a task, with its first argument, which each process takes from its own parse.

    Among the operator's arguments, Airflow would look into it at each parse, and render it as
    templates before each call.
    """
    called = function if of is None else partial(function, of)
    return {"task_id": function.__name__, "python_callable": called}


def _built(file: Path) -> tuple[dict[str, DAG], list[str]]:
    asked = get_parsing_context().dag_id
    builders: dict[str, Callable[[], DAG]] = {
        "audit": partial(audit_dag, file),
        "heights": partial(heights_dag, file),
        "housekeeping": partial(housekeeping_dag, file),
    }
    problems: list[str] = []
    if asked in builders:
        builders = {asked: builders[asked]}
    elif asked is not None:
        chain = _guarded("registry", partial(_asked, asked, file), problems)
        builders = _followed([chain] if chain else [])
    elif found := _guarded("registry", partial(_found, file), problems):
        problems += found.problems
        builders |= _followed(found.chains.values())
    built = {dag_id: _guarded(dag_id, build, problems) for dag_id, build in builders.items()}
    return {dag_id: dag for dag_id, dag in built.items() if dag is not None}, problems


def _asked(dag_id: str, file: Path) -> Chain | None:
    return registry.load_one(dag_id.removeprefix(_INGEST), *registry.find(file))


def _found(file: Path) -> registry.Registry:
    return registry.load_tolerant(*registry.find(file))


def _guarded(what: str, step: Callable[[], _T], problems: list[str]) -> _T | None:
    """What the step makes; None where it fails, which is a problem and costs no other DAG."""
    try:
        return step()
    except Exception as error:  # whatever it is, it must not take the other DAGs down
        log.exception("no DAG from=%s", what)
        problems.append(f"{what}: {error}")
        return None


def _followed(chains: Iterable[Chain]) -> dict[str, Callable[[], DAG]]:
    live = (chain for chain in chains if chain.status == "live")
    return {f"{_INGEST}{chain.name}": partial(ingest_dag, chain) for chain in live}


def _steps(first: int, last: int, step: int) -> str:
    """A field of cron: every step-th value from the first on."""
    return "*" if step == 1 else f"{first}-{last}/{step}"


def _params(datasets: tuple[str, ...]) -> dict[str, Param]:
    """What a person may ask of one run; left alone, the run takes what is next."""
    return {
        "from": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            description="Lowest height to ingest. Empty: the chain's start.",
        ),
        "to": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            description="Height to stop before. Empty: up to the target.",
        ),
        "datasets": Param(
            [],
            type="array",
            items={"type": "string", "enum": list(datasets)},
            examples=list(datasets),
            description="Datasets to ingest. Empty: all of the chain.",
        ),
        "re_ingest": Param(
            False,
            type="boolean",
            description="Also replace what is merged already; needs from and to.",
        ),
    }


def _doc(chain: Chain) -> str:
    """The chain's facts, for the DAG's page."""
    target = (
        f"the block the node calls `{chain.finality_tag}`"
        if chain.finality_tag
        else f"the head less {chain.confirmations} blocks"
    )
    facts = {
        "family": chain.family,
        "chain id": chain.chain_id,
        "environment": chain.env,
        "from height": chain.start,
        "up to": target,
        "blocks per minute": chain.blocks_per_minute,
        "datasets": ", ".join(chain.datasets),
        "endpoints": ", ".join(_shown(word) for word in chain.endpoints),
        "schedule": f"`{cron(chain)}`, at most {chain.max_tasks_per_run} tasks a run",
        "alert": f"when more than {chain.lag_alert_minutes:g} minutes behind",
    }
    rows = "\n".join(f"| {fact} | {value} |" for fact, value in facts.items())
    return (
        f"{chain.description or f'Follows {chain.name}.'}\n\n| | |\n|---|---|\n{rows}\n\n"
        "A run takes what is missing up to the target, oldest first. To ingest one range, trigger"
        " the DAG with `from` and `to`; `re_ingest` also replaces what is merged already."
    )


def _shown(endpoint: str) -> str:
    """A connection or variable by its name, a URL by its host."""
    return urlsplit(endpoint).hostname or endpoint if "://" in endpoint else endpoint
