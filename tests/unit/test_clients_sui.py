"""Sui's client: a checkpoint store and a node's ledger service, and what either may answer."""

from __future__ import annotations

import asyncio
import logging
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import grpc
import pytest
import zstandard
from aiohttp import web

from chainflow.clients import Probed
from chainflow.clients import sui as client
from chainflow.clients._http import Node as HttpNode
from chainflow.clients._http import session
from chainflow.clients._sui_store import Store
from chainflow.devnet import _sui_checkpoints as made
from chainflow.endpoints import Endpoint
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
from chainflow.types import BlockRange, Heights
from chainflow.wire import _sui_messages as messages
from tests import sui
from tests.fake_node import FAST, SOON
from tests.sui_nodes import (
    ALL,
    CHAIN,
    OBJECTS,
    FakeLedger,
    FakeStore,
    Node,
    fetch,
    heights,
    status,
)

BODIES = sui.checkpoints(41)
TEN = BlockRange(0, 10)
GENESIS = sui.digest(BODIES[0])
NOT_FOUND = grpc.StatusCode.NOT_FOUND
# A store or node whose recent heights are still far above those it has dropped.
FAR: Sequence[bytes] = [b""] * 5_000


def test_store_and_node_give_the_same_checkpoints() -> None:
    """Whatever the transport, the same blocks: hashes, times and all that is inside."""
    over_http, over_grpc = fetch([FakeStore(BODIES)], TEN), fetch([FakeLedger(BODIES)], TEN)
    assert [replace(block, size=0) for block in over_http] == [
        replace(block, size=0) for block in over_grpc
    ]
    assert [block.hash for block in over_http] == [sui.digest(body) for body in BODIES[:10]]


def test_first_checkpoint_has_the_parent_of_nobody() -> None:
    """Checkpoint 0 names none; its parent is 32 zero bytes."""
    (first,) = fetch([FakeStore(BODIES)], BlockRange(0, 1))
    assert first.parent_hash == "1" * 32


def test_size_is_what_was_sent_unpacked() -> None:
    """What waits in memory is bounded by it, and a small file may hold much."""
    (block,) = fetch([FakeStore(BODIES)], BlockRange(3, 4))
    assert len(made.compressed(BODIES[3])) < block.size == len(BODIES[3])


def test_many_checkpoints_are_under_way_at_once() -> None:
    """The next are asked for while one is answered: catching up is not a matter of latency."""
    most = at_once = 0

    async def slow(_: web.Request) -> web.StreamResponse:
        nonlocal most, at_once
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.02)
        at_once -= 1
        return web.Response(status=503)

    async def first(_: web.Request) -> web.StreamResponse:
        return web.Response(body=made.compressed(BODIES[0]))

    store = FakeStore(BODIES)
    store.react(first)
    store.react(slow, times=8)
    assert len(fetch([store], BlockRange(0, 41))) == 41
    assert most > 2


def test_node_is_asked_for_objects_only_where_they_are_needed() -> None:
    """They are most of the bytes; balances alone need them."""
    few, all_of_it = FakeLedger(BODIES), FakeLedger(BODIES)
    fetch([few], TEN, ("blocks", "transactions", "events"))
    fetch([all_of_it], TEN, ALL)
    assert all(OBJECTS not in mask for mask in few.masks)
    assert all(OBJECTS in mask for mask in all_of_it.masks)
    assert {"summary.bcs", "contents.bcs"} <= set(few.masks[0])


def test_head_of_a_node_is_what_it_says() -> None:
    """The newest checkpoint is final."""
    assert heights([FakeLedger(BODIES)]) == Heights(40, 40)


@pytest.mark.parametrize("start", [0, 7, 40])
def test_head_of_a_store_without_a_watermark_is_searched_for(start: int) -> None:
    """From the chain's start upward, by leaps and halves, without reading a checkpoint."""
    store = FakeStore(BODIES, watermark=False)
    assert heights([store], of=replace(CHAIN, start=start)) == Heights(40, 40)
    assert {method for method, name in store.asked if name.endswith("zst")} == {"HEAD"}
    assert len(store.asked) < 20


def test_head_that_cannot_be_found_is_unsupported() -> None:
    """Neither a watermark nor the start: what to do is said."""
    store = FakeStore(BODIES, lowest=20, watermark=False)
    with pytest.raises(Unsupported, match=r"suinet heights: .*no checkpoint 3 .*grpc"):
        heights([store], of=replace(CHAIN, start=3))


def test_heights_come_of_the_next_endpoint_where_one_has_none() -> None:
    """A store without a watermark beside a node, as on testnet."""
    store = FakeStore(BODIES, lowest=20, watermark=False)
    assert heights([store, FakeLedger(BODIES)]) == Heights(40, 40)


@pytest.mark.parametrize("node", [FakeStore(BODIES), FakeLedger(BODIES)])
def test_checkpoint_above_the_head_is_not_yet(node: Any) -> None:  # noqa: ANN401 - either
    """The store has no file; the node says not found; either may have it soon."""
    with pytest.raises(NotYet, match="suinet checkpoint 41: "):
        fetch([node], BlockRange(41, 42), limits=SOON)


def test_checkpoint_that_a_store_has_dropped_is_pruned() -> None:
    """Far below the head a missing file will not come; the archive is named."""
    with pytest.raises(HeightPruned, match=r"checkpoint 7: .*requester-pays bucket gs://.*archive"):
        fetch([FakeStore(FAR, lowest=100)], BlockRange(7, 8))


def test_checkpoint_missing_near_the_head_is_not_yet() -> None:
    """A cache may hold a 404 that is no longer true; so close to the head nothing is dropped."""
    with pytest.raises(NotYet, match="the newest checkpoint is 40"):
        fetch([FakeStore(BODIES, lowest=20)], BlockRange(7, 8), limits=SOON)


def test_checkpoint_that_a_node_has_dropped_is_pruned() -> None:
    """Below its lowest available checkpoint; the archival service is named."""
    with pytest.raises(HeightPruned, match=r"lowest checkpoint that the node has is 20.*archival"):
        fetch([FakeLedger(BODIES, lowest=20)], BlockRange(7, 8))


@pytest.mark.parametrize("code", [None, grpc.StatusCode.INTERNAL, NOT_FOUND])
def test_objects_that_a_node_has_dropped_are_pruned(code: grpc.StatusCode | None) -> None:
    """Whether it refuses or leaves them out; the checkpoint alone is still to be had."""
    ledger = FakeLedger(BODIES, lowest=5, objects_from=20, without_objects=code)
    words = (
        r"suinet checkpoint 7: 127.0.0.1:\d+: the lowest checkpoint of which the node has the "
        r"objects is 20; .*`endpoints:` such as grpcs://archive\.mainnet\.sui\.io:443"
    )
    with pytest.raises(HeightPruned, match=words):
        fetch([ledger], BlockRange(7, 9))
    assert len(ledger.masks) == 1
    assert len(fetch([ledger], BlockRange(7, 9), ("blocks", "events"))) == 2
    nodes: list[Node] = [ledger, FakeStore(BODIES)]
    assert [block.height for block in fetch(nodes, BlockRange(7, 9))] == [7, 8]


@pytest.mark.parametrize(
    ("body", "objects_from", "words"),
    [(BODIES[7], 0, "did not come"), (BODIES[8], 20, "checkpoint 8 came instead")],
)
def test_what_else_is_wrong_is_not_taken_for_pruned(
    body: bytes, objects_from: int, words: str
) -> None:
    """Objects that a node should have; and another checkpoint than was asked for."""
    checkpoint = messages.Checkpoint.FromString(body)
    checkpoint.ClearField("objects")
    answer = messages.GetCheckpointResponse(checkpoint=checkpoint).SerializeToString()
    ledger = FakeLedger(BODIES, objects_from=objects_from, answers=[answer] * 3)
    with pytest.raises(MalformedAnswer, match=f"suinet checkpoint 7: .*{words}"):
        fetch([ledger], BlockRange(7, 8))


def test_checkpoint_that_a_node_should_have_is_not_yet() -> None:
    """Objects that it has dropped say nothing of a checkpoint asked for without them."""
    ledger = FakeLedger(BODIES, lowest=5, objects_from=20, always=(NOT_FOUND, "not found"))
    with pytest.raises(NotYet):
        fetch([ledger], BlockRange(7, 8), ("blocks",), limits=SOON)


def test_pruned_checkpoint_comes_of_an_archive() -> None:
    """Another endpoint that has it."""
    nodes: list[Node] = [FakeLedger(BODIES, lowest=20), FakeStore(BODIES)]
    assert [block.height for block in fetch(nodes, BlockRange(7, 9))] == [7, 8]


@pytest.mark.parametrize("node", [FakeStore(BODIES), FakeLedger(BODIES, chain_id=GENESIS)])
def test_right_chain_is_served(node: Any) -> None:  # noqa: ANN401 - either
    """Its id is the digest of checkpoint 0."""
    assert len(fetch([node], TEN, of=replace(CHAIN, chain_id=GENESIS))) == 10


@pytest.mark.parametrize("node", [FakeStore(BODIES), FakeLedger(BODIES, chain_id=GENESIS)])
def test_wrong_chain_is_refused(node: Any) -> None:  # noqa: ANN401 - either
    """The registry's id and the one given are both told."""
    with pytest.raises(WrongChain, match=f"expected chain id other, got {GENESIS}"):
        fetch([node], TEN, of=replace(CHAIN, chain_id="other"))


def test_node_that_names_no_chain_is_taken_with_a_note(caplog: pytest.LogCaptureFixture) -> None:
    """Its checkpoints link to those merged before, as those of such a store do."""
    caplog.set_level(logging.INFO)
    ledger = FakeLedger(BODIES)
    assert len(fetch([ledger], TEN, of=replace(CHAIN, chain_id=GENESIS))) == 10
    assert f"chain not proven chain=suinet endpoint={ledger.endpoint.host}" in caplog.text


def test_store_that_does_not_reach_back_is_taken_with_a_note(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The public store keeps 30 days; that its chain is not proven stands in the log."""
    caplog.set_level(logging.INFO)
    store = FakeStore(BODIES, lowest=20)
    assert len(fetch([store], BlockRange(20, 22), of=replace(CHAIN, chain_id=GENESIS))) == 2
    assert f"chain not proven chain=suinet endpoint={store.endpoint.host}" in caplog.text


def test_checkpoint_that_does_not_link_is_refused() -> None:
    """Two chains, spliced: the upper one does not name the lower."""
    spliced = [*BODIES[:5], *sui.checkpoints(41, 5)[5:]]
    with pytest.raises(MalformedAnswer, match=r"checkpoint 5: .*but checkpoint 4 is"):
        fetch([FakeStore(spliced)], TEN, limits=replace(FAST, malformed_attempts=2))


def test_another_checkpoint_than_asked_for_is_refused() -> None:
    """Whatever is inside."""
    moved = [*BODIES[:3], BODIES[5], *BODIES[4:]]
    with pytest.raises(MalformedAnswer, match=r"checkpoint 3: .*checkpoint 5 came instead"):
        fetch([FakeStore(moved)], BlockRange(3, 4))


def test_objects_that_are_missing_are_told() -> None:
    """A node that leaves them out cannot serve balances; one is named."""

    class Bare(FakeLedger):
        async def _checkpoint(self, request: bytes, context: Any) -> bytes:  # noqa: ANN401 - grpc's
            mask = request.replace(OBJECTS.encode(), b"objects.objects.xxx")
            return await FakeLedger._checkpoint(self, mask, context)

    with pytest.raises(MalformedAnswer, match="objects that it took or wrote did not come"):
        fetch([Bare(BODIES)], BlockRange(3, 4))


@pytest.mark.parametrize("node", [FakeStore(BODIES), FakeLedger(BODIES)])
def test_every_request_takes_its_turn(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the chain's pace, whatever the transport; one for each checkpoint."""
    turns: list[int] = []

    async def in_turn(_: HttpNode, calls: int) -> None:
        turns.append(calls)

    monkeypatch.setattr(HttpNode, "_in_turn", in_turn)
    fetch([node], TEN)
    assert turns == [1] * len(TEN)


def test_rate_limit_of_a_store_is_heeded() -> None:
    """Asked again after its Retry-After, and in the end answered."""
    store = FakeStore(BODIES)
    store.react(status(429, {"Retry-After": "0"}), times=3)
    assert len(fetch([store], TEN)) == 10


@pytest.mark.parametrize(
    ("code", "error"),
    [(429, RateLimited), (503, NodeUnavailable), (403, RequestRefused), (401, RequestRefused)],
)
def test_status_of_a_store_is_understood(code: int, error: type[WorkError]) -> None:
    """What kind of trouble it is decides whether it is tried again."""
    store = FakeStore(BODIES)
    store.react(status(code, {"Retry-After": "1"}), times=99)
    with pytest.raises(error, match=rf"suinet checkpoint 0: 127.0.0.1:\d+: HTTP {code}: refused"):
        fetch([store], BlockRange(0, 1), limits=SOON)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.UNAVAILABLE, NodeUnavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, NodeUnavailable),
        (grpc.StatusCode.INTERNAL, NodeUnavailable),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, RateLimited),
        (grpc.StatusCode.UNIMPLEMENTED, Unsupported),
        (grpc.StatusCode.UNAUTHENTICATED, RequestRefused),
        (grpc.StatusCode.INVALID_ARGUMENT, RequestRefused),
    ],
)
def test_status_of_a_node_is_understood(code: grpc.StatusCode, error: type[WorkError]) -> None:
    """The codes of gRPC, as the errors that every family has."""
    ledger = FakeLedger(BODIES, always=(code, "not now"))
    # After a rate limit it is left alone.
    said = "to be left alone" if error is RateLimited else f"GetCheckpoint: {code.name}: not now"
    with pytest.raises(error, match=rf"suinet checkpoint 0: 127.0.0.1:\d+: {said}"):
        fetch([ledger], BlockRange(0, 1), limits=replace(SOON, quiet_seconds=60.0))


def test_trouble_of_a_node_passes() -> None:
    """A transient code is tried again."""
    busy = (grpc.StatusCode.RESOURCE_EXHAUSTED, "slow down")
    ledger = FakeLedger(BODIES, refusals=[busy, (grpc.StatusCode.UNAVAILABLE, "restarting")])
    assert len(fetch([ledger], TEN)) == 10


def test_node_that_is_not_there_is_unavailable() -> None:
    """Nothing listens; the endpoint is named by its host."""
    limits = replace(SOON, request_seconds=1.0)

    async def work() -> None:
        gone = Endpoint("gone", "grpc://127.0.0.1:9")
        async with client.connect(CHAIN, [gone], limits) as opened:
            await opened.heights()

    with pytest.raises(NodeUnavailable, match=r"suinet heights: 127\.0\.0\.1:9: GetServiceInfo: "):
        asyncio.run(work())


def test_tls_is_spoken_to_grpcs() -> None:
    """A node without TLS is not answered in the clear; 443 is the port where none is said."""
    ledger = FakeLedger(BODIES)

    async def work() -> None:
        async with ledger.running():
            secure = Endpoint("tls", f"grpcs://127.0.0.1:{ledger.port}")
            async with client.connect(CHAIN, [secure], SOON) as opened:
                await opened.heights()

    with pytest.raises(NodeUnavailable, match="GetServiceInfo: UNAVAILABLE"):
        asyncio.run(work())


def test_node_that_answers_nothing_is_refused() -> None:
    """An answer without a checkpoint, and one that is no message."""
    ledger = FakeLedger(BODIES, answers=[b"", b"\xff\xff\xff"] * 3)
    with pytest.raises(MalformedAnswer, match="suinet checkpoint 0: "):
        fetch([ledger], BlockRange(0, 1))


def test_answer_larger_than_allowed_is_refused() -> None:
    """By gRPC's own limit, which is ours, and not taken for a rate limit."""
    with pytest.raises(AnswerTooLarge, match="larger than max"):
        fetch([FakeLedger(BODIES)], TEN, limits=replace(FAST, body_bytes=500))


def test_headers_go_with_every_call_and_stay_secret() -> None:
    """An API key is sent, and not shown where a node's text repeats it."""
    key = "very-secret-key-42"
    ledger = FakeLedger(BODIES, headers={"X-Api-Key": key})
    heights([ledger])
    assert ledger.metadata[0]["x-api-key"] == key
    ledger.always = (grpc.StatusCode.UNAUTHENTICATED, f"bad key {key}")
    with pytest.raises(RequestRefused) as caught:
        fetch([ledger], TEN)
    assert "bad key ***" in str(caught.value)
    assert key not in str(caught.value)


def test_folder_and_query_of_a_store_are_kept() -> None:
    """The store may be a folder of a bucket; its URL's path does not reach an error."""
    store = FakeStore(BODIES, path="/bucket-with-a-secret-7/")
    assert len(fetch([store], TEN)) == 10
    store.react(status(503), times=99)
    with pytest.raises(NodeUnavailable) as caught:
        fetch([store], TEN, limits=SOON)
    assert "secret" not in str(caught.value)


def test_bomb_is_not_unpacked() -> None:
    """A few bytes that grow beyond the bound are refused at the bound."""
    bomb = zstandard.ZstdCompressor().compress(bytes(50_000_000))
    assert len(bomb) < 10_000
    store = FakeStore(BODIES, edit=lambda _, __: bomb)
    with pytest.raises(AnswerTooLarge, match="larger than 1000000 bytes"):
        fetch([store], TEN, limits=replace(FAST, body_bytes=1_000_000))


def test_bombs_side_by_side_take_the_memory_of_one() -> None:
    """Sixteen files that are here at once are unpacked one by one; the errors hold none of it."""
    size = 32 * 2**20
    bomb = zstandard.ZstdCompressor().compress(bytes(size))
    limits = replace(FAST, body_bytes=2 * size, requests_in_flight=16)

    async def work() -> None:
        async with FakeStore([], edit=lambda _, __: bomb).running() as store, session(limits) as at:
            store.bodies = [b""] * 16
            node = HttpNode(store.endpoint, at, limits)
            node.window.size = 16
            source = Store(node, 0)

            async def ask(height: int) -> MalformedAnswer | None:
                try:
                    await source.checkpoint(height, objects=True)
                except MalformedAnswer as error:
                    node.went_wrong(error, 0.0)
                    return error
                return None

            assert all(await asyncio.gather(*map(ask, range(16))))

    tracemalloc.start()
    try:
        asyncio.run(work())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * size


def test_window_of_a_bomb_is_not_made() -> None:
    """A frame that wants gigabytes of memory to be unpacked is refused before."""
    parameters = zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=True)
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    worker = compressor.compressobj()
    wide = worker.compress(bytes(1000)) + worker.flush()
    store = FakeStore(BODIES, edit=lambda _, __: wide)
    with pytest.raises(MalformedAnswer, match="its zstd cannot be read"):
        fetch([store], TEN)


def test_probe_tells_what_a_node_is() -> None:
    """Chain id and lowest checkpoint, of either."""

    async def work() -> list[Any]:
        found = []
        for node in (FakeLedger(BODIES, chain_id=GENESIS, lowest=3), FakeStore(BODIES)):
            async with node.running():
                found.append(await client.probe(node.endpoint, FAST))
        return found

    ledger, store = asyncio.run(work())
    assert (ledger.chain_id, ledger.lowest) == (GENESIS, 3)
    assert (store.chain_id, store.lowest) == (GENESIS, 0)


def test_probe_of_something_else_is_an_error() -> None:
    """A web server is no store."""

    async def work(store: FakeStore) -> None:
        async with store.running():
            await client.probe(store.endpoint, FAST)

    with pytest.raises(Unsupported, match="no _metadata"):
        asyncio.run(work(FakeStore([], watermark=False)))


@pytest.mark.parametrize("node", [FakeStore(BODIES, lowest=20), FakeLedger(BODIES)])
def test_probe_of_what_names_no_chain_does_not_know_it(node: Any) -> None:  # noqa: ANN401 - either
    """A store without checkpoint 0, or a node that does not tell; the note says what to do."""

    async def work() -> Probed:
        async with node.running():
            return await client.probe(node.endpoint, FAST)

    said = asyncio.run(work())
    assert said.chain_id is None
    assert "set chain_id" in said.notes[0]


def test_a_checkpoint_that_fails_its_proof_is_told_with_its_endpoint(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Another endpoint's is taken, and a person can see who lied about what."""
    liar = FakeStore(BODIES, edit=lambda height, _: made.compressed(BODIES[height | 1]))
    with caplog.at_level(logging.WARNING):
        assert len(fetch([liar, FakeStore(BODIES)], TEN)) == 10
    told = f"refused block chain=suinet height=0 endpoint={liar.endpoint.host} reason="
    assert caplog.messages[0].startswith(told)
