"""One endpoint over HTTP, as this process has come to know it. No family's words stand here."""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import aiohttp

from chainflow import __version__
from chainflow.clients._body import Bodies
from chainflow.clients._health import Health
from chainflow.clients._http_words import elsewhere, retry_after, trouble
from chainflow.clients._pace import Limits, Pace
from chainflow.errors import (
    NodeUnavailable,
    RateLimited,
    RequestRefused,
    TerminalError,
    WorkError,
    WrongChain,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from chainflow.endpoints import Endpoint

_START_REQUESTS = 4
_START_CALLS = 10
_EXCERPT = 200
# Shorter words of a URL are versions and chain names, not keys.
_KEY_LENGTH = 8
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer whose body was read to its end."""

    status: int
    body: bytes
    retry_after_seconds: float | None


class Node:
    """An endpoint's health, its pace, and the requests in flight to it."""

    def __init__(self, endpoint: Endpoint, session: aiohttp.ClientSession, limits: Limits) -> None:
        self.host = endpoint.host
        self.chain = ""  # the registry's name for it; a probe has none
        self.limits = limits
        self.window = Pace(_START_REQUESTS, limits.requests_in_flight)
        self.calls = Pace(_START_CALLS, limits.calls_per_request)
        self.health = Health(limits)
        self.dismissed: TerminalError | None = None
        self.lacks: set[str] = set()
        # Whether it was greeted (see `Nodes`), and the last failure to.
        self.met = False
        self.meeting = asyncio.Lock()
        self.unmet: WorkError | None = None
        self.unmet_at = -math.inf
        self._endpoint = endpoint
        self._session = session
        self._secrets = _secrets(endpoint)
        self._in_flight = 0
        self._freed = asyncio.Event()
        self._body = Bodies(limits).read
        self._successes = 0
        self._untroubled = True
        self._halved_at = -math.inf
        self._quiet_until = -math.inf
        self._next_call = -math.inf

    @property
    def width(self) -> int:
        """How many spans may be under way: so many are in flight, as many gone through or waiting.

        Answers that come at once would else leave the node without a question until all are read.
        """
        return 2 * self.window.size

    def quiet_seconds(self) -> float:
        """How long this endpoint wants to be left alone; 0 if it does not."""
        return max(0.0, self._quiet_until - _now())

    def slow_seconds(self) -> float:
        """How long a question may take before another endpoint is asked as well."""
        rate = self.limits.calls_per_second
        # What is under way already, at the pace we keep to.
        ahead = self.width * self.calls.size / rate if rate else 0.0
        return ahead + self.health.slow_seconds()

    def went_well(self, seconds: float = 0.0) -> None:
        """Count an answer: healthy again, and one more request in flight, up to the first trouble.

        After that, one more per full window.
        """
        self.health.well(seconds)
        self._successes += 1
        if self._untroubled or self._successes >= self.window.size:
            self._successes = 0
            self.window.up()

    def went_wrong(self, error: WorkError, began: float) -> None:
        """Count a failure of work begun at `began` (loop time); ask for less where that helps."""
        _forget_frames(error)
        self._untroubled = False
        if isinstance(error, WrongChain):
            self.dismissed = error
        if isinstance(error, RateLimited) and self._told_to_be_quiet(error):
            return
        self.health.ill(error, began, _now())
        if not isinstance(error, NodeUnavailable):
            return
        # Many requests in flight fail of one cause: only one of them halves.
        if began >= self._halved_at:
            self._halved_at = _now()
            if self.window.size == 1 or not isinstance(error, RateLimited):
                self.calls.halve()
            self.window.halve()

    def _told_to_be_quiet(self, error: RateLimited) -> bool:
        """Keep quiet as long as the endpoint wishes; whether it had said so before."""
        told = self.quiet_seconds() > 0
        wish = error.retry_after_seconds
        until = _now() + (self.limits.quiet_seconds if wish is None else wish)
        self._quiet_until = max(self._quiet_until, until)
        return told

    async def post(self, body: bytes, path: str = "", *, calls: int = 1) -> Reply:
        """The endpoint's answer to a JSON body sent to a path below its URL; raises as `get`.

        Args:
            body: What is sent.
            path: Below the endpoint's own path.
            calls: How many calls the body holds, as the endpoint's provider counts them.
        """
        return await self._request("POST", path, {}, body, calls)

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Reply:
        """The endpoint's answer, whatever its status but a redirect's, which is not followed.

        Args:
            path: Below the endpoint's own path.
            query: Sent beside the endpoint's own, which may be its key.

        Raises:
            RateLimited: The endpoint wants to be left alone; nothing was sent.
            NodeUnavailable: No whole answer came in time.
            AnswerTooLarge: The answer's body is larger than `Limits.body_bytes`.
            RequestRefused: The endpoint sends us elsewhere, whereto no key of ours is taken.
        """
        return await self._request("GET", path, query or {}, None)

    async def head(self, path: str) -> int:
        """The HTTP status of what stands at a path, without the thing itself; raises as `get`."""
        return (await self._request("HEAD", path, {}, None)).status

    async def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes | None,
        calls: int = 1,
    ) -> Reply:
        headers = dict(self._endpoint.headers)
        if body is not None:
            headers = {"Content-Type": "application/json", **headers}
        async with self.slot(calls):
            try:
                async with self._session.request(
                    method,
                    _below(self._endpoint.url, path, query),
                    data=body,
                    headers=headers,
                    allow_redirects=False,
                ) as response:
                    if response.status in _REDIRECTS:
                        raise RequestRefused(elsewhere(response))
                    wait_seconds = retry_after(response.headers)
                    return Reply(response.status, await self._body(response), wait_seconds)
            except TimeoutError:
                text = f"no answer within {self.limits.request_seconds:g} s"
                raise NodeUnavailable(text) from None
            except aiohttp.InvalidURL:
                raise RequestRefused("its address is not a URL") from None
            except (aiohttp.ClientError, OSError) as error:
                raise NodeUnavailable(trouble(error)) from None

    def excerpt(self, body: bytes | str) -> str:
        """The beginning of what the node said, on one line, without our keys in it."""
        text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = " ".join("".join(c if c.isprintable() else " " for c in text[:2000]).split())
        return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}..."

    @asynccontextmanager
    async def slot(self, calls: int = 1) -> AsyncIterator[None]:
        """A place among the requests in flight, at the endpoint's pace, whatever speaks with it.

        Args:
            calls: How many of the calls that it may be sent in a second the request is.

        Raises:
            RateLimited: The endpoint wants to be left alone.
        """
        while self._in_flight >= self.window.size:
            self._freed.clear()
            await self._freed.wait()
        self._in_flight += 1
        try:
            await self._in_turn(calls)
            if wait := self.quiet_seconds():
                raise RateLimited(f"to be left alone for {wait:.1f} s", wait)
            yield
        finally:
            # Nothing is waited for here: who is cancelled in it would keep others waiting.
            self._in_flight -= 1
            self._freed.set()

    async def _in_turn(self, calls: int) -> None:
        """Wait until so many calls may be sent: each one's share of a second after those before."""
        rate = self.limits.calls_per_second
        if rate is None:
            return
        turn = max(_now(), self._next_call)
        self._next_call = turn + calls / rate
        await asyncio.sleep(turn - _now())


@asynccontextmanager
async def session(limits: Limits) -> AsyncIterator[aiohttp.ClientSession]:
    """Connections for all endpoints of a client; their number is bounded by each Node."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"chainflow/{__version__}", "Accept-Encoding": "gzip"},
        timeout=aiohttp.ClientTimeout(
            total=limits.request_seconds, sock_connect=limits.connect_seconds
        ),
        read_bufsize=2**20,
        auto_decompress=False,
    ) as opened:
        yield opened


def _below(url: str, path: str, query: Mapping[str, str]) -> str:
    """The URL of a path below an endpoint's, with its query and the request's own."""
    if not path and not query:
        return url
    parts = urlsplit(url)
    both = "&".join(filter(None, (parts.query, urlencode(query))))
    below = f"{parts.path.rstrip('/')}/{path}" if path else parts.path
    return parts._replace(path=below, query=both).geturl()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _forget_frames(error: BaseException) -> None:
    """Let go of where an error and its causes came from, for the answer itself is held there.

    What an endpoint failed with is kept as long as it is asked, by every question.
    """
    cause: BaseException | None = error
    while cause is not None and cause.__traceback__ is not None:
        cause.__traceback__ = None
        cause = cause.__cause__ or cause.__context__


def _secrets(endpoint: Endpoint) -> tuple[str, ...]:
    """Whatever of an endpoint may be a key: a node's error text may quote it."""
    url = urlsplit(endpoint.url)
    words = [url.username or "", url.password or "", *url.path.split("/")]
    words += [value for _, value in parse_qsl(url.query)]
    words += [word for value in endpoint.headers.values() for word in value.split()]
    known = {form for word in words for form in (word, unquote(word)) if len(form) >= _KEY_LENGTH}
    return tuple(sorted(known, key=len, reverse=True))
