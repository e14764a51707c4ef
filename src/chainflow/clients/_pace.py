"""How much is asked of an endpoint at once, how long an answer may take, how large it may be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of one client. The numbers hold for public nodes; tests shorten the times."""

    connect_seconds: float = 10.0
    request_seconds: float = 60.0
    # All attempts at one span of heights, waits included; a request under way may end later.
    deadline_seconds: float = 180.0
    # The same for a height that the node does not have yet: a lagging backend needs seconds.
    not_yet_seconds: float = 30.0
    # Asking for the heights, when a person or a poll of all chains waits: in all, and one endpoint.
    heights_seconds: float = 8.0
    heights_attempt_seconds: float = 5.0
    backoff_seconds: float = 0.5
    backoff_max_seconds: float = 15.0
    # The pause after a rate limit that tells no Retry-After.
    quiet_seconds: float = 1.0
    # How often one endpoint may contradict itself before it is left out for a span of heights.
    malformed_attempts: int = 3
    # An endpoint that failed comes after the others for so long, twice as long after each failure
    # more; after so many failures in a row it is not asked at all while another one is sound.
    rest_seconds: float = 2.0
    rest_max_seconds: float = 120.0
    failures_in_a_row: int = 3
    # One that contradicted itself comes last for so long, twice as long each time, whatever it
    # answers meanwhile.
    distrust_seconds: float = 300.0
    distrust_max_seconds: float = 3600.0
    # From when on a question counts as slow and another endpoint is asked as well: at least this,
    # and so many times what is typical of the endpoint.
    hedge_seconds: float = 2.0
    hedge_times: float = 3.0
    # How long the other endpoints' heights are waited for once the first one's are known.
    heights_others_seconds: float = 1.0
    # How many calls an endpoint is sent in a second, those of a batch each for itself.
    calls_per_second: float | None = None
    requests_in_flight: int = 16
    calls_per_request: int = 50
    # An answer beyond this is refused; beyond the next, one is read at a time; one beyond the last
    # makes the next request smaller: what is read while the processor's cache holds it costs less,
    # and with small answers a node that is far away is waited for.
    body_bytes: int = 256 * 2**20
    large_bytes: int = 4 * 2**20
    answer_bytes: int = 2 * 2**20
    # What may wait for the consumer.
    buffer_bytes: int = 48 * 2**20
    buffer_blocks: int = 1000


DEFAULT = Limits()


class Pace:
    """A size that grows by one while all goes well, and is halved on trouble."""

    __slots__ = ("size", "top")

    def __init__(self, start: int, top: int) -> None:
        self.size = min(start, top)
        self.top = top

    def up(self) -> None:
        """One more, up to the top."""
        self.size = min(self.size + 1, self.top)

    def halve(self, of: int | None = None) -> int:
        """The new size: at most half of what was tried (by default the size itself), at least 1."""
        self.size = max(1, min(self.size, (of or self.size) // 2))
        return self.size

    def fit(self, size: int) -> None:
        """No more than `size`, at least 1; it may grow again."""
        self.size = max(1, min(self.size, size))

    def stay_at_one(self) -> None:
        """One, and never more again."""
        self.size = self.top = 1
