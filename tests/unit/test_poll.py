"""Asking all nodes at once, and keeping what each says as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from sqlalchemy.engine import Engine

from chainflow import clients, heights, lag, poll
from chainflow.endpoints import Endpoint
from chainflow.errors import InputError, NodeUnavailable, StoreUnavailable
from chainflow.types import Chain, Heights
from tests import small

Answer = Callable[[], Awaitable[Heights]]


def nobody(conn_id: str) -> str:
    """No connection is asked for."""
    raise AssertionError(conn_id)


@dataclass
class Asked:
    """A client that says its heights as it is told to."""

    heights: Answer


def chain(name: str) -> Chain:
    """A live chain with an endpoint."""
    return replace(small.CHAIN, name=name, endpoints=("http://127.0.0.1:9",))


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Answer]:
    """What the node of each chain says; the clients are made of it."""
    said: dict[str, Answer] = {}

    @asynccontextmanager
    async def connect(chain: Chain, endpoints: Sequence[Endpoint]) -> AsyncIterator[Asked]:
        assert endpoints
        yield Asked(said[chain.name])

    monkeypatch.setattr(clients, "connect", connect)
    return said


def saying(seen: Heights | Exception) -> Answer:
    """A node that answers so at once."""

    async def answer() -> Heights:
        if isinstance(seen, Exception):
            raise seen
        return seen

    return answer


def test_an_answer_is_kept_while_another_node_is_silent(
    engine: Engine, answers: dict[str, Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dead node gives up only once the living one's heights are in the store."""
    written: list[str] = []
    changed: list[Callable[[], object]] = []
    write = heights.observe_many

    def observe_many(engine: Engine, said: Mapping[str, Heights | str]) -> None:
        write(engine, said)
        written.extend(said)
        changed[0]()

    async def silent() -> Heights:
        loop, kept = asyncio.get_running_loop(), asyncio.Event()
        changed.append(lambda: loop.call_soon_threadsafe(kept.set))
        await kept.wait()
        assert small.ask(engine, "SELECT chain, head FROM chainflow.height") == [("living", 9)]
        raise NodeUnavailable("gone")

    async def late() -> Heights:
        await asyncio.sleep(0)  # the silent one is asked first
        return Heights(9, 8)

    monkeypatch.setattr(heights, "observe_many", observe_many)
    answers |= {"dead": silent, "living": late}
    found = poll.observe_all(engine, [chain("dead"), chain("living")], nobody)
    assert found == {"dead": "gone", "living": Heights(9, 8)}
    assert written == ["living", "dead"]


def test_answers_of_many_nodes_are_all_kept(engine: Engine, answers: dict[str, Answer]) -> None:
    """Each chain's row has what its own node said, heights or the reason there are none."""
    names = [f"chain{n:03}" for n in range(200)]
    for n, name in enumerate(names):
        answers[name] = saying(NodeUnavailable(f"no {n}") if n % 7 == 0 else Heights(n, n - 1))
    poll.observe_all(engine, map(chain, names), nobody)
    rows = small.ask(engine, "SELECT chain, head, error FROM chainflow.height ORDER BY chain")
    assert rows == [
        (name, None if n % 7 == 0 else n, f"no {n}" if n % 7 == 0 else None)
        for n, name in enumerate(names)
    ]
    assert small.ask(engine, "SELECT count(*) FROM chainflow.height_sample") == [171]


def test_a_retired_chain_shows_its_last_heights_and_is_not_asked(
    engine: Engine, answers: dict[str, Answer]
) -> None:
    """What was seen while it was live stays; one that was never seen has none."""
    answers["gone"] = saying(Heights(100, 90))
    poll.observe_all(engine, [chain("gone")], nobody)
    answers.clear()
    retired = [replace(chain(name), status="retired") for name in ("gone", "unseen")]
    assert poll.observe_all(engine, retired, nobody) == {}
    rows = {row.chain: (row.state, row.head) for row in lag.rows(engine)}
    assert rows == {"gone": ("retired", 100), "unseen": ("retired", None)}


def test_a_chain_without_an_endpoint_costs_the_others_nothing(
    engine: Engine, answers: dict[str, Answer]
) -> None:
    """A variable that is not set is that chain's own reason."""
    answers["well"] = saying(Heights(5, 5))
    unset = replace(small.CHAIN, name="unset", endpoints=("env:CHAINFLOW_TEST_UNSET",))
    found = poll.observe_all(engine, [unset, chain("well")], nobody)
    assert found["well"] == Heights(5, 5)
    assert "CHAINFLOW_TEST_UNSET is not set" in str(found["unset"])


def test_a_store_that_fails_ends_the_poll(
    engine: Engine, answers: dict[str, Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the poll's own error and no chain's; nodes that are still silent are let go."""

    def refuse(engine: Engine, said: object) -> None:
        raise StoreUnavailable(f"{engine.url.host}: {said}")

    async def silent() -> Heights:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(heights, "observe_many", refuse)
    answers |= {"silent": silent, "well": saying(Heights(5, 5))}
    with pytest.raises(StoreUnavailable):
        poll.observe_all(engine, [chain("silent"), chain("well")], nobody)


def test_observe_keeps_heights_and_failure(engine: Engine, answers: dict[str, Answer]) -> None:
    """One chain by itself: heights are returned and kept, a failure is kept and raised."""
    answers["one"] = saying(Heights(7, None))
    assert poll.observe(engine, chain("one"), nobody) == Heights(7, None)
    answers["one"] = saying(NodeUnavailable("gone"))
    with pytest.raises(NodeUnavailable):
        poll.observe(engine, chain("one"), nobody)
    with pytest.raises(InputError):
        poll.observe(engine, replace(chain("two"), endpoints=("env:CHAINFLOW_UNSET",)), nobody)
    rows = small.ask(engine, "SELECT chain, head, error FROM chainflow.height ORDER BY chain")
    assert rows[0] == ("one", 7, "gone")
    assert rows[1][:2] == ("two", None)
