"""Which endpoint is asked, when again, and when to give up; which other one beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeVar

import pytest

from chainflow.clients._failover import Nodes, opened
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
from chainflow.types import Heights
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


def test_an_endpoint_that_has_rested_comes_in_its_old_place() -> None:
    """The registry's first is the operator's choice: one failure does not move it for good."""
    play = Play([NodeUnavailable("HTTP 503"), None], [None])
    assert play.ask(3, limits=replace(FAST, rest_seconds=0.0)) == ["b", "a", "a"]


def test_an_endpoint_that_is_left_alone_is_not_asked_while_another_is_sound() -> None:
    """Where it has failed often in a row, a failure of the other one is waited out instead."""
    down = NodeUnavailable("HTTP 503")
    play = Play([down], [None, down, None, down, None])
    limits = replace(FAST, failures_in_a_row=2, rest_seconds=60.0)
    assert play.ask(3, limits=limits) == ["b", "b", "b"]
    assert play.asked == "ab" + "bab" + "bb"


def test_an_endpoint_that_is_left_alone_is_asked_where_the_other_wants_quiet() -> None:
    """Waiting for the quiet to end would take longer than trying."""
    down = NodeUnavailable("HTTP 503")
    limits = replace(FAST, failures_in_a_row=1, rest_seconds=60.0)
    play = Play([down, None], [None, RateLimited("slow", 60.0)])
    assert play.ask(2, limits=limits) == ["b", "a"]
    assert play.asked == "abba"


def test_a_lone_endpoint_is_asked_however_often_it_failed() -> None:
    """There is nobody else to leave it alone for, whatever it has said before."""
    odd, down = MalformedAnswer("odd"), NodeUnavailable("HTTP 503")
    play = Play([down, odd, down, down, odd, down, None])
    assert play.ask(2, limits=replace(FAST, failures_in_a_row=1)) == ["a", "a"]
    assert play.asked == "a" * 8


def test_it_is_told_in_the_end_what_became_of_each_endpoint(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """By host; one that nobody asked is left out."""

    async def run() -> None:
        found = [Endpoint(name, f"http://{name}.example/the-key-itself") for name in "abc"]
        async with opened("testnet", found, FAST) as (a, b, _):
            a.health.well(0.08)
            a.health.head = 100
            b.health.ill(NodeUnavailable("HTTP 503"), 0.0, 0.0)
            b.health.head = 90

    caplog.set_level("INFO", "chainflow")
    asyncio.run(run())
    assert [record.getMessage() for record in caplog.records] == [
        "endpoint chain=testnet endpoint=a.example answered=1 failed=0 typical_ms=80 behind=0 "
        "last_error=-",
        "endpoint chain=testnet endpoint=b.example answered=0 failed=1 typical_ms=- behind=10 "
        "last_error=NodeUnavailable",
    ]


def test_an_endpoint_that_contradicted_itself_stays_behind_failing_ones() -> None:
    """Its later answers are taken where no other is there, and make it no better."""
    play = Play([MalformedAnswer("odd"), None], [None, NodeUnavailable("HTTP 503"), None])
    assert play.ask(4) == ["b", "a", "b", "b"]


@asynccontextmanager
async def _opened(count: int, limits: Limits) -> AsyncIterator[tuple[Nodes, list[Node]]]:
    """Endpoints a, b, ... that are greeted by nobody."""

    async def greet(_: Node) -> None:
        pass

    async with session(limits) as opened:
        nodes = [
            Node(Endpoint(name, f"http://{name}.example"), opened, limits) for name in "abc"[:count]
        ]
        yield Nodes("testnet", nodes, greet, limits), nodes


def test_a_rested_endpoint_is_tried_with_one_question() -> None:
    """The others of that moment go elsewhere until it has answered."""

    async def run() -> list[str]:
        async with _opened(2, FAST) as (nodes, (a, _)):
            others = asyncio.Semaphore(0)

            async def job(node: Node) -> str:
                if node is a:
                    for _ in range(4):
                        await others.acquire()
                else:
                    others.release()
                return node.host[0]

            now = asyncio.get_running_loop().time()
            a.health.ill(NodeUnavailable("HTTP 503"), now, now - 60.0)
            return await asyncio.gather(*(nodes.ask(job, "x") for _ in range(5)))

    assert asyncio.run(run()) == ["a", "b", "b", "b", "b"]


Job = Callable[[Node], Awaitable[str]]
# Every question is slow at once.
HASTY = replace(FAST, hedge_seconds=0.0, hedge_times=0.0)


class Race:
    """Endpoint a, whose answers come once `go` is set, and b, which does as `other` says.

    `asked` and `ended` name the endpoints by lower case where they answered, by upper case where
    they were cancelled; `most` is how many questions b had at once.
    """

    def __init__(self, other: Job | None = None) -> None:
        self.go = asyncio.Event()
        self.other = other
        self.asked = ""
        self.ended = ""
        self.most = 0
        self._at_b = 0

    async def job(self, node: Node) -> str:
        """What `Nodes` asks an endpoint with."""
        name = node.host[0]
        self.asked += name
        try:
            if name == "a":
                await self.go.wait()
            else:
                await self._beside(node)
        except asyncio.CancelledError:
            self.ended += name.upper()
            raise
        self.ended += name
        return name

    async def _beside(self, node: Node) -> None:
        self._at_b += 1
        self.most = max(self.most, self._at_b)
        try:
            await asyncio.sleep(0.001)
            if self.other is not None:
                await self.other(node)
        finally:
            self._at_b -= 1


def _raced(race: Race, *, times: int = 1, count: int = 2) -> tuple[list[str], list[int]]:
    """Who answered, and what stands against each endpoint afterwards."""

    async def run() -> tuple[list[str], list[int]]:
        async with _opened(count, HASTY) as (nodes, every):
            asking = (nodes.ask(race.job, "x", hedge=race.job) for _ in range(times))
            answers = await asyncio.gather(*asking)
            return answers, [node.health.failures for node in every]

    return asyncio.run(run())


def test_a_slow_endpoint_gives_way_to_the_first_answer() -> None:
    """The slow one's question ends, and its slowness is held against it."""
    race = Race()
    assert _raced(race) == (["b"], [1, 0])
    assert (race.asked, race.ended) == ("ab", "bA")


def test_a_slow_endpoint_that_answers_first_wins() -> None:
    """Whoever was asked beside it is left alone, and nothing is held against anyone."""

    async def release(_: Node) -> str:
        race.go.set()
        return await asyncio.Future()

    race = Race(release)
    assert _raced(race) == (["a"], [0, 0])
    assert (race.asked, race.ended) == ("ab", "aB")


def test_a_slow_endpoint_is_waited_for_where_the_other_one_fails() -> None:
    """The failure is the other's alone."""

    async def fail(_: Node) -> str:
        race.go.set()
        raise NodeUnavailable("HTTP 503")

    race = Race(fail)
    assert _raced(race) == (["a"], [0, 1])
    assert race.asked == "ab"


def test_one_question_at_a_time_is_asked_twice() -> None:
    """Where everything is slow, asking all of it again would make it slower."""
    race = Race()
    answers, (against_a, against_b) = _raced(race, times=5)
    assert (answers, race.most) == (["b"] * 5, 1)
    assert (against_a, against_b) == (1, 0)


def test_a_slow_question_that_fails_waits_for_nobodys_turn() -> None:
    """While another question is asked twice, a failure goes on to the next endpoint at once."""

    async def run() -> list[str]:
        async with _opened(2, HASTY) as (nodes, (a, _)):
            twice = asyncio.Event()

            async def stay(_: Node) -> str:
                twice.set()
                return await asyncio.Future()

            async def fail(node: Node) -> str:
                if node is a:
                    await asyncio.sleep(0.01)
                    raise NodeUnavailable("HTTP 503")
                return node.host[0]

            race.other = stay
            slow = asyncio.create_task(nodes.ask(race.job, "x", hedge=race.job))
            await twice.wait()
            answer = await nodes.ask(fail, "y", hedge=fail)
            assert not slow.done()
            race.go.set()
            return [answer, await slow]

    race = Race()
    assert asyncio.run(run()) == ["b", "a"]


def test_a_lone_endpoint_may_be_slow() -> None:
    """It is asked once and waited for."""
    race = Race()
    race.go.set()
    assert _raced(race, count=1) == (["a"], [0])
    assert race.asked == "a"


def test_an_endpoint_that_failed_is_not_asked_beside_a_slow_one() -> None:
    """It would cost a question and help nobody."""

    async def run() -> str:
        async with _opened(2, HASTY) as (nodes, (_, b)):
            now = asyncio.get_running_loop().time()
            b.health.ill(NodeUnavailable("HTTP 503"), now, now)
            asyncio.get_running_loop().call_later(0.02, race.go.set)
            return await nodes.ask(race.job, "x", hedge=race.job)

    race = Race()
    assert asyncio.run(run()) == "a"
    assert race.asked == "a"


def test_leaving_a_question_leaves_none_of_its_two_running() -> None:
    """Whoever stops waiting stops both."""

    async def run() -> None:
        both = asyncio.Event()

        async def stay(_: Node) -> str:
            both.set()
            return await asyncio.Future()

        race.other = stay
        async with _opened(2, HASTY) as (nodes, _):
            asking = asyncio.create_task(nodes.ask(race.job, "x", hedge=race.job))
            await both.wait()
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    race = Race()
    asyncio.run(run())
    assert sorted(race.ended) == ["A", "B"]


Said = Heights | WorkError | None


def _newest(
    *said: Said, limits: Limits = FAST, has: Sequence[int] = (2**62,) * 3
) -> tuple[Heights, list[int | None]]:
    """The heights of endpoints that say this each, or nothing for ever; what each was seen at.

    They have blocks up to `has`.
    """

    async def run() -> tuple[Heights, list[int | None]]:
        async with _opened(len(said), limits) as (nodes, every):

            async def job(node: Node) -> Heights:
                answer = said["abc".index(node.host[0])]
                if isinstance(answer, WorkError):
                    raise answer
                return answer or await asyncio.Future[Heights]()

            async def shows(node: Node, height: int) -> None:
                if height > has["abc".index(node.host[0])]:
                    raise NotYet(f"no block {height}")

            return await nodes.heights(job, shows), [node.health.head for node in every]

    return asyncio.run(run())


def test_heights_are_the_newest_that_any_endpoint_has() -> None:
    """A first endpoint that is stuck does not stop the chain; each one's head is known."""
    found, heads = _newest(Heights(100, 90), Heights(140, 80), Heights(120, 95))
    assert found == Heights(140, 95)
    assert heads == [100, 140, 120]


def test_heights_far_beyond_the_others_are_to_be_shown(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever tells them and lacks the block is not believed, be it head, finalized or both."""
    high, next_, low = Heights(1100, 1090), Heights(100, 90), Heights(60, 50)
    assert _newest(high, next_, low, has=[100, 100, 60]) == (next_, [None, 100, 60])
    assert "height not shown chain=testnet endpoint=a.example height=1100" in caplog.text
    assert _newest(low, high, next_, has=[60, 1100, 100])[0] == high
    assert _newest(Heights(100, 2000), next_, has=[100, 100])[0] == next_
    assert _newest(high, low, has=[59, 60])[0] == low


def test_heights_a_little_apart_are_believed() -> None:
    """Endpoints are asked at different moments, and their backends differ: nothing is asked."""
    assert _newest(Heights(110, 92), Heights(100, 90), has=[0, 0])[0] == Heights(110, 92)


def test_heights_of_endpoints_that_serve_no_tag_are_heads() -> None:
    """None stays None."""
    assert _newest(Heights(100, None), Heights(90, None))[0] == Heights(100, None)


def test_heights_wait_for_no_endpoint_but_the_first_that_answers() -> None:
    """The others have a moment more, then they are left."""
    limits = replace(FAST, heights_others_seconds=0.0)
    assert _newest(Heights(100, None), None, limits=limits)[0] == Heights(100, None)
    silent = replace(FAST, heights_seconds=0.2, heights_attempt_seconds=0.05)
    assert _newest(None, Heights(100, None), limits=silent)[0] == Heights(100, None)


def test_heights_beyond_any_chain_are_nobodys() -> None:
    """An endpoint that tells such is contradicting itself; the other's are taken."""
    assert _newest(Heights(2**70, None), Heights(100, None))[0] == Heights(100, None)
    assert _newest(Heights(100, None), Heights(2**70, None))[0] == Heights(100, None)


def test_heights_fail_as_the_most_telling_endpoint_does() -> None:
    """In the words of all of them."""
    limits = replace(FAST, heights_seconds=0.05)
    with pytest.raises(NodeUnavailable, match=r"heights: a.example: down; b.example: no such tag"):
        _newest(NodeUnavailable("down"), Unsupported("no such tag"), limits=limits)
