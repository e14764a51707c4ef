"""Asking a chain's endpoints until one answers: which one, when again, and when to give up."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from tenacity import AsyncRetrying, retry_if_exception_type, wait_exponential_jitter

from chainflow.clients._health import is_well, rank, told
from chainflow.clients._hedge import end, hedged
from chainflow.clients._http import Node, session
from chainflow.clients._reason import reason
from chainflow.errors import (
    MalformedAnswer,
    NodeUnavailable,
    NotYet,
    RateLimited,
    TerminalError,
    WorkError,
    WrongChain,
)
from chainflow.types import Heights

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Awaitable,
        Callable,
        Mapping,
        Sequence,
    )

    from tenacity import RetryCallState

    from chainflow.clients._pace import Limits
    from chainflow.endpoints import Endpoint

log = logging.getLogger(__name__)

_T = TypeVar("_T")

# Whatever is added to a height below it, the store can hold.
_NO_HEIGHT = 2**62
# Endpoints that are no further apart are taken at their word.
_APART = 10


@dataclass(slots=True)
class _Ask(Generic[_T]):
    """One question, and what each endpoint last said to it."""

    job: Callable[[Node], Awaitable[_T]]
    about: str
    attempt_seconds: float | None
    deadline_seconds: float
    hedge: Callable[[Node], Awaitable[_T]] | None = None
    began: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    said: dict[Node, WorkError] = field(default_factory=dict)
    aside: set[Node] = field(default_factory=set)
    malformed: Counter[Node] = field(default_factory=Counter)

    def live(self, nodes: Sequence[Node]) -> list[Node]:
        """Endpoints still worth asking, by health, then in the registry's order.

        One that is left alone is among them where no other could be asked just now.
        """
        left = [n for n in nodes if n not in self.aside and n.dismissed is None]
        now = asyncio.get_running_loop().time()
        whole = [node for node in left if not node.health.broken(now)]
        free = any(not node.quiet_seconds() for node in whole)
        return sorted(whole if free else left, key=rank)

    def note(self, node: Node, error: WorkError) -> None:
        """Keep the endpoint's words; leave it out where asking again changes nothing."""
        self.said[node] = error
        if isinstance(error, MalformedAnswer):
            self.malformed[node] += 1
            if self.malformed[node] < node.limits.malformed_attempts:
                return
        if isinstance(error, TerminalError):
            self.aside.add(node)


class Nodes:
    """A chain's endpoints, asked by health, then in the registry's order."""

    def __init__(
        self,
        chain: str,
        nodes: Sequence[Node],
        greet: Callable[[Node], Awaitable[None]],
        limits: Limits,
    ) -> None:
        self._chain = chain
        self._nodes = nodes
        self._greet = greet
        self._limits = limits
        self._hedges = asyncio.Lock()
        self._jitter = wait_exponential_jitter(
            initial=limits.backoff_seconds,
            max=limits.backoff_max_seconds,
            jitter=limits.backoff_seconds,
        )

    @property
    def best(self) -> Node:
        """The endpoint that would be asked next."""
        return min(self._nodes, key=lambda node: (node.dismissed is not None, *rank(node)))

    async def heights(
        self,
        job: Callable[[Node], Awaitable[Heights]],
        shows: Callable[[Node, int], Awaitable[object]],
    ) -> Heights:
        """The newest heights that an endpoint tells and can show; one that lags hides nothing.

        One is asked as by `ask`. The others that are well are asked beside it, once, and waited for
        a little.

        Args:
            job: Asks one endpoint for its heights.
            shows: Asks one endpoint for the block of a height; a WorkError if it has none.

        Raises:
            WorkError: As `ask`, however many of the others answered; a height that no chain has
                is a MalformedAnswer.
        """

        async def sound(node: Node) -> tuple[Node, Heights]:
            told = await job(node)
            for height in (told.head, told.finalized or 0):
                if not 0 <= height < _NO_HEIGHT:
                    raise MalformedAnswer(f"expected a height, got {height:#x}"[:80])
            node.health.head = told.head
            return node, told

        ask = self._question(sound, "heights", heights=True)
        others = [n for n in ask.live(self._nodes)[1:] if is_well(n)]
        looks = [asyncio.create_task(self._attempt(ask, node, sound)) for node in others]
        try:
            seen = [await self._answer(self._question(sound, "heights", heights=True))]
            if looks:
                done, _ = await asyncio.wait(looks, timeout=self._limits.heights_others_seconds)
                seen += [answer for task in done for answer in task.result()]
        finally:
            await end(looks)
        head = await self._shown({node: told.head for node, told in seen}, shows)
        final = {node: told.finalized for node, told in seen if told.finalized is not None}
        return Heights(head, min(head, await self._shown(final, shows)) if final else None)

    async def _shown(
        self, told: Mapping[Node, int], shows: Callable[[Node, int], Awaitable[object]]
    ) -> int:
        """The highest of the endpoints' heights, unless whoever tells it has no block near it.

        Only what is far beyond the lowest is to be shown, and a little below: backends of one
        endpoint are seldom of one height.
        """
        lowest = min(told.values())
        for node, height in sorted(told.items(), key=lambda one: -one[1]):
            if height - lowest <= _APART:
                return height
            try:
                async with asyncio.timeout(self._limits.heights_attempt_seconds):
                    await shows(node, height - _APART)
            except (WorkError, TimeoutError) as error:
                node.health.head = None
                text = "height not shown chain=%s endpoint=%s height=%d others=%d reason=%s"
                why = str(error) or "no answer in time"
                log.warning(text, self._chain, node.host, height, lowest, why)
            else:
                return height
        return lowest

    async def ask(
        self,
        job: Callable[[Node], Awaitable[_T]],
        about: str,
        *,
        hedge: Callable[[Node], Awaitable[_T]] | None = None,
    ) -> _T:
        """What `job` makes of the first endpoint that serves it.

        Args:
            job: Asks one endpoint; may be called again, with another endpoint or the same, and
                may keep what it has got so far.
            about: The height, range or thing asked for, as errors shall name it.
            hedge: The same question without what `job` keeps; asked of another endpoint beside the
                one that is slow to answer, and the first answer counts. None: no other is.

        Raises:
            TransientError: Some endpoint may still answer, but not in time.
            TerminalError: No endpoint is left that another attempt could move.
        """
        return await self._answer(self._question(job, about, hedge=hedge))

    def _question(
        self,
        job: Callable[[Node], Awaitable[_T]],
        about: str,
        *,
        hedge: Callable[[Node], Awaitable[_T]] | None = None,
        heights: bool = False,
    ) -> _Ask[_T]:
        limits = self._limits
        if not heights:
            return _Ask(job, about, None, limits.deadline_seconds, hedge)
        # The last endpoint has its turn before the deadline, however silent the others are.
        share = round(limits.heights_seconds / len(self._nodes), 2)
        attempt_seconds = min(limits.heights_attempt_seconds, share)
        return _Ask(job, about, attempt_seconds, limits.heights_seconds, hedge)

    async def _answer(self, ask: _Ask[_T]) -> _T:
        failed: list[WorkError] = []
        try:
            return await self._round(ask)
        except WorkError as error:
            failed.append(error)

        async def attempt() -> _T:
            if failed:
                raise failed.pop()
            return await self._round(ask)

        # Only now: for an answer that comes at once it would be a twentieth of all the work.
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(WorkError),
            wait=self._wait,
            stop=lambda state: self._stop(ask, state),
            reraise=True,
        )
        return await retrying(attempt)

    async def _round(self, ask: _Ask[_T]) -> _T:
        """One attempt at every endpoint that is worth it, until one answers."""
        asked: set[Node] = set()
        while left := [node for node in ask.live(self._nodes) if node not in asked]:
            node = left[0]
            asked.add(node)
            for answer in await self._hedged(ask, node, asked):
                return answer
        raise self._error(ask)

    async def _hedged(self, ask: _Ask[_T], node: Node, asked: set[Node]) -> tuple[_T, ...]:
        """One endpoint's answer, or another's where it is slow; empty if none came.

        One question at a time is asked twice: where all are slow, asking more makes all slower.
        """
        attempt = self._attempt(ask, node, ask.job)
        if ask.hedge is None or len(self._nodes) == 1:
            return await attempt
        began, job, before = asyncio.get_running_loop().time(), ask.hedge, len(asked)
        answer, late = await hedged(
            attempt,
            lambda: self._beside(ask, job, asked),
            after=node.slow_seconds(),
            begun=lambda: len(asked) > before,
        )
        if answer and late:
            self._slow(ask, node, began)
        return answer

    async def _beside(
        self, ask: _Ask[_T], job: Callable[[Node], Awaitable[_T]], asked: set[Node]
    ) -> tuple[_T, ...]:
        """What another endpoint answers that is well, once it is this question's turn."""
        async with self._hedges:
            left = (node for node in ask.live(self._nodes) if node not in asked)
            spare = next((node for node in left if is_well(node)), None)
            if spare is None:
                return ()
            asked.add(spare)
            return await self._attempt(ask, spare, job)

    def _slow(self, ask: _Ask[_T], node: Node, began: float) -> None:
        """Count an endpoint's slowness as a failure; it is asked for no less, as nothing failed."""
        seconds = asyncio.get_running_loop().time() - began
        error = NodeUnavailable(f"slow: another answered while it took {seconds:.1f} s")
        node.health.ill(error, began, asyncio.get_running_loop().time())
        self._tell(ask, node, error, logging.INFO)

    async def _attempt(
        self, ask: _Ask[_T], node: Node, job: Callable[[Node], Awaitable[_T]]
    ) -> tuple[_T, ...]:
        """One endpoint's answer; empty if it fails, which is noted."""
        began = asyncio.get_running_loop().time()
        if node.health.failures:
            node.health.rest(began)  # this question is the trial; others wait for how it ends
        try:
            async with asyncio.timeout(ask.attempt_seconds):
                await self._meet(node, began)
                asked = asyncio.get_running_loop().time()
                result = await job(node)
        except TimeoutError:
            late = NodeUnavailable(f"no answer within {ask.attempt_seconds:g} s")
            self._failed(ask, node, late, began)
            ask.aside.add(node)  # another attempt would only be as long, and end too late
        except WorkError as error:
            self._failed(ask, node, error, began)
        else:
            node.went_well(asyncio.get_running_loop().time() - asked)
            return (result,)
        return ()

    async def _meet(self, node: Node, began: float) -> None:
        """Greet an endpoint once; who waits for a greeting that fails shares its failure."""
        async with node.meeting:
            if node.met:
                return
            if node.unmet is not None and node.unmet_at >= began:
                raise node.unmet
            try:
                await self._greet(node)
            except WorkError as error:
                node.unmet, node.unmet_at = error, asyncio.get_running_loop().time()
                raise
            node.met = True

    def _failed(self, ask: _Ask[_T], node: Node, error: WorkError, began: float) -> None:
        # Where no other is left, this is the error that is raised: it is told once.
        others = any(other.dismissed is None for other in self._nodes if other is not node)
        loud = isinstance(error, WrongChain) and node.dismissed is None and others
        node.went_wrong(error, began)
        ask.note(node, error)
        self._tell(ask, node, error, logging.ERROR if loud else logging.INFO)

    def _tell(self, ask: _Ask[_T], node: Node, error: WorkError, level: int) -> None:
        log.log(
            level,
            "no answer chain=%s asked=%s endpoint=%s error=%s reason=%s",
            self._chain,
            ask.about,
            node.host,
            type(error).__name__,
            error,
        )

    def _error(self, ask: _Ask[_T]) -> WorkError:
        said = [(n.host, e) for n in self._nodes if (e := ask.said.get(n) or n.dismissed)]
        return reason(f"{self._chain} {ask.about}", said)

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        wish = error.retry_after_seconds if isinstance(error, RateLimited) else None
        return max(wish or 0.0, self._jitter(state))

    def _stop(self, ask: _Ask[_T], state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        bound = ask.deadline_seconds
        if isinstance(error, NotYet):
            bound = min(bound, self._limits.not_yet_seconds)
        passed = asyncio.get_running_loop().time() - ask.began
        return passed + state.upcoming_sleep > bound or not ask.live(self._nodes)


@asynccontextmanager
async def opened(
    chain: str, endpoints: Sequence[Endpoint], limits: Limits
) -> AsyncIterator[list[Node]]:
    """A chain's endpoints over HTTP; in the end it is logged what became of each."""
    async with session(limits) as http:
        nodes = [Node(endpoint, http, limits) for endpoint in endpoints]
        with told(chain, nodes):
            yield nodes
