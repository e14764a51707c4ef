"""What the tasks do, called as plain functions over a real store and a simulated node."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from airflow import sdk
from airflow.sdk import Asset
from sqlalchemy.engine import Engine

from chainflow import tasks
from chainflow._airflow import (
    AirflowFailException,
    AirflowNotFoundException,
    DagRunTriggerException,
)
from chainflow.errors import NodeUnavailable, UnknownConnection
from chainflow.types import Chain
from tests import small
from tests.dags import nodes

BOTH = ("blocks", "logs")


@pytest.fixture
def chain(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chain]:
    """Ethereum's first blocks at a node of ours, and the store of this test."""
    monkeypatch.setenv("CHAINFLOW_DATABASE_URL", database_url)
    with nodes.frozen("ethereum", blocks=40) as running:
        first = running.simulations["ethereum"].first
        yield Chain(
            "ethereum",
            "evm",
            1,
            5.0,
            start=first,
            finality_tag="finalized",
            endpoints=(f"{running.url}/ethereum",),
            datasets=BOTH,
            task_minutes=2.0,
        )


class _Told(dict[str, SimpleNamespace]):
    """Airflow's outlet_events, as far as a task uses them."""

    def __getitem__(self, asset: Asset) -> SimpleNamespace:  # type: ignore[override]
        return self.setdefault(asset.name, SimpleNamespace(extra={}))


def _plan(chain: Chain, **params: object) -> list[tuple[int, int, list[str]]]:
    """The planned ranges, counted from the chain's start."""
    plain = tasks.snapshot(chain)
    given = {"from": None, "to": None, "datasets": [], "re_ingest": False, **params}
    planned = tasks.plan(chain, tasks.observe(chain), params=given)
    assert all(batch["chain"] == plain for batch in planned)
    return [(b["start"] - chain.start, b["stop"] - chain.start, b["datasets"]) for b in planned]


def _ingest(
    chain: Chain, low: int, stop: int, *datasets: str, re_ingest: bool = False
) -> tuple[Any, Any]:
    """Ingest a range counted from the chain's start; the totals, and what Airflow was told."""
    batch = tasks.Planned(
        chain=tasks.snapshot(chain),
        start=chain.start + low,
        stop=chain.start + stop,
        datasets=list(datasets),
    )
    told = _Told()
    ti = SimpleNamespace(task=SimpleNamespace(outlets=[]))
    params = {"re_ingest": re_ingest}
    totals = tasks.ingest(**batch, params=params, run_id="by hand", ti=ti, outlet_events=told)
    return totals, {asset.name: told[asset].extra for asset in ti.task.outlets}


def test_plan_takes_what_is_missing_up_to_the_target(chain: Chain) -> None:
    """Each planned batch carries the entry as it was, and the ranges touch."""
    planned = _plan(chain)
    assert planned == [(0, 10, ["blocks", "logs"]), (10, 20, ["blocks", "logs"]), (20, 30, [*BOTH])]


def test_observe_refuses_an_entry_of_another_chain_for_good(chain: Chain, engine: Engine) -> None:
    """Once rows are merged under its name; so does an ingest that was planned by such an entry."""
    tasks.observe(chain)
    _ingest(chain, 0, 2, *BOTH)
    edited = replace(chain, chain_id=None, family="tron")
    for task in (lambda: tasks.observe(edited), lambda: _ingest(edited, 2, 4, "blocks")):
        with pytest.raises(AirflowFailException, match="another name"):
            task()
    assert small.ask(engine, "SELECT count(*) FROM ethereum.blocks") == [2]


def test_ingest_updates_the_assets_it_merged(chain: Chain, engine: Engine) -> None:
    """An asset's extra holds the range; of a dataset that was not asked for there is no news."""
    totals, told = _ingest(chain, 0, 10, *BOTH)
    assert (totals["blocks"], totals["rows"]["blocks"]) == (10, 10)
    assert told["ethereum.blocks"] == {"start": chain.start, "stop": chain.start + 10, "rows": 10}
    assert told["ethereum.logs"]["rows"] == totals["rows"]["logs"]
    _, told = _ingest(chain, 10, 20, "blocks")
    assert list(told) == ["ethereum.blocks"]
    with engine.connect() as connection:
        runs = connection.execute(sa.text("SELECT DISTINCT run_id FROM chainflow.merge_log"))
        assert [tuple(row) for row in runs] == [("by hand",)]


def test_ingest_that_is_tried_again_takes_what_is_left(chain: Chain, engine: Engine) -> None:
    """No height is fetched and merged twice; the whole range is, where re_ingest asks for that."""
    _ingest(chain, 0, 4, *BOTH)
    totals, told = _ingest(chain, 0, 10, *BOTH)
    assert totals["blocks"] == 6
    assert (told["ethereum.blocks"]["stop"], told["ethereum.blocks"]["rows"]) == (
        chain.start + 10,
        6,
    )
    totals, _ = _ingest(chain, 0, 10, *BOTH)
    assert totals["blocks"] == 0
    totals, _ = _ingest(chain, 0, 10, *BOTH, re_ingest=True)
    assert totals["blocks"] == 10


def test_plan_of_a_backfill_takes_the_range_asked_for(chain: Chain) -> None:
    """Only the missing of it, unless all is asked for again; datasets that have it sit out."""
    low = chain.start
    _ingest(chain, 0, 20, "blocks")
    assert _plan(chain, **{"from": low + 5, "to": low + 15}) == [(5, 15, ["logs"])]
    assert _plan(chain, **{"from": low + 5, "to": low + 15, "datasets": ["blocks"]}) == []
    again = _plan(chain, **{"from": low + 5, "to": low + 15, "re_ingest": True})
    assert again == [(5, 15, ["blocks", "logs"])]


def test_plan_of_a_backfill_may_leave_bounds_out(chain: Chain) -> None:
    """Without from it begins at the chain's start, without to it ends at the target."""
    ends = _plan(chain, datasets=["logs"])
    assert (ends[0][0], ends[-1][1], ends[0][2]) == (0, 30, ["logs"])


@pytest.mark.parametrize(
    "asked",
    [
        {"from": 20, "to": 10},
        {"from": 10, "to": 10},
        {"from": 0, "to": 31},
        {"from": 5, "re_ingest": True},
        {"re_ingest": True},
    ],
)
def test_plan_refuses_a_backfill_that_makes_no_sense(chain: Chain, asked: dict[str, Any]) -> None:
    """The run fails at once and says why."""
    params = {k: v + chain.start if k in {"from", "to"} else v for k, v in asked.items()}
    with pytest.raises(AirflowFailException, match="ethereum: "):
        _plan(chain, **params)


def test_observe_fails_for_good_where_the_node_is_another_chains(chain: Chain) -> None:
    """A permanent error becomes Airflow's no-retry failure, without what lies below it."""
    with pytest.raises(AirflowFailException, match="4711") as caught:
        tasks.observe(replace(chain, chain_id=4711))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_transient_error_stays_one_and_hides_its_cause() -> None:
    """Airflow retries it, and prints no library's text, which might quote a URL."""
    below = OSError("https://node.example/key")
    with pytest.raises(NodeUnavailable) as caught, tasks._as_airflow_errors():
        raise NodeUnavailable("ethereum: node.example does not answer") from below
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_store_that_was_never_migrated_is_said_to_be(
    postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task upgrades nothing; it tells the command that does."""
    monkeypatch.setenv("CHAINFLOW_DATABASE_URL", postgres)
    with pytest.raises(AirflowFailException, match="chainflow db upgrade"):
        tasks.housekeeping()


def test_connection_that_airflow_lacks_is_ours_to_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The core skips such an endpoint, as it does one whose variable is not set."""

    def missing(conn_id: str) -> object:
        raise AirflowNotFoundException(conn_id)

    monkeypatch.setattr(sdk.Connection, "get", missing)
    with pytest.raises(UnknownConnection, match="'nobody_made'"):
        tasks._connection("nobody_made")


def test_audit_looks_at_its_share_and_names_what_fails(
    chain: Chain, engine: Engine, registry_beside: Callable[[str], Path]
) -> None:
    """Sound rows are counted; damage fails the task for good, with ranges and what to do."""
    entry = {
        "family": "evm",
        "chain_id": 1,
        "blocks_per_minute": 5.0,
        "start": chain.start,
        "endpoints": list(chain.endpoints),
        "datasets": list(BOTH),
    }
    file = registry_beside(json.dumps({"chains": {"ethereum": entry}}))
    _ingest(chain, 0, 20, *BOTH)
    assert tasks.audit(file, "ethereum", run_id="first") == {"heights": 20}
    assert tasks.audit(file, "ethereum", run_id="again") == {"heights": 0}
    small.do(engine, "DELETE FROM chainflow.audit")
    low = chain.start + 3
    small.do(engine, f"DELETE FROM ethereum.blocks WHERE block_number IN ({low}, {low + 1})")
    with pytest.raises(
        AirflowFailException, match=rf"\[{low}, {low + 2}\).*audit ethereum --repair"
    ):
        tasks.audit(file, "ethereum", run_id="damaged")
    logged = "SELECT run_id, row_count > 0 FROM chainflow.audit_log ORDER BY id"
    assert small.ask(engine, logged) == [("first", False), ("damaged", True)]
    with pytest.raises(AirflowFailException, match="base: its entry left the registry"):
        tasks.audit(file, "base")


def test_audit_asks_the_node_for_what_no_hash_covers(
    chain: Chain, engine: Engine, registry_beside: Callable[[str], Path]
) -> None:
    """As much of its share as the entry says: a changed sender is found by nothing else."""
    entry = {
        "family": "evm",
        "chain_id": 1,
        "blocks_per_minute": 5.0,
        "start": chain.start,
        "endpoints": list(chain.endpoints),
        "datasets": ["blocks", "transactions"],
    }
    _ingest(chain, 0, 20, "blocks", "transactions")
    # A creation's sender would show in the address of what it created.
    change = "SET from_address = to_address WHERE to_address IS NOT NULL"
    small.do(engine, f"UPDATE ethereum.transactions {change}")
    file = registry_beside(json.dumps({"chains": {"ethereum": entry}}))
    assert tasks.audit(file, "ethereum") == {"heights": 20}
    small.do(engine, "DELETE FROM chainflow.audit")
    file = registry_beside(
        json.dumps({"chains": {"ethereum": {**entry, "audit_node_percent": 100}}})
    )
    with pytest.raises(AirflowFailException, match=r"ethereum\.transactions: as_the_node"):
        tasks.audit(file, "ethereum")


def test_index_makes_what_an_entry_newly_asks_for(
    chain: Chain, engine: Engine, registry_beside: Callable[[str], Path]
) -> None:
    """Tables that have rows get their indexes once; a chain that asks for none gets none."""
    _ingest(chain, 0, 10, *BOTH)
    entry = "{family: evm, chain_id: 1, blocks_per_minute: 5, endpoints: ['conn:x']"
    file = registry_beside(
        f"chains:\n  base: {entry}}}\n  ethereum: {entry}, indexes: [hash], datasets: [blocks]}}\n"
    )
    assert tasks.index(file) == ["ethereum.blocks_by_block_hash"]
    assert tasks.index(file) == []


def test_audited_are_the_live_chains_that_want_it(registry_beside: Callable[[str], Path]) -> None:
    """A chain that is retired, or never to be looked at again, is none of them."""
    entry = "family: evm, chain_id: 1, blocks_per_minute: 5, endpoints: ['conn:x']"
    text = f"chains:\n  one: {{{entry}}}\n  never: {{{entry}, audit_days: 0}}\n"
    file = registry_beside(f"{text}  gone: {{status: retired}}\n")
    assert tasks.audited(file) == [{"chain": "one"}]


def test_report_adds_up_the_run(chain: Chain, caplog: pytest.LogCaptureFixture) -> None:
    """It returns numbers alone, and a run without work says so."""
    parts = [
        tasks.Ingested(blocks=10, rows={"blocks": 10, "logs": 3}, bytes=100, seconds=1.5),
        tasks.Ingested(blocks=5, rows={"blocks": 5}, bytes=50, seconds=0.5),
    ]
    planned: list[Any] = [{}, {}]
    nothing_final = {"head": chain.start, "finalized": None}
    assert tasks.report(chain, nothing_final, planned, parts) == {
        "blocks": 15,
        "rows": {"blocks": 15, "logs": 3},
        "bytes": 150,
        "seconds": 2.0,
    }
    with caplog.at_level(logging.INFO):
        assert tasks.report(chain, nothing_final, [], None)["blocks"] == 0
    assert "nothing was missing" in caplog.text


def test_report_has_a_chain_that_is_behind_run_again_at_once(chain: Chain) -> None:
    """Until what the run saw is merged; a run of a person's own range is the last of its kind."""
    chain = replace(chain, max_tasks_per_run=1)
    observed = tasks.observe(chain)
    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(dag_id="ingest_ethereum", xcom_push=lambda **given: pushed.update(given))
    totals, _ = _ingest(chain, 0, 20, *BOTH)
    with pytest.raises(DagRunTriggerException) as raised:
        tasks.report(chain, observed, [], [totals], ti=ti)
    assert raised.value.trigger_dag_id == "ingest_ethereum"
    assert raised.value.dag_run_id.startswith("behind__")
    assert pushed == {"key": "return_value", "value": totals}
    asked = {"from": chain.start, "to": chain.start + 20, "datasets": [], "re_ingest": False}
    assert tasks.report(chain, observed, [], [totals], params=asked) == totals
    assert tasks.report(chain, observed, [], None)["blocks"] == 0
    totals, _ = _ingest(chain, 20, 30, *BOTH)
    assert tasks.report(chain, observed, [], [totals]) == totals
