"""One endpoint over HTTP: its pace, its health, its words."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import msgspec
import pytest
from aiohttp.test_utils import TestServer
from aiohttp.web import Application, Request, Response, StreamResponse

from chainflow import clients
from chainflow.clients import _jsonrpc as jsonrpc
from chainflow.clients._http import Node, Reply, session
from chainflow.clients._jsonrpc import Call
from chainflow.clients._pace import DEFAULT, Limits, Pace
from chainflow.endpoints import Endpoint
from chainflow.errors import (
    AnswerTooLarge,
    NodeUnavailable,
    NotYet,
    RateLimited,
    RequestRefused,
    WorkError,
    WrongChain,
)
from chainflow.types import BlockRange
from tests import fake_node
from tests.fake_node import FAST, FakeNode, chain

METHOD = "eth_blockNumber"
QUESTION = json.dumps({"jsonrpc": "2.0", "id": 1, "method": METHOD}).encode()


def _with(fake: FakeNode, work: Callable[[Node], Awaitable[None]], limits: Limits = FAST) -> None:
    """Do the work with our side of a running fake node."""

    async def run() -> None:
        async with fake.running(), session(limits) as opened:
            await work(Node(fake.endpoint, opened, limits))

    asyncio.run(run())


def _post(fake: FakeNode, limits: Limits = FAST) -> Reply:
    replies: list[Reply] = []

    async def work(node: Node) -> None:
        replies.append(await node.post(QUESTION))

    _with(fake, work, limits)
    return replies[0]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("", None),
        ("soon", None),
        ("-3", None),
        (timedelta(hours=1), 3600.0),
        (timedelta(hours=-1), 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | timedelta, seconds: float | None) -> None:
    """Both forms are seconds from now; what is neither is nothing."""
    if isinstance(header, timedelta):
        header = format_datetime(datetime.now(UTC) + header, usegmt=True)
    fake = FakeNode(chain(1))
    fake.react(fake_node.http(429, headers={"Retry-After": header}), method=METHOD)
    given = _post(fake).retry_after_seconds
    assert given == (None if seconds is None else pytest.approx(seconds, abs=120))


def test_gzip_is_asked_for_and_undone() -> None:
    """A compressed answer is read as what it holds."""
    fake = FakeNode(chain(1))
    packed = gzip.compress(b'{"id":1,"result":"0x1"}')
    fake.react(fake_node.http(200, packed, headers={"Content-Encoding": "gzip"}), method=METHOD)
    assert _post(fake).body == b'{"id":1,"result":"0x1"}'


def test_a_body_that_unpacks_beyond_the_limit_is_refused() -> None:
    """The bound is on what has to be held, not on what was sent."""
    fake = FakeNode(chain(1))
    packed = gzip.compress(b"0" * 1_000_000)
    fake.react(fake_node.http(200, packed, headers={"Content-Encoding": "gzip"}), method=METHOD)
    with pytest.raises(AnswerTooLarge):
        _post(fake, replace(FAST, body_bytes=100_000))


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("https://user:pass@elsewhere.example/v1/secret-key", "https, host elsewhere.example"),
        ("//elsewhere.example/x", "the same scheme, host elsewhere.example"),
        ("/other", "another path"),
        ("http://[", "another path"),
    ],
)
def test_a_redirect_is_refused_and_told_by_its_host(location: str, told: str) -> None:
    """It might lead the key to a stranger: whoever keeps the registry shall decide."""
    fake = FakeNode(chain(1))
    fake.react(fake_node.http(307, headers={"Location": location}), method=METHOD)
    with pytest.raises(RequestRefused) as caught:
        _post(fake)
    said = str(caught.value)
    assert said.startswith(f"HTTP 307: a redirect to {told}, which is not followed")
    assert said.endswith("into the chain's endpoints")
    assert not {"secret-key", "pass"} & set(re.split("[^a-z-]", said))
    assert len(fake.asked) == 1


def test_the_endpoint_headers_are_sent() -> None:
    """A connection's header reaches the node, beside ours."""
    fake = FakeNode(chain(1), headers={"X-Key": "abcdefgh"})
    seen: list[str] = []

    async def reaction(node: FakeNode, request: Request, calls: fake_node.Calls) -> StreamResponse:
        seen.extend(request.headers[name] for name in ("X-Key", "Accept-Encoding", "User-Agent"))
        return await fake_node.http(200)(node, request, calls)

    fake.react(reaction, method=METHOD)
    _post(fake)
    assert seen[:2] == ["abcdefgh", "gzip"]
    assert seen[2].startswith("chainflow/")


def test_an_address_that_is_no_url_is_refused() -> None:
    """It is told without being quoted."""

    async def run() -> None:
        async with session(FAST) as opened:
            await Node(Endpoint("x", "http://:secret-word@:x/"), opened, FAST).post(QUESTION)

    with pytest.raises(RequestRefused) as caught:
        asyncio.run(run())
    assert "secret" not in str(caught.value)


def test_a_quiet_node_refuses_by_itself() -> None:
    """After a Retry-After nothing is sent to it until that time has passed."""
    fake = FakeNode(chain(1))

    async def work(node: Node) -> None:
        node.went_wrong(RateLimited("slow", 60), began=0.0)
        with pytest.raises(RateLimited) as caught:
            await node.post(QUESTION)
        assert caught.value.retry_after_seconds == pytest.approx(60, abs=30)

    _with(fake, work)
    assert not fake.asked


def test_until_the_first_trouble_every_success_widens_the_window() -> None:
    """So it doubles a round, up to the top: a node that is far away is soon asked enough."""

    async def work(node: Node) -> None:
        sizes = []
        for _ in range(4):
            node.went_well()
            sizes.append(node.window.size)
        assert sizes == [5, 6, 7, 7]

    _with(FakeNode(chain(1)), work, replace(FAST, requests_in_flight=7))


def test_after_it_success_widens_the_window_by_one_a_round() -> None:
    """Additive up: as many successes as the window holds make it one wider, up to the top."""

    async def work(node: Node) -> None:
        node.window.size = 8
        node.went_wrong(NodeUnavailable("HTTP 503"), asyncio.get_running_loop().time())
        sizes = []
        for _ in range(4 + 5 + 6):
            node.went_well()
            sizes.append(node.window.size)
        assert (sizes[3], sizes[8], sizes[-1]) == (5, 6, 6)

    _with(FakeNode(chain(1)), work, replace(FAST, requests_in_flight=6))


def test_requests_that_fail_together_halve_once() -> None:
    """One overload, seen by many requests begun before it, is one reason to ask for less."""

    async def work(node: Node) -> None:
        began = asyncio.get_running_loop().time()
        node.window.size = 16
        for _ in range(5):
            node.went_wrong(NodeUnavailable("HTTP 503"), began)
        assert (node.window.size, node.calls.size, node.health.failures) == (8, 5, 1)
        node.went_wrong(NodeUnavailable("HTTP 503"), asyncio.get_running_loop().time())
        assert (node.window.size, node.calls.size) == (4, 2)

    _with(FakeNode(chain(1)), work)


def test_a_rate_limit_narrows_the_window_first_and_then_the_batch() -> None:
    """Fewer requests at once; at a single one, fewer calls in it."""

    async def work(node: Node) -> None:
        sizes = []
        for _ in range(4):
            node.went_wrong(RateLimited("slow", 0.0), asyncio.get_running_loop().time())
            sizes.append((node.window.size, node.calls.size))
        assert sizes == [(2, 10), (1, 10), (1, 5), (1, 2)]

    _with(FakeNode(chain(1)), work)


def test_a_rate_limit_that_lasts_counts_once() -> None:
    """What is refused while the endpoint is quiet is no new reason to ask for less."""

    async def work(node: Node) -> None:
        for _ in range(5):
            node.went_wrong(RateLimited("slow", 60.0), asyncio.get_running_loop().time())
        assert (node.window.size, node.calls.size) == (2, 10)

    _with(FakeNode(chain(1)), work)


def test_a_height_not_there_yet_is_no_fault_of_the_node() -> None:
    """It stays healthy, and as fast."""

    async def work(node: Node) -> None:
        node.went_wrong(NotYet("null"), asyncio.get_running_loop().time())
        assert (node.health.failures, node.window.size, node.quiet_seconds()) == (0, 4, 0.0)

    _with(FakeNode(chain(1)), work)


def test_an_error_that_is_kept_lets_go_of_the_answer() -> None:
    """Its frames, and those of its causes, hold it; two errors may be each other's cause."""

    async def work(node: Node) -> None:
        inner = NodeUnavailable("one")
        try:
            try:
                raise inner
            except NodeUnavailable:
                raise NodeUnavailable("other") from inner
        except NodeUnavailable as outer:
            inner.__cause__ = outer
            node.went_wrong(outer, 0.0)
        assert inner.__traceback__ is None

    _with(FakeNode(chain(1)), work)


def test_a_node_of_another_chain_is_dismissed() -> None:
    """For as long as the client lives."""

    async def work(node: Node) -> None:
        node.went_wrong(WrongChain("56"), asyncio.get_running_loop().time())
        node.went_well()
        assert isinstance(node.dismissed, WrongChain)

    _with(FakeNode(chain(1)), work)


def test_calls_are_sent_at_the_pace_that_the_chain_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call of a batch takes its share of a second, and what comes next waits for it."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def work(node: Node) -> None:
        monkeypatch.setattr("chainflow.clients._http.asyncio.sleep", sleep)
        for calls in (5, 1, 2):
            async with node.slot(calls):
                pass
        monkeypatch.undo()

    _with(FakeNode(chain(1)), work, replace(FAST, calls_per_second=0.001))
    assert waits == pytest.approx([0.0, 5000.0, 6000.0], abs=60.0)


def test_every_call_of_a_batch_takes_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many turns as a provider counts calls, greetings included."""
    turns: list[int] = []

    async def in_turn(_: Node, calls: int) -> None:
        turns.append(calls)

    monkeypatch.setattr(Node, "_in_turn", in_turn)
    fake = FakeNode(chain(12))
    fake_node.fetch([fake], BlockRange(0, 12))
    assert sorted(turns) == sorted(map(len, fake.asked))
    assert sum(turns) == 1 + 2 * 12


def test_a_chains_pace_bounds_its_batches() -> None:
    """A second's worth of calls at most is sent at one instant; without a pace all is as usual."""
    limits = [
        clients.limits_of(replace(fake_node.CHAIN, max_requests_per_second=rate))
        for rate in (None, 1.5, 20.0, 500.0)
    ]
    assert limits[0] == DEFAULT
    assert [(one.calls_per_second, one.calls_per_request) for one in limits] == [
        (None, 50),
        (1.5, 1),
        (20.0, 20),
        (500.0, 50),
    ]


def test_a_request_that_is_left_makes_room_for_the_next() -> None:
    """Whether it waited for a place, for its turn, or for an answer."""

    async def work(node: Node) -> None:
        node.window.size = 1
        free = asyncio.Event()

        async def hold() -> None:
            async with node.slot():
                await free.wait()

        async def left(task: asyncio.Task[None]) -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        first, second, third = (asyncio.create_task(hold()) for _ in range(3))
        await asyncio.sleep(0)
        await left(second)
        first.cancel()
        third.cancel()
        await asyncio.gather(first, third, return_exceptions=True)
        free.set()
        await hold()

    _with(FakeNode(chain(1)), work, replace(FAST, requests_in_flight=1))


def test_slowness_allows_for_the_pace() -> None:
    """What waits for its turn is not the endpoint's fault."""

    async def work(node: Node) -> None:
        assert node.slow_seconds() == FAST.hedge_seconds + 2 * 4 * 10 / 0.5

    _with(FakeNode(chain(1)), work, replace(FAST, calls_per_second=0.5))


def test_an_excerpt_is_one_short_printable_line() -> None:
    """Whatever a node says fits a log line and moves no cursor."""

    async def work(node: Node) -> None:
        said = node.excerpt(b"<html>\r\n\x1b[2J  busy \xff" + b"x" * 1000)
        assert said.startswith("<html> [2J busy \ufffdxxx")
        assert said.endswith("...")
        assert len(said) < 250

    _with(FakeNode(chain(1)), work)


def test_pace_grows_by_one_and_halves_to_one() -> None:
    """Between 1 and the top; a halving always gets below what was refused."""
    pace = Pace(10, 11)
    pace.up()
    pace.up()
    assert pace.size == 11
    assert [pace.halve() for _ in range(5)] == [5, 2, 1, 1, 1]
    pace.size = 11
    assert pace.halve(4) == 2
    pace.stay_at_one()
    pace.up()
    assert pace.size == 1


def test_default_limits_bound_what_is_held() -> None:
    """What may be in flight and buffered fits into a task's memory."""
    assert DEFAULT.requests_in_flight * DEFAULT.large_bytes <= 64 * 2**20
    assert DEFAULT.buffer_bytes <= 64 * 2**20
    assert DEFAULT.body_bytes <= 256 * 2**20


@pytest.mark.parametrize(
    ("own", "path", "query", "asked"),
    [
        ("", "status", {}, "/status"),
        ("/", "wallet/getnowblock", {}, "/wallet/getnowblock"),
        ("/v1/abc", "block", {"height": "5"}, "/v1/abc/block?height=5"),
        ("/v1/abc/", "", {"height": "5"}, "/v1/abc/?height=5"),
        ("/rpc?key=secret", "block", {"height": "5"}, "/rpc/block?key=secret&height=5"),
    ],
)
def test_get_asks_below_the_endpoints_own_path(
    own: str, path: str, query: dict[str, str], asked: str
) -> None:
    """Path and query join the endpoint's, whose own may hold its key."""
    seen: list[str] = []

    async def answer(request: Request) -> Response:
        seen.append(request.raw_path)
        return Response(text=request.method)

    async def run() -> Reply:
        application = Application()
        application.router.add_route("*", "/{path:.*}", answer)
        async with TestServer(application) as server, session(FAST) as opened:
            url = f"http://127.0.0.1:{server.port}{own}"
            return await Node(Endpoint("x", url), opened, FAST).get(path, query)

    assert asyncio.run(run()).body == b"GET"
    assert seen == [asked]


@pytest.mark.parametrize("said", ['"error":%s', '"error":{"code":1,"data":%s}', '"result":%s'])
def test_an_answer_nested_as_deep_as_can_be_read_is_an_error_of_ours(said: str) -> None:
    """Around the depth at which Python gives up, what one frame reads the next may not."""

    async def work(node: Node) -> None:
        for depth in range(880, 1000):
            nested = "[" * depth + "]" * depth
            text = '{"id":1,' + said.replace("%s", nested) + "}"
            fake.react(fake_node.http(200, text), method=METHOD)
            with suppress(WorkError):
                [outcome] = await jsonrpc.call(node, [Call(METHOD, ())])
                assert isinstance(outcome, WorkError | msgspec.Raw)

    fake = FakeNode(chain(1))
    _with(fake, work)


def test_whoever_waits_asks_before_an_answer_is_gone_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With one request in flight at most, the next is under way while an answer is decoded."""
    asked = 0
    seen: list[int] = []

    async def work(node: Node) -> None:
        send = node.post

        async def post(body: bytes, path: str = "", *, calls: int = 1) -> Reply:
            nonlocal asked
            async with turn:
                asked += 1
                return await send(body, path, calls=calls)

        turn = asyncio.Lock()
        monkeypatch.setattr(node, "post", post)
        questions = [[Call(METHOD, ())] * 2 for _ in range(3)]
        await asyncio.gather(*(jsonrpc.call(node, two, read) for two in questions))

    def read(_body: bytes) -> None:
        seen.append(asked)

    _with(FakeNode(chain(1)), work)
    assert seen == [2, 3, 3]
