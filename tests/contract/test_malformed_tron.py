"""Answers of a Tron node with something wrong in them never become a wrong row.

A node gives one changed answer, again and again, to the client. Either the client refuses, and
names chain, height and endpoint; or rows come, and then they say what the node said: of a block,
what it hashes to, of an info, the changed info itself.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from chainflow.clients import _tron_span as span
from chainflow.clients import tron as client
from chainflow.clients._http import Node
from chainflow.endpoints import Endpoint
from chainflow.errors import MalformedAnswer, NodeUnavailable, NotYet, WorkError
from chainflow.types import BlockRange, RawBlock
from tests import tron
from tests.contract import test_recorded_tron as tables
from tests.contract.malformed import Mutation, mutations
from tests.fake_node import FAST
from tests.tron_node import BLOCKS, CHAIN, GENESIS, HEAD, INFOS

Json = Any
RECORDED = tron.recordings()
ODD = tron.odd_blocks()["internal-transactions"]
LIMITS = replace(FAST, deadline_seconds=0.01, not_yet_seconds=0.01, malformed_attempts=1)
ENDPOINT = Endpoint("recorded", "http://tron.example/")

many = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def answered(monkeypatch: pytest.MonkeyPatch, answers: dict[str, bytes]) -> None:
    """Let a node answer so by path, without a network."""

    async def ask(_: Node, path: str, **__: int) -> bytes:
        return answers[path]

    monkeypatch.setattr(span, "ask", ask)
    monkeypatch.setattr(client, "ask", ask)


def fetched(monkeypatch: pytest.MonkeyPatch, block: bytes, infos: bytes, height: int) -> RawBlock:
    """The block our client makes of these answers."""
    answered(
        monkeypatch,
        {
            GENESIS: json.dumps(tron.genesis()).encode(),
            BLOCKS: b'{"block":[%b]}' % block,
            INFOS: infos,
        },
    )

    async def work() -> RawBlock:
        chain = replace(CHAIN, chain_id=728126428)
        async with client.connect(chain, [ENDPOINT], LIMITS) as opened:
            async for found in opened.fetch(BlockRange(height, height + 1), tables.NAMES):
                return found
        raise AssertionError("nothing came")

    return asyncio.run(work())


def rows(block: RawBlock) -> tables.Tables:
    """Its rows in every table; MalformedAnswer names the height there."""
    return {d.name: tables.arrow_rows(d, d.decode([block])) for d in tables.DATASETS}


def assert_named(error: WorkError, height: int) -> None:
    """Chain, height and endpoint."""
    text = str(error)
    assert text.startswith(f"tron [{height}, {height + 1}): tron.example: "), text


@pytest.mark.parametrize("recorded", [RECORDED, ODD], ids=["recorded", "odd"])
def test_changed_block_is_refused_or_stored_as_it_is(
    recorded: tron.Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What passes says the same as the block whose hash it has, but for what no hash covers."""
    infos = json.dumps(recorded.infos).encode()
    honest = rows(recorded.raw())

    @many
    @given(mutations(recorded.block))
    def hold(mutation: Mutation) -> None:
        try:
            found = fetched(monkeypatch, mutation.body, infos, recorded.height)
        except (MalformedAnswer, NotYet, NodeUnavailable) as error:
            assert_named(error, recorded.height)
            return
        told = rows(found)
        changed = tron.Recorded(mutation.document, recorded.infos)
        tables.assert_as_recorded(changed, told)
        assert told["token_transfers"] == honest["token_transfers"]

    hold()


@pytest.mark.parametrize("recorded", [RECORDED, ODD], ids=["recorded", "odd"])
def test_changed_infos_are_refused_or_stored_as_they_are(
    recorded: tron.Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No hash covers them: what passes is exactly what the node said."""
    block = json.dumps(recorded.block).encode()

    @many
    @given(mutations(recorded.infos))
    def hold(mutation: Mutation) -> None:
        try:
            found = fetched(monkeypatch, block, mutation.body, recorded.height)
            told = rows(found)
        except (MalformedAnswer, NotYet, NodeUnavailable) as error:
            assert_named(error, recorded.height)
            return
        assert isinstance(mutation.document, list)
        infos = {info["id"]: info for info in mutation.document}
        ordered = [infos[tx["txID"]] for tx in recorded.block["transactions"]]
        tables.assert_as_recorded(tron.Recorded(recorded.block, ordered), told)

    hold()


def test_changed_head_is_refused_or_the_same_height(monkeypatch: pytest.MonkeyPatch) -> None:
    """A header that does not hash to its id gives no height."""

    async def work() -> int:
        async with client.connect(replace(CHAIN, finality_tag=None), [ENDPOINT], LIMITS) as opened:
            return (await opened.heights()).head

    @many
    @given(mutations({**RECORDED.block, "transactions": []}))
    def hold(mutation: Mutation) -> None:
        answered(
            monkeypatch, {HEAD: mutation.body, GENESIS: json.dumps(tron.chain(1)[0].block).encode()}
        )
        try:
            told = asyncio.run(work())
        except WorkError as error:
            told = str(error).startswith("tron heights: tron.example: ") and RECORDED.height
        assert told == RECORDED.height

    hold()
