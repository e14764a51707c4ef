"""What an endpoint's past says of whether to ask it next."""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chainflow.errors import (
    HeightPruned,
    MalformedAnswer,
    NodeUnavailable,
    RequestRefused,
    Unsupported,
    WorkError,
    WrongChain,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from chainflow.clients._http import Node
    from chainflow.clients._pace import Limits

log = logging.getLogger(__name__)

# What an endpoint is asked later for; the rest is no fault of it.
_AILING = (
    NodeUnavailable,
    MalformedAnswer,
    HeightPruned,
    Unsupported,
    RequestRefused,
    WrongChain,
)
# How much the last answer's time counts in what is typical.
_NEWEST = 0.2


@dataclass(slots=True)
class Health:
    """One endpoint's answers and failures; times are the event loop's, in seconds.

    `failures` are those in a row, of one cause counted once; `answered` and `failed` are all;
    `seconds` is what a question typically takes; `head` the newest height it told; `error` its
    last failure.
    """

    limits: Limits
    failures: int = 0
    answered: int = 0
    failed: int = 0
    seconds: float | None = None
    head: int | None = None
    error: WorkError | None = None
    distrusted_until: float = -math.inf
    _contradictions: int = 0
    _failed_at: float = -math.inf
    _rests_until: float = -math.inf

    def well(self, seconds: float) -> None:
        """Count an answer that took so long."""
        self.answered += 1
        self.failures = 0
        before = seconds if self.seconds is None else self.seconds
        self.seconds = before + _NEWEST * (seconds - before)

    def ill(self, error: WorkError, began: float, now: float) -> None:
        """Count a failure of work begun at `began`."""
        self.failed += 1
        self.error = error
        if not isinstance(error, _AILING):
            return
        if isinstance(error, MalformedAnswer):
            self._distrust(now)
        # Questions that were open together fail of one cause.
        if began >= self._failed_at:
            self._failed_at = now
            self.failures += 1
            self.rest(now)

    def rest(self, now: float) -> None:
        """Come after the others for a while, the longer the more failures stand in a row."""
        doubled = self.limits.rest_seconds * 2.0 ** min(max(0, self.failures - 1), 30)
        self._rests_until = now + min(doubled, self.limits.rest_max_seconds)

    def rests(self, now: float) -> bool:
        """Whether it failed lately; afterwards one question is tried before others follow."""
        return self.failures > 0 and now < self._rests_until

    def broken(self, now: float) -> bool:
        """Whether it failed so often in a row that it is left alone for now."""
        return self.failures >= self.limits.failures_in_a_row and self.rests(now)

    def distrusted(self, now: float) -> bool:
        """Whether it contradicted itself lately, whatever it has answered since."""
        return now < self.distrusted_until

    def slow_seconds(self) -> float:
        """How long a question may take before it is slow, for this endpoint."""
        return max(self.limits.hedge_seconds, self.limits.hedge_times * (self.seconds or 0.0))

    def _distrust(self, now: float) -> None:
        if self.distrusted(now):
            return
        doubled = self.limits.distrust_seconds * 2.0 ** min(self._contradictions, 30)
        self.distrusted_until = now + min(doubled, self.limits.distrust_max_seconds)
        self._contradictions += 1


def rank(node: Node) -> tuple[bool, bool, bool, int]:
    """Where an endpoint stands among others just now: later is worse."""
    now = asyncio.get_running_loop().time()
    health = node.health
    # One that has rested comes in its old place: one question then tries it.
    failures = health.failures if health.rests(now) else 0
    return health.distrusted(now), health.broken(now), node.quiet_seconds() > 0, failures


def is_well(node: Node) -> bool:
    """Whether nothing speaks against an endpoint just now."""
    distrusted = node.health.distrusted(asyncio.get_running_loop().time())
    return not (node.health.failures or distrusted or node.quiet_seconds() or node.dismissed)


def refused(node: Node, height: int, error: WorkError) -> None:
    """Log a block that contradicts itself or its neighbours, which costs its endpoint our trust."""
    if isinstance(error, MalformedAnswer):
        text = "refused block chain=%s height=%d endpoint=%s reason=%s"
        log.warning(text, node.chain, height, node.host, error)


@contextmanager
def told(chain: str, nodes: Collection[Node]) -> Iterator[None]:
    """Log, when the context ends, what became of each of a chain's endpoints that was asked.

    Meanwhile the endpoints know whose they are.
    """
    for node in nodes:
        node.chain = chain
    try:
        yield
    finally:
        best = max((node.health.head or 0 for node in nodes), default=0)
        for node in nodes:
            health = node.health
            if not health.answered + health.failed:
                continue
            log.info(
                "endpoint chain=%s endpoint=%s answered=%d failed=%d typical_ms=%s behind=%s "
                "last_error=%s",
                chain,
                node.host,
                health.answered,
                health.failed,
                "-" if health.seconds is None else round(1000 * health.seconds),
                "-" if health.head is None else best - health.head,
                type(health.error).__name__ if health.error else "-",
            )
