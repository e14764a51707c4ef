"""What a node's error means."""

from __future__ import annotations

import pytest

from chainflow.clients import _refusals
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

SAYINGS: list[tuple[type[WorkError], int, str]] = [
    (RateLimited, -32005, "limit exceeded"),
    (RateLimited, -32005, "daily request count exceeded, request rate limited"),
    (RateLimited, -32016, "over the limit"),
    (RateLimited, -32097, "slow down"),
    (RateLimited, 429, "Your app has exceeded its compute units per second capacity."),
    (RateLimited, -32603, "Too many requests, reason: call rate limit exhausted"),
    (RateLimited, -32000, "You have reached the quota of your plan"),
    (RateLimited, -32603, "capacity exceeded"),
    (AnswerTooLarge, -32602, "block range is too wide"),
    (AnswerTooLarge, -32005, "query returned more than 10000 results"),
    (AnswerTooLarge, -32000, "response size exceeded"),
    (AnswerTooLarge, -32003, "response too large"),
    (AnswerTooLarge, -32012, "exceeds max results"),
    (AnswerTooLarge, -32600, "batch too large"),
    (AnswerTooLarge, -32000, "batch limit 10 exceeded"),
    (AnswerTooLarge, -32005, "too many requests in batch"),
    (AnswerTooLarge, -32600, "maximum batch size is 20"),
    (Unsupported, -32601, "no"),
    (Unsupported, -32004, "Method eth_getBlockReceipts is not supported"),
    (Unsupported, -32700, "The method eth_getBlockReceipts does not exist/is not available"),
    (Unsupported, -32603, "method is not whitelisted"),
    (Unsupported, -32000, "rpc method is not whitelisted"),
    (Unsupported, -32603, "eth_getBlockReceipts is not included in your current plan"),
    (HeightPruned, 4444, "gone"),
    (HeightPruned, -32000, "missing trie node ab12 (path ) state 0x12 is not available"),
    (HeightPruned, -32603, "pruned history unavailable"),
    (HeightPruned, -32000, "an archive node is required for this height"),
    (NotYet, -32000, "header not found"),
    (NotYet, -32000, "block not found"),
    (NotYet, -39001, "Unknown block"),
    (NotYet, -32000, "finalized block not found"),
    (NotYet, -32000, "cannot query unfinalized data"),
    (NotYet, -32602, "block range extends beyond current head block"),
    (NotYet, -32602, "BlockOutOfRangeError: block height is 20 but requested was 50"),
    (NotYet, -32001, "Resource not found"),
    (NotYet, -32603, "the receipts of block 0x5 are not yet known"),
    (RequestRefused, -32602, "invalid argument 0: hex string without 0x prefix"),
    (RequestRefused, -32602, "too few"),
    (RequestRefused, -32700, "bad"),
    (RequestRefused, -32000, "Unauthorized: invalid API key"),
    (NodeUnavailable, -32603, "Internal error"),
    (NodeUnavailable, -32000, "context deadline exceeded"),
    (NodeUnavailable, -32603, "upstream timeout"),
    (NodeUnavailable, 0, ""),
]


@pytest.mark.parametrize(("kind", "code", "text"), SAYINGS)
def test_error_means_what_its_text_says_before_its_code(
    kind: type[WorkError], code: int, text: str
) -> None:
    """Each known phrase decides, whatever the code; then the code; then it is flaky."""
    assert _refusals.by_error(code, text) is kind


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (RateLimited, 429),
        (AnswerTooLarge, 413),
        (NodeUnavailable, 500),
        (NodeUnavailable, 503),
        (NodeUnavailable, 408),
        (RequestRefused, 301),
        (RequestRefused, 400),
        (RequestRefused, 401),
        (RequestRefused, 404),
    ],
)
def test_status_alone_says_whether_to_try_again(kind: type[WorkError], status: int) -> None:
    """A server's trouble passes; a refusal does not."""
    assert _refusals.by_status(status) is kind
