"""Why a question has no answer: the most telling endpoint's error, in the words of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from collections.abc import Sequence

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
_ADVICE: dict[type[WorkError], str] = {
    HeightPruned: "; add an archive node to the chain's endpoints",
    WrongChain: "; correct chain_id or endpoints in the registry",
}


def reason(about: str, said: Sequence[tuple[str, WorkError]]) -> WorkError:
    """The error to raise, of the kind of the most telling one.

    Args:
        about: The chain, and what was asked.
        said: Each endpoint's host and error; at least one.
    """
    errors = [error for _, error in said]
    worst = min(errors, key=lambda error: _TELLING.index(type(error)))
    words = "; ".join(f"{host}: {error}" for host, error in said)
    text = f"{about}: {words}{_ADVICE.get(type(worst), '')}"
    if isinstance(worst, RateLimited):
        waits = [e.retry_after_seconds or 0.0 for e in errors if isinstance(e, RateLimited)]
        return RateLimited(text, min(waits) or None)
    return type(worst)(text)
