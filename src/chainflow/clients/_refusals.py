"""What a node's error means. Its text is read before its code: -32603 is used for everything.

Source: the error classes of erpc/erpc (error_normalizer.go) and subsquid/squid-sdk, and what geth,
anvil, ganache and hardhat nodes answered to us.
"""

from __future__ import annotations

import re

from chainflow.errors import (
    AnswerTooLarge,
    HeightPruned,
    NodeUnavailable,
    NotYet,
    RateLimited,
    RequestRefused,
    Unsupported,
    WorkError,
)

# The first match decides; the order is part of the meaning.
_PHRASES: tuple[tuple[type[WorkError], str], ...] = (
    (RateLimited, r"rate.?limit"),
    (
        AnswerTooLarge,
        r"range.{0,12}too (large|wide)|too large|max(imum)?( block)? range|range limit"
        r"|exceeds the range|response size|response.{0,20}(exceed|too big)|returned more than"
        r"|exceeds? max(imum)? (results|response)|query (exceeds|returned more)|too many results"
        r"|blocks distance|getlogs is limited|limit the query|payload.{0,12}(large|exceed)"
        r"|batch.{0,40}(limit|size|many|more than|max|exceed|items)"
        r"|(limit|max|many|more than|exceed).{0,40}batch",
    ),
    (
        RateLimited,
        r"too many requests|requests limited to|quota|compute units|throughput|capacity"
        r"|has exceeded|limit exceeded|limit reached|requests? (count|per)|free tier"
        r"|too much load|overloaded|try again (in|later)",
    ),
    (
        Unsupported,
        r"method.{0,80}(not (been )?(found|available|supported|whitelisted|allowed|enabled"
        r"|implemented|exist)|does(n't| not) exist|disabled|unavailable|not included)"
        r"|(unsupported|unknown|unavailable|invalid|no such) method|api.{0,12}disabled"
        r"|whitelisted|not (yet )?(supported|implemented)|current plan|not persisting",
    ),
    (
        HeightPruned,
        r"prun(ed|ing)|missing trie node|archive|ancient|lowest (available )?(height|block)"
        r"|history.{0,20}not available|historical state|older than|before the (first|earliest)",
    ),
    (
        NotYet,
        r"(header|block|receipts?|transaction|height|resource)s?\b.{0,80}"
        r"(not (be )?(found|available|known|exist)|does(n't| not) exist)|unknown block"
        r"|unfinalized data|after last accepted|invalid block height|beyond.{0,20}head"
        r"|height is \d+ but requested|future block|not yet|less than or equal to the current"
        r"|could not find results",
    ),
    (
        RequestRefused,
        r"api.?key|unauthori[sz]ed|forbidden|authenticat|not allowed|access denied|permission"
        r"|project.{0,20}(disabled|not found)|execution reverted|hex string"
        r"|invalid (argument|params?|request|json)|parse error|validation error"
        r"|must be greater than",
    ),
)
_BY_TEXT = tuple((kind, re.compile(phrase)) for kind, phrase in _PHRASES)
_BY_CODE: dict[int, type[WorkError]] = {
    429: RateLimited,
    -32005: RateLimited,
    -32016: RateLimited,
    -32097: RateLimited,
    -32601: Unsupported,
    -32004: Unsupported,
    4444: HeightPruned,
    -32001: NotYet,
    -39001: NotYet,
    -32600: RequestRefused,
    -32602: RequestRefused,
    -32700: RequestRefused,
}
_FLAKY_STATUS = (408, 425)
_SERVER_ERROR = 500


def by_text(text: str) -> type[WorkError] | None:
    """The error that the node's words name; None if they name none we know."""
    lower = text.lower()
    return next((kind for kind, phrase in _BY_TEXT if phrase.search(lower)), None)


def by_error(code: int, text: str) -> type[WorkError]:
    """The error that a JSON-RPC error object is; NodeUnavailable where nothing says more."""
    return by_text(text) or _BY_CODE.get(code, NodeUnavailable)


def by_status(status: int) -> type[WorkError]:
    """The error that an HTTP status is, its body saying nothing."""
    if status == 429:
        return RateLimited
    if status == 413:
        return AnswerTooLarge
    if status >= _SERVER_ERROR or status in _FLAKY_STATUS:
        return NodeUnavailable
    return RequestRefused
