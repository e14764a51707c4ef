"""Which endpoint is asked, when again, and when to give up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import pytest

from chainflow.clients._failover import Nodes
from chainflow.clients._http import Node, session
from chainflow.clients._pace import Limits
from chainflow.endpoints import Endpoint
from chainflow.errors import (
    AnswerTooLarge,
    HeightPruned,
    MalformedAnswer,
    NodeUnavailable,
    NotYet,
    RateLimited,
    RequestRefused,
    Unsupported,
    WorkError,
    WrongChain,
)
from tests.fake_node import FAST

_T = TypeVar("_T")
# What each endpoint says: errors in their order, the last for ever; None is an answer.
Script = Sequence[WorkError | None]
SHORT = replace(FAST, deadline_seconds=0.3, not_yet_seconds=0.1)


class Play:
    """Endpoints a, b, c that follow their scripts; `asked` is the order they were asked in."""

    def __init__(self, *scripts: Script, greetings: Script = (None,)) -> None:
        self.names = "abc"[: len(scripts)]
        self.scripts = dict(zip(self.names, scripts, strict=True))
        self.greetings = greetings
        self.asked = ""
        self.greeted = ""

    def ask(self, times: int = 1, *, limits: Limits = FAST, at_once: bool = False) -> list[str]:
        """The endpoints that answered, of so many questions."""

        async def run(work: Callable[[Nodes], asyncio.Future[_T]]) -> _T:
            async with session(limits) as opened:
                nodes = [
                    Node(Endpoint(name, f"http://{name}.example"), opened, limits)
                    for name in self.names
                ]
                return await work(Nodes("testnet", nodes, self._greet, limits))

        async def several(nodes: Nodes) -> list[str]:
            if at_once:
                return await asyncio.gather(*(nodes.ask(self._job, "[0, 5)") for _ in range(times)))
            return [await nodes.ask(self._job, "[0, 5)") for _ in range(times)]

        return asyncio.run(run(lambda nodes: asyncio.ensure_future(several(nodes))))

    async def _greet(self, node: Node) -> None:
        await asyncio.sleep(0.001)
        self.greeted += node.host[0]
        _say(self.greetings, self.greeted.count(node.host[0]))

    async def _job(self, node: Node) -> str:
        name = node.host[0]
        self.asked += name
        _say(self.scripts[name], self.asked.count(name))
        return name


def _say(script: Script, time: int) -> None:
    said = script[min(time, len(script)) - 1]
    if said is not None:
        raise said


def test_the_first_endpoint_of_the_registry_is_asked() -> None:
    """While it is well, no other is."""
    play = Play([None], [None])
    assert play.ask(3) == ["a", "a", "a"]
    assert play.asked == "aaa"


def test_a_failing_endpoint_gives_way_to_the_next() -> None:
    """At once, without waiting; and the next stays preferred while it is the healthier."""
    play = Play([NodeUnavailable("HTTP 503")], [None])
    assert play.ask(3) == ["b", "b", "b"]
    assert play.asked == "abbb"


def test_equal_health_is_ordered_as_in_the_registry() -> None:
    """Both failed once; then the first is asked first."""
    once = [NodeUnavailable("HTTP 503"), None]
    play = Play(once, once)
    assert play.ask(2) == ["a", "a"]
    assert play.asked == "abaa"


def test_a_height_not_there_yet_changes_no_order() -> None:
    """The first endpoint is still the first for the next question."""
    play = Play([NotYet("null"), None], [None])
    assert play.ask(2) == ["b", "a"]


@pytest.mark.parametrize(
    "error",
    [
        AnswerTooLarge("large"),
        HeightPruned("pruned"),
        Unsupported("no method"),
        RequestRefused("no key"),
        WrongChain("56"),
    ],
)
def test_a_terminal_answer_is_asked_for_once_per_endpoint(error: WorkError) -> None:
    """Asking the same endpoint again changes nothing; all of them are told in the message."""
    play = Play([error], [error])
    with pytest.raises(type(error)) as caught:
        play.ask()
    assert play.asked == "ab"
    assert str(caught.value).startswith(f"testnet [0, 5): a.example: {error}; b.example: {error}")


def test_a_contradiction_may_be_repeated_only_so_often() -> None:
    """Three attempts at each endpoint."""
    play = Play([MalformedAnswer("odd")], [MalformedAnswer("odd")])
    with pytest.raises(MalformedAnswer):
        play.ask()
    assert play.asked == "ababab"


def test_a_passing_trouble_is_retried_until_the_deadline() -> None:
    """Then it is the transient error, so that the task is retried later."""
    play = Play([NodeUnavailable("HTTP 503")])
    with pytest.raises(NodeUnavailable, match=r"testnet \[0, 5\): a.example: HTTP 503"):
        play.ask(limits=SHORT)
    assert len(play.asked) > 2


def test_a_terminal_endpoint_beside_a_failing_one_is_transient() -> None:
    """The failing one may still have what the pruned one has not."""
    play = Play([HeightPruned("pruned")], [NodeUnavailable("HTTP 503")])
    with pytest.raises(NodeUnavailable, match=r"a.example: pruned; b.example: HTTP 503"):
        play.ask(limits=SHORT)
    assert play.asked.count("a") == 1


def test_not_yet_is_given_up_before_the_deadline() -> None:
    """A node that answers null tells more than one that does not answer."""
    play = Play([NodeUnavailable("down")], [NotYet("null")])
    with pytest.raises(NotYet):
        play.ask(limits=replace(FAST, not_yet_seconds=0.02))


def test_rate_limits_everywhere_wait_for_the_soonest() -> None:
    """The shorter Retry-After decides when to ask again."""
    play = Play([RateLimited("slow", 30.0)], [RateLimited("slow", 0.01), None])
    assert play.ask() == ["b"]


def test_rate_limits_beyond_the_deadline_are_told_with_the_soonest() -> None:
    """The error carries what the task might wait for."""
    play = Play([RateLimited("slow", 900.0)], [RateLimited("slow", 300.0)])
    with pytest.raises(RateLimited) as caught:
        play.ask()
    assert caught.value.retry_after_seconds == 300.0
    assert play.asked == "ab"


def test_an_endpoint_is_greeted_once() -> None:
    """Questions that come at once wait for the one greeting."""
    play = Play([None])
    assert play.ask(5, at_once=True) == ["a"] * 5
    assert play.greeted == "a"


def test_a_greeting_that_fails_is_shared_and_tried_again() -> None:
    """Who waited for it fails with it, without a greeting each; the next attempt greets anew."""
    play = Play([None], greetings=[NodeUnavailable("down"), None])
    assert play.ask(5, at_once=True) == ["a"] * 5
    assert play.greeted == "aa"


def test_a_fault_of_ours_is_not_retried() -> None:
    """Only errors of work are; a bug surfaces at once."""
    calls: list[str] = []

    async def job(_: Node) -> None:
        calls.append("x")
        raise KeyError("bug")

    async def run() -> None:
        async with session(FAST) as opened:
            node = Node(Endpoint("a", "http://a.example"), opened, FAST)
            await Nodes("testnet", [node], Play([None])._greet, FAST).ask(job, "x")

    with pytest.raises(KeyError):
        asyncio.run(run())
    assert calls == ["x"]
