"""What the EVM client does when a node answers late, badly, or not at all."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

import pytest

from chainflow.clients import evm
from chainflow.errors import (
    HeightPruned,
    NodeUnavailable,
    NotYet,
    RateLimited,
    RequestRefused,
)
from chainflow.types import BlockRange, RawBlock
from tests import fake_node
from tests.fake_node import CHAIN, FAST, SOON, FakeNode, Reaction, chain, fetch, heights

RECEIPTS = "eth_getBlockReceipts"
ALWAYS = math.inf
TEN = BlockRange(0, 10)
# One request at a time: what is asked can be counted.
SINGLE = replace(FAST, requests_in_flight=1)


def _heights(blocks: list[RawBlock]) -> list[int]:
    return [block.height for block in blocks]


# Trouble that passes

PASSING: dict[str, Reaction] = {
    "429 with Retry-After": fake_node.http(429, headers={"Retry-After": "0"}),
    "429 without": fake_node.http(429, "slow down"),
    "rate limit as an error": fake_node.say(fake_node.error(-32005, "rate limit")),
    "rate limit as a bare string": fake_node.say({"error": "too many requests"}),
    "a gateway's object": fake_node.say({"message": "API rate limit exceeded"}),
    "503 with HTML": fake_node.http(503, "<html>busy</html>"),
    "500 with an error": fake_node.say(fake_node.error(-32603, "internal error"), status=500),
    "200 with HTML": fake_node.http(200, "<!doctype html><title>hi</title>"),
    "empty body": fake_node.http(200),
    "cut body": fake_node.cut(),
    "cut JSON": fake_node.http(200, '[{"jsonrpc":"2.0","id":1,"result":{"number"'),
    "not UTF-8": fake_node.http(200, b'[{"id":1,"result":"\xff\xfe"}]'),
    "too deep": fake_node.http(200, "[" * 100_000),
    "reset": fake_node.reset(),
    "an empty batch": fake_node.say([]),
    "another's answers": fake_node.say([{"id": 901, "result": None}]),
    "bad gzip": fake_node.http(200, "not gzip", headers={"Content-Encoding": "gzip"}),
    "null blocks": fake_node.edit(fake_node.null, method="eth_getBlockByNumber"),
    "null receipts": fake_node.edit(fake_node.null, method=RECEIPTS),
    "empty receipts": fake_node.edit(lambda _: [], method=RECEIPTS),
    "null among the receipts": fake_node.edit(lambda r: [r[0], None], method=RECEIPTS),
    "header not found": fake_node.edit(fake_node.fails(-32000, "header not found"), height=3),
    "one call limited": fake_node.edit(fake_node.fails(-32005, "limit exceeded"), height=3),
    "one call flaky": fake_node.edit(fake_node.fails(-32603, "upstream timeout"), height=3),
    "too large": fake_node.say(fake_node.error(-32600, "response too large")),
    "413": fake_node.http(413, "Request Entity Too Large"),
}


@pytest.mark.parametrize("trouble", PASSING)
def test_trouble_that_passes_costs_only_another_attempt(trouble: str) -> None:
    """The same endpoint is asked again, and every block comes, once."""
    node = FakeNode(chain(10))
    # Too large as a single call is too large for good.
    node.react(PASSING[trouble], times=1 if trouble in {"413", "too large"} else 2)
    assert _heights(fetch([node], TEN)) == list(TEN)


@pytest.mark.parametrize("trouble", PASSING)
def test_trouble_that_stays_is_left_for_another_endpoint(trouble: str) -> None:
    """With a second endpoint every block comes, from it."""
    sick, well = FakeNode(chain(10)), FakeNode(chain(10))
    sick.react(PASSING[trouble], times=ALWAYS)
    sick.react(PASSING[trouble], times=ALWAYS, method=RECEIPTS)
    assert _heights(fetch([sick, well], TEN)) == list(TEN)
    assert well.asked


@pytest.mark.parametrize("trouble", ["503 with HTML", "200 with HTML", "cut body", "reset"])
def test_trouble_that_stays_everywhere_is_node_unavailable(trouble: str) -> None:
    """After the deadline the error names chain, range, endpoint and what came."""
    node = FakeNode(chain(10))
    node.react(PASSING[trouble], times=ALWAYS)
    with pytest.raises(NodeUnavailable) as caught:
        fetch([node], TEN, limits=SOON)
    assert str(caught.value).startswith(f"testnet [0, 1): {node.host}: ")


def test_a_third_of_calls_failing_still_gives_every_block() -> None:
    """What came is kept, so that each attempt makes progress."""
    node = FakeNode(chain(60), lacks=(RECEIPTS,))
    limited = fake_node.fails(-32005, "limit exceeded")
    for height in range(0, 60, 3):
        node.react(fake_node.edit(limited, height=height))
        node.react(fake_node.http(429))
    blocks = fetch([node], BlockRange(0, 60))
    assert _heights(blocks) == list(range(60))


def test_a_node_that_does_not_answer_in_time_is_left() -> None:
    """The timeout is the request's; another endpoint answers."""
    slow, well = FakeNode(chain(10)), FakeNode(chain(10))
    slow.react(fake_node.hang(5.0), times=ALWAYS)
    limits = replace(FAST, request_seconds=0.3)
    assert _heights(fetch([slow, well], TEN, limits=limits)) == list(TEN)


def test_a_node_that_never_answers_is_node_unavailable() -> None:
    """The work ends, with the time that was waited in its message."""
    node = FakeNode(chain(10))
    node.react(fake_node.hang(2.0), times=ALWAYS)
    with pytest.raises(NodeUnavailable, match=r"no answer within 0\.1 s"):
        fetch([node], TEN, limits=replace(SOON, request_seconds=0.1))


def test_heights_do_not_wait_for_an_endpoint_that_hangs() -> None:
    """The next one is asked after a time much shorter than a request's; alone, it is an error."""
    limits = replace(FAST, heights_attempt_seconds=0.3, heights_seconds=10.0)
    slow, well = FakeNode(chain(10)), FakeNode(chain(10))
    slow.react(fake_node.hang(5.0), method="eth_blockNumber", times=ALWAYS)
    assert heights([slow, well], limits=limits).head == 9
    with pytest.raises(NodeUnavailable, match=r"testnet heights: .*: no answer within 0\.3 s"):
        heights([slow], limits=limits)


def test_a_connection_refused_is_node_unavailable() -> None:
    """Nothing listens there; the message says so and holds no URL."""
    endpoint = fake_node.refused("/v1/secret-api-key")

    async def work() -> None:
        async with evm.connect(CHAIN, [endpoint], SOON) as client:
            await client.heights()

    with pytest.raises(NodeUnavailable, match="cannot connect") as caught:
        asyncio.run(work())
    assert "secret" not in str(caught.value)


def test_a_rate_limit_beyond_the_deadline_is_told_at_once_with_its_wish() -> None:
    """Nobody sleeps towards a deadline that cannot be met; the task may wait instead."""
    node = FakeNode(chain(10))
    node.react(fake_node.http(429, headers={"Retry-After": "3600"}), times=ALWAYS)
    with pytest.raises(RateLimited) as caught:
        fetch([node], TEN)
    assert caught.value.retry_after_seconds == pytest.approx(3600, abs=5)
    # Requests that were in flight together; none after they were told to be quiet.
    assert len(node.calls("eth_getBlockByNumber")) <= 20


def test_a_rate_limited_node_is_left_alone_while_another_serves() -> None:
    """It is asked again by none of the later requests within its Retry-After."""
    limited, well = FakeNode(chain(100)), FakeNode(chain(100))
    limited.react(fake_node.http(429, headers={"Retry-After": "600"}), times=ALWAYS)
    assert len(fetch([limited, well], BlockRange(0, 100), limits=SINGLE)) == 100
    assert len(limited.asked) <= 3


def test_a_height_that_does_not_come_is_not_yet() -> None:
    """Null for long enough is a transient error that names the height."""
    with pytest.raises(NotYet, match="height 10: eth_getBlockByNumber: null"):
        fetch([FakeNode(chain(10))], BlockRange(8, 12), limits=SOON)


def test_a_height_that_a_lagging_node_lacks_comes_from_another() -> None:
    """The first has four blocks, the second all."""
    lagging, well = FakeNode(chain(4)), FakeNode(chain(10))
    assert _heights(fetch([lagging, well], TEN)) == list(TEN)


# Trouble that stays


def test_a_pruned_height_asks_for_an_archive() -> None:
    """The message names heights, endpoint and the remedy; nothing is retried."""
    node = FakeNode(chain(10))
    pruned = fake_node.fails(-32000, "missing trie node: history has been pruned")
    node.react(fake_node.edit(pruned, height=2), times=ALWAYS)
    with pytest.raises(HeightPruned, match="archive node") as caught:
        fetch([node], TEN, limits=SINGLE)
    assert "height 2" in str(caught.value)
    asked = [c for c in node.calls("eth_getBlockByNumber") if c["params"][0] == "0x2"]
    assert len(asked) == 1


def test_a_pruned_height_comes_from_an_archive() -> None:
    """The second endpoint has it."""
    pruned, archive = FakeNode(chain(10)), FakeNode(chain(10))
    pruned.react(fake_node.edit(fake_node.fails(4444, "pruned history")), times=ALWAYS)
    assert _heights(fetch([pruned, archive], TEN)) == list(TEN)


def test_a_request_called_bad_is_not_repeated() -> None:
    """Our own fault, or the endpoint's settings: asked once, told, and no more."""
    node = FakeNode(chain(10))
    node.react(fake_node.edit(fake_node.fails(-32602, "invalid params")), times=ALWAYS)
    with pytest.raises(RequestRefused, match="invalid params"):
        fetch([node], BlockRange(0, 1), limits=SINGLE)
    assert len(node.calls("eth_getBlockByNumber")) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 301])
def test_a_refused_key_or_moved_address_is_not_repeated(status: int) -> None:
    """The status is told; redirects are not followed, as they could carry the key away."""
    node = FakeNode(chain(10))
    elsewhere = {"Location": "/elsewhere"} if status == 301 else None
    node.react(fake_node.http(status, "no", headers=elsewhere), method="eth_chainId", times=ALWAYS)
    with pytest.raises(RequestRefused, match=f"HTTP {status}"):
        fetch([node], BlockRange(0, 1))
    assert len(node.asked) == 1


def test_an_error_quotes_no_key_of_ours() -> None:
    """A node that repeats our key, from path, query or header, does not get it into the text."""
    keys = ("path-key-123456", "query-key-123456", "header-key-123456")
    node = FakeNode(
        chain(10), path=f"/v2/{keys[0]}?token={keys[1]}", headers={"X-Key": f"Bearer {keys[2]}"}
    )
    node.react(fake_node.http(401, f"bad key {' '.join(keys)}"), method="eth_chainId")
    with pytest.raises(RequestRefused, match=r"bad key \*\*\* \*\*\* \*\*\*") as caught:
        fetch([node], BlockRange(0, 1))
    assert not any(key in str(caught.value) for key in keys)
