"""Asking a chain's endpoints until one answers: which one, when again, and when to give up."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from tenacity import AsyncRetrying, retry_if_exception_type, wait_exponential_jitter

from chainflow.errors import (
    AnswerTooLarge,
    HeightPruned,
    MalformedAnswer,
    NodeUnavailable,
    NotYet,
    RateLimited,
    RequestRefused,
    TerminalError,
    Unsupported,
    WorkError,
    WrongChain,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tenacity import RetryCallState

    from chainflow.clients._http import Node
    from chainflow.clients._pace import Limits
    from chainflow.types import Heights

log = logging.getLogger(__name__)

_T = TypeVar("_T")

# Which of several endpoints' errors tells most about why there is no answer.
_TELLING: tuple[type[WorkError], ...] = (
    NotYet,
    NodeUnavailable,
    RateLimited,
    HeightPruned,
    AnswerTooLarge,
    MalformedAnswer,
    Unsupported,
    RequestRefused,
    WrongChain,
)
# Whatever is added to a height below it, the store can hold.
_NO_HEIGHT = 2**62
_ADVICE: dict[type[WorkError], str] = {
    HeightPruned: "; add an archive node to the chain's endpoints",
    WrongChain: "; correct chain_id or endpoints in the registry",
}


@dataclass(slots=True)
class _Ask(Generic[_T]):
    """One question, and what each endpoint last said to it."""

    job: Callable[[Node], Awaitable[_T]]
    about: str
    attempt_seconds: float | None
    deadline_seconds: float
    said: dict[Node, WorkError] = field(default_factory=dict)
    aside: set[Node] = field(default_factory=set)
    malformed: Counter[Node] = field(default_factory=Counter)

    def live(self, nodes: Sequence[Node]) -> list[Node]:
        """Endpoints still worth asking, by health, then in the registry's order."""
        left = [n for n in nodes if n not in self.aside and n.dismissed is None]
        return sorted(left, key=lambda node: (node.quiet_seconds() > 0, node.failures))

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
        self._jitter = wait_exponential_jitter(
            initial=limits.backoff_seconds,
            max=limits.backoff_max_seconds,
            jitter=limits.backoff_seconds,
        )

    @property
    def best(self) -> Node:
        """The endpoint that would be asked next."""
        return min(
            self._nodes,
            key=lambda n: (n.dismissed is not None, n.quiet_seconds() > 0, n.failures),
        )

    async def heights(self, job: Callable[[Node], Awaitable[Heights]]) -> Heights:
        """What the first endpoint that answers in time says of its heights.

        Raises:
            WorkError: As `ask`; a height that no chain has is a MalformedAnswer.
        """

        async def possible(node: Node) -> Heights:
            seen = await job(node)
            for height in (seen.head, seen.finalized or 0):
                if not 0 <= height < _NO_HEIGHT:
                    raise MalformedAnswer(f"expected a height, got {height:#x}"[:80])
            return seen

        return await self.ask(
            possible,
            "heights",
            attempt_seconds=self._limits.heights_attempt_seconds,
            deadline_seconds=self._limits.heights_seconds,
        )

    async def ask(
        self,
        job: Callable[[Node], Awaitable[_T]],
        about: str,
        *,
        attempt_seconds: float | None = None,
        deadline_seconds: float | None = None,
    ) -> _T:
        """What `job` makes of the first endpoint that serves it.

        Args:
            job: Asks one endpoint; may be called again, with another endpoint or the same, and
                may keep what it has got so far.
            about: The height, range or thing asked for, as errors shall name it.
            attempt_seconds: How long one endpoint may take, beyond the bound of each request.
            deadline_seconds: After which no new attempt begins; by default that of the limits.

        Raises:
            TransientError: Some endpoint may still answer, but not in time.
            TerminalError: No endpoint is left that another attempt could move.
        """
        deadline = deadline_seconds or self._limits.deadline_seconds
        if attempt_seconds is not None:
            # The last endpoint has its turn before the deadline, however silent the others are.
            attempt_seconds = min(attempt_seconds, round(deadline / len(self._nodes), 2))
        ask = _Ask(job, about, attempt_seconds, deadline)
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(WorkError),
            wait=self._wait,
            stop=lambda state: self._stop(ask, state),
            reraise=True,
        )
        return await retrying(self._round, ask)

    async def _round(self, ask: _Ask[_T]) -> _T:
        """One attempt at every endpoint that is worth it, until one answers."""
        for node in ask.live(self._nodes):
            began = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(ask.attempt_seconds):
                    await self._meet(node, began)
                    result = await ask.job(node)
            except TimeoutError:
                late = NodeUnavailable(f"no answer within {ask.attempt_seconds:g} s")
                self._failed(ask, node, late, began)
                ask.aside.add(node)  # another attempt would only be as long, and end too late
            except WorkError as error:
                self._failed(ask, node, error, began)
            else:
                node.went_well()
                return result
        raise self._error(ask)

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
        loud = isinstance(error, WrongChain) and node.dismissed is None
        node.went_wrong(error, began)
        ask.note(node, error)
        log.log(
            logging.ERROR if loud else logging.INFO,
            "no answer chain=%s asked=%s endpoint=%s error=%s reason=%s",
            self._chain,
            ask.about,
            node.host,
            type(error).__name__,
            error,
        )

    def _error(self, ask: _Ask[_T]) -> WorkError:
        """The most telling endpoint's error, in the words of all of them."""
        said = {n: e for n in self._nodes if (e := ask.said.get(n) or n.dismissed)}
        worst = min(said.values(), key=lambda error: _TELLING.index(type(error)))
        words = "; ".join(f"{node.host}: {error}" for node, error in said.items())
        text = f"{self._chain} {ask.about}: {words}{_ADVICE.get(type(worst), '')}"
        if isinstance(worst, RateLimited):
            waits = [
                e.retry_after_seconds or 0.0 for e in said.values() if isinstance(e, RateLimited)
            ]
            return RateLimited(text, min(waits) or None)
        return type(worst)(text)

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        wish = error.retry_after_seconds if isinstance(error, RateLimited) else None
        return max(wish or 0.0, self._jitter(state))

    def _stop(self, ask: _Ask[_T], state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        bound = ask.deadline_seconds
        if isinstance(error, NotYet):
            bound = min(bound, self._limits.not_yet_seconds)
        late = (state.seconds_since_start or 0.0) + state.upcoming_sleep > bound
        return late or not ask.live(self._nodes)
