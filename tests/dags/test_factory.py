"""Chain -> DAG, without a scheduler."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from croniter import croniter  # type: ignore[import-untyped] # comes with Airflow

from chainflow import factory, registry, tasks
from chainflow.errors import RegistryError
from chainflow.types import Chain

SHIPPED = Path(__file__).parents[2] / "chains.yaml"
CHAIN = Chain(
    "ethereum",
    "evm",
    1,
    5.0,
    finality_tag="finalized",
    endpoints=("conn:ethereum_rpc", "env:SPARE", "https://rpc.example/open"),
    datasets=("blocks", "logs"),
    pool="provider",
    tags=("team",),
    description="The {{ first }} one.",
)
ALWAYS = {"audit", "heights", "housekeeping"}
GOOD = "  {}: {{family: evm, chain_id: 1, blocks_per_minute: 5, endpoints: ['conn:x']}}\n"


def _starts(cron: str, hours: int) -> list[datetime]:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    times = croniter(cron, begin - timedelta(seconds=1), ret_type=datetime)
    found = []
    while (at := times.get_next(datetime)) < begin + timedelta(hours=hours):
        found.append(at)
    return found


@pytest.mark.parametrize(
    ("asked", "minutes"),
    [(1, 1), (5, 5), (7, 6), (30, 30), (45, 30), (60, 60), (90, 60), (300, 240), (1440, 1440)],
)
def test_cron_runs_evenly_and_never_less_often_than_asked(asked: int, minutes: int) -> None:
    """Whatever the interval, runs are equally far apart, across hours and days, and not further."""
    starts = _starts(factory.cron(replace(CHAIN, schedule_minutes=asked)), 24 * 4)
    assert {b - a for a, b in pairwise(starts)} == {timedelta(minutes=minutes)}


def test_cron_is_the_same_in_every_process() -> None:
    """A chain's minute comes from its name alone."""
    assert factory.cron(CHAIN) == "0-59/5 * * * *"
    assert factory.cron(replace(CHAIN, name="base", schedule_minutes=60)) == "59 * * * *"


def test_cron_spreads_chains_over_the_interval() -> None:
    """Of a hundred hourly chains no more than a few start in the same minute."""
    names = [f"chain{n}" for n in range(100)]
    crons = Counter(factory.cron(replace(CHAIN, name=n, schedule_minutes=60)) for n in names)
    assert len(crons) > 40
    assert max(crons.values()) < 8


def test_cron_spreads_the_shipped_chains() -> None:
    """The shipped registry starts at most half of its chains in one minute."""
    chains = registry.load(SHIPPED).chains.values()
    crons = Counter(factory.cron(chain) for chain in chains)
    assert max(crons.values()) <= len(chains) / 2


def test_ingest_dag_carries_the_chains_words() -> None:
    """Owner, tags, pool, limits and params come from the registry."""
    dag: Any = factory.ingest_dag(CHAIN)
    assert dag.dag_id == "ingest_ethereum"
    assert (dag.max_active_runs, dag.catchup) == (1, False)
    assert dag.max_consecutive_failed_dag_runs > 0
    assert {"chainflow", "chain:ethereum", "env:prod", "evm", "team"} == set(dag.tags)
    assert {task.owner for task in dag.tasks} == {"data-platform"}
    pools = {task.task_id: task.pool for task in dag.tasks}
    assert pools == {
        "observe": "provider",
        "plan": "provider",
        "ingest": "provider",
        "report": "default_pool",
    }
    assert all(task.execution_timeout for task in dag.tasks)
    assert all(task.retries and task.retry_exponential_backoff for task in dag.tasks)
    assert dag.params.validate() == {"from": None, "to": None, "datasets": [], "re_ingest": False}
    outlets = dag.get_task("ingest").partial_kwargs["outlets"]
    assert [asset.uri for asset in outlets] == [
        "chainflow://ethereum/blocks",
        "chainflow://ethereum/logs",
    ]


def test_ingest_dag_is_a_straight_line() -> None:
    """observe, plan, ingest, report; the report also runs where nothing was to ingest."""
    dag: Any = factory.ingest_dag(CHAIN)
    line = {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks}
    assert line == {
        "observe": ["plan", "report"],
        "plan": ["ingest", "report"],
        "ingest": ["report"],
        "report": [],
    }
    assert dag.get_task("report").trigger_rule == "none_failed"


def test_audit_dag_maps_one_task_over_the_chains_that_want_one(
    registry_beside: Callable[[str], Path],
) -> None:
    """Which they are is asked when it runs: the DAG is the same whatever the registry holds."""
    file = registry_beside("")
    dag: Any = factory.audit_dag(file)
    line = {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks}
    assert line == {"audited": ["audit"], "audit": []}
    assert dag.get_task("audit").partial_kwargs["max_active_tis_per_dag"] == 2
    assert dag.schedule == "41 * * * *"


def test_doc_tells_the_chains_facts_and_no_path_of_an_endpoint() -> None:
    """The DAG's page names endpoints by connection, variable or host."""
    dag: Any = factory.ingest_dag(CHAIN)
    assert "| chain id | 1 |" in dag.doc_md
    assert "conn:ethereum_rpc, env:SPARE, rpc.example |" in dag.doc_md
    assert "`finalized`" in dag.doc_md
    depth: Any = factory.ingest_dag(replace(CHAIN, finality_tag=None, confirmations=64))
    assert "head less 64 blocks" in depth.doc_md


def test_snapshot_restores_the_chain_without_its_texts() -> None:
    """What travels is JSON and holds nothing that Airflow would take for a template."""
    plain = tasks.snapshot(CHAIN)
    assert "{{" not in str(plain)
    assert tasks.restored(plain) == replace(CHAIN, description="", tags=())


@pytest.mark.parametrize(
    ("params", "valid"),
    [
        ({"from": 0, "to": 10}, True),
        ({"datasets": ["logs"]}, True),
        ({"from": -1}, False),
        ({"from": "10"}, False),
        ({"from": 1.5}, False),
        ({"datasets": ["traces"]}, False),
        ({"re_ingest": "yes"}, False),
    ],
)
def test_params_refuse_what_is_no_height_or_dataset(params: dict[str, Any], valid: bool) -> None:
    """A manual run is checked before it starts."""
    given = factory.ingest_dag(CHAIN).params
    if valid:
        given.update(params)
        given.validate()
    else:
        with pytest.raises(Exception, match="Invalid input"):
            given.update(params)


def test_dags_leave_out_a_bad_entry_alone(registry_beside: Callable[[str], Path]) -> None:
    """One entry with an error costs its own DAG; the error is raised elsewhere."""
    bad = "  broken: {family: evm, chain_id: 1, blocks_per_minute: -1, endpoints: ['conn:x']}\n"
    file = registry_beside("chains:\n" + GOOD.format("one") + bad + GOOD.format("two"))
    assert set(factory.dags(file)) == {"ingest_one", "ingest_two", *ALWAYS}
    with pytest.raises(RegistryError, match=r"chains.yaml:3: broken.blocks_per_minute"):
        factory.require_sound(file)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "chains: [",
        "chains:\n\tone: {}",
        "- 1",
        "chains: {}",
        "defaults: {pool: 1}",
        "chains: " + "[" * 100_000,
        "chains: {one: {chain_id: !!int ''}}",
    ],
)
def test_dags_never_raise(registry_beside: Callable[[str], Path], text: str) -> None:
    """A file that is no registry leaves the DAGs that need none, and is told where it belongs."""
    file = registry_beside(text)
    assert set(factory.dags(file)) == ALWAYS
    with pytest.raises(RegistryError):
        factory.require_sound(file)


def test_dags_never_raise_without_a_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry that is not there is a problem to be told, not a lost DAG file."""
    monkeypatch.setenv("CHAINFLOW_REGISTRY", str(tmp_path / "none.yaml"))
    assert set(factory.dags(tmp_path / "generate.py")) == ALWAYS
    with pytest.raises(RegistryError, match=r"none\.yaml"):
        factory.require_sound(tmp_path / "generate.py")


@pytest.mark.parametrize("asked", [None, "ingest_one"])
def test_dags_survive_a_registry_that_fails_to_load(
    registry_beside: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, asked: str | None
) -> None:
    """Reading has the same guard as building: what no check foresaw is a problem to be told."""
    file = registry_beside("chains:\n" + GOOD.format("one"))

    def fail(*_: object) -> None:
        raise IndexError("not like this")

    monkeypatch.setattr(registry, "load_tolerant", fail)
    monkeypatch.setattr(registry, "load_one", fail)
    if asked:
        monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", asked)
    assert set(factory.dags(file)) == (set() if asked else ALWAYS)
    with pytest.raises(RegistryError, match="registry: not like this"):
        factory.require_sound(file)


def test_dags_survive_an_entry_that_airflow_refuses(
    registry_beside: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What no check foresaw costs one DAG too, loudly."""
    file = registry_beside("chains:\n" + GOOD.format("one") + GOOD.format("two"))
    build = factory.ingest_dag

    def refuse_one(chain: Chain) -> object:
        if chain.name == "one":
            raise ValueError("not like this")
        return build(chain)

    monkeypatch.setattr(factory, "ingest_dag", refuse_one)
    with caplog.at_level(logging.ERROR):
        assert set(factory.dags(file)) == {"ingest_two", *ALWAYS}
    assert "ingest_one" in caplog.text
    with pytest.raises(RegistryError, match="ingest_one: not like this"):
        factory.require_sound(file)


def test_dags_have_none_for_a_retired_chain(registry_beside: Callable[[str], Path]) -> None:
    """A retired chain keeps its heights and gets no DAG."""
    file = registry_beside("chains:\n" + GOOD.format("one") + "  gone: {status: retired}\n")
    assert "ingest_gone" not in factory.dags(file)
    factory.require_sound(file)


@pytest.mark.parametrize("asked", ["ingest_two", *sorted(ALWAYS)])
def test_dags_in_a_task_are_the_tasks_own(
    registry_beside: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    """A task's process builds the one DAG it runs."""
    file = registry_beside("chains:\n" + GOOD.format("one") + GOOD.format("two"))
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", asked)
    assert set(factory.dags(file)) == {asked}


@pytest.mark.parametrize("asked", ["ingest_gone", "ingest_none", "ingest_bad", "else"])
def test_dags_in_a_task_are_none_where_its_chain_has_none(
    registry_beside: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    """A chain that was retired or broken since: Airflow tells the task that its DAG is gone."""
    gone = "  gone: {status: retired}\n  bad: {family: none}\n"
    file = registry_beside("chains:\n" + GOOD.format("one") + gone)
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", asked)
    assert factory.dags(file) == {}
