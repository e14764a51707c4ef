"""Whoever waits for a chain's assets is told what a real node's chain has replaced."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset

from chainflow import line, tasks
from chainflow.errors import NodeUnavailable
from chainflow.testing import anvil
from chainflow.types import BlockRange, Chain

BOTH = ("blocks", "logs")


@pytest.fixture
def node() -> Iterator[anvil.Anvil]:
    """An anvil of thirty blocks."""
    if anvil.find() is None:
        pytest.skip("node and npm are not installed here")
    with anvil.start("--no-mining") as running:
        running.mine(30)
        yield running


@pytest.fixture
def chain(node: anvil.Anvil, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Chain:
    """Its entry, of which nothing is final; the blocks are merged."""
    monkeypatch.setenv("CHAINFLOW_DATABASE_URL", database_url)
    entry = Chain("dev", "evm", 31337, 60.0, endpoints=(node.url,), datasets=BOTH)
    assert told(entry, "first") == [(0, 31, None)]
    return entry


class _Events(dict[str, SimpleNamespace]):
    """Airflow's outlet_events, as far as a task uses them."""

    def __getitem__(self, asset: Asset) -> SimpleNamespace:  # type: ignore[override]
        return self.setdefault(asset.name, SimpleNamespace(extra={}))


def planned(chain: Chain, run_id: str, **params: object) -> list[tasks.Planned]:
    """What a run plans."""
    given = {"from": None, "to": None, "datasets": [], "re_ingest": False, **params}
    return tasks.plan(chain, tasks.observe(chain), params=given, run_id=run_id)


def ingested(batch: tasks.Planned, run_id: str, **params: object) -> dict[str, Any]:
    """The event of each asset of a batch."""
    events = _Events()
    ti = SimpleNamespace(task=SimpleNamespace(outlets=[]))
    given = {"re_ingest": False, **params}
    tasks.ingest(**batch, params=given, run_id=run_id, ti=ti, outlet_events=events)
    return {asset.name: events[asset].extra for asset in ti.task.outlets}


def told(chain: Chain, run_id: str, **params: object) -> list[tuple[int, int, int | None]]:
    """What the events of a run tell: start, stop and from where blocks were replaced."""
    found = []
    for batch in planned(chain, run_id, **params):
        events = ingested(batch, run_id, **params).values()
        assert len({event.get("replaced_from") for event in events}) == 1
        event = next(iter(events))
        found.append((event["start"], event["stop"], event.get("replaced_from")))
    return found


def test_replaced_heights_are_told_once(chain: Chain, node: anvil.Anvil) -> None:
    """By the run that merges others in their place; not by the next one."""
    node.reorg(6)
    assert told(chain, "second") == [(25, 31, 25)]
    node.mine(2)
    assert told(chain, "third") == [(31, 33, None)]


def test_replaced_heights_are_told_though_the_plan_is_made_twice(
    chain: Chain, node: anvil.Anvil
) -> None:
    """A worker that dies after it has forgotten them leaves no plan."""
    node.reorg(6)
    assert planned(chain, "second") == planned(chain, "second")
    assert told(chain, "second") == [(25, 31, 25)]


def test_heights_replaced_between_plan_and_ingest_are_told_by_its_second_try(
    chain: Chain, node: anvil.Anvil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first try has met and forgotten them, and then lost its node."""
    node.mine(4)
    [batch] = planned(chain, "second")
    node.reorg(9)
    once, tries = line._once, 0

    async def lose_the_node(*given: Any) -> None:  # noqa: ANN401 - passed on
        nonlocal tries
        tries += 1
        if tries > 1:
            raise NodeUnavailable("gone")
        await once(*given)

    monkeypatch.setattr(line, "_once", lose_the_node)
    with pytest.raises(NodeUnavailable):
        ingested(batch, "second")
    monkeypatch.setattr(line, "_once", once)
    assert {event["replaced_from"] for event in ingested(batch, "second").values()} == {26}


def test_heights_replaced_in_the_middle_of_an_ingest_are_told(
    chain: Chain, node: anvil.Anvil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some slices merged, the rest read on another branch; a try more tells it as well."""
    node.mine(12)
    # Four heights a second: most are read after the reorganisation.
    [batch] = planned(replace(chain, max_requests_per_second=8.0), "second")
    monkeypatch.setattr(line, "SLICE_BYTES", 1)
    merge, merged = line._Line.merge, list[BlockRange]()

    async def reorganise(self: Any, slice_: Any) -> None:  # noqa: ANN401 - passed on
        await merge(self, slice_)
        merged.append(slice_.blocks)
        if len(merged) == 5:
            node.reorg(11)

    monkeypatch.setattr(line._Line, "merge", reorganise)
    events = ingested(batch, "second")
    assert {event["replaced_from"] for event in events.values()} == {32}
    assert ingested(batch, "second")["dev.blocks"]["replaced_from"] == 32
    assert told(chain, "third") == []


def test_replaced_heights_are_told_by_a_backfill_of_others(chain: Chain, node: anvil.Anvil) -> None:
    """A run of a person's own range tells it; of a dataset that it leaves out, the next does."""
    node.reorg(7)
    asked = {"from": 10, "to": 20, "datasets": ["blocks"], "re_ingest": True}
    assert told(chain, "by hand", **asked) == [(10, 20, 24)]
    [batch] = planned(chain, "third")
    events = ingested(batch, "third")
    assert "replaced_from" not in events["dev.blocks"]
    assert events["dev.logs"]["replaced_from"] == 24
