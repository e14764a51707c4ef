"""Reorganisations of a real EVM node, at any depth and any moment: what is merged follows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from itertools import count, cycle
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy.engine import Engine

from chainflow import heights, line, pipeline, poll
from chainflow.endpoints import connection_from_environment as no_connection
from chainflow.errors import ReorgDetected
from chainflow.store.rewind import Reorg
from chainflow.testing import anvil, faults
from chainflow.types import BlockRange, Chain
from tests import small

DATASETS = ("blocks", "transactions", "logs", "token_transfers")


@pytest.fixture
def node() -> Iterator[anvil.Anvil]:
    """An anvil of a hundred blocks, some of them with a token's transfers."""
    if anvil.find() is None:
        pytest.skip("node and npm are not installed here")
    with anvil.start() as running:
        token = running.deploy_token()
        for value in range(1, 6):
            running.mine(16)
            running.transfer(token, value)
        running.mine(14)
        yield running


def chain_of(node: anvil.Anvil, **changes: Any) -> Chain:  # noqa: ANN401 - the entry's own types
    """The node's entry, of which nothing is final."""
    url = f"http://127.0.0.1:{node.port}"
    return Chain("dev", "evm", 31337, 60.0, endpoints=(url,), datasets=DATASETS, **changes)


def run(engine: Engine, chain: Chain, on_merge: line.OnMerge | None = None) -> Reorg | None:
    """What a run does; the reorganisation that it found before it planned."""
    seen = poll.observe(engine, chain, no_connection)
    found = pipeline.settle(engine, chain, seen, no_connection, run_id="test")
    blocks = pipeline.wanted_range(chain, seen)
    assert blocks is not None
    pipeline.sync(engine, chain, blocks, no_connection, run_id="test", on_merge=on_merge)
    return found


def same_as_the_node(engine: Engine, node: anvil.Anvil, chain: Chain) -> None:
    """Every table holds the node's chain, and nothing else."""
    head = node.head()
    theirs = [node.call("eth_getBlockByNumber", hex(h), True) for h in range(head + 1)]
    assert heights.watermark(engine, chain) == head
    assert small.ask(engine, "SELECT block_hash FROM dev.blocks ORDER BY block_number") == [
        block["hash"] for block in theirs
    ]
    assert small.ask(
        engine,
        "SELECT block_hash, transaction_hash FROM dev.transactions"
        " ORDER BY block_number, transaction_index",
    ) == [(block["hash"], t["hash"]) for block in theirs for t in block["transactions"]]
    stray = "WHERE NOT EXISTS (SELECT 1 FROM dev.blocks b WHERE b.block_hash = t.block_hash)"
    for table in ("logs", "token_transfers"):
        assert small.ask(engine, f"SELECT count(*) FROM dev.{table} t {stray}") == [0]


def told(engine: Engine) -> list[tuple[int, int]]:
    """The log of reorganisations: from which height, how many blocks."""
    return small.ask(engine, "SELECT start, depth FROM chainflow.reorg ORDER BY id")


def test_reorg_of_any_depth_between_two_runs(engine: Engine, node: anvil.Anvil) -> None:
    """From 1 to 64 blocks, the head no higher than before; the log tells each."""
    chain = chain_of(node)
    run(engine, chain)
    head, expected = node.head(), []
    for depth in (*range(1, 9), 13, 21, 34, 55, 63, 64):
        node.reorg(depth)
        assert node.head() == head
        found = run(engine, chain)
        assert found is not None
        assert found.start == head + 1 - depth
        expected.append((head + 1 - depth, depth))
        assert told(engine) == expected
    same_as_the_node(engine, node, chain)


def test_reorg_is_told_with_both_hashes_and_what_was_removed(
    engine: Engine, node: anvil.Anvil
) -> None:
    """Whoever read the old rows can find out which they were."""
    chain = chain_of(node)
    run(engine, chain)
    start = node.head() - 19
    [old] = small.ask(engine, f"SELECT block_hash FROM dev.blocks WHERE block_number = {start}")
    [rows] = small.ask(engine, f"SELECT count(*) FROM dev.logs WHERE block_number >= {start}")
    assert rows > 0
    node.reorg(20)
    run(engine, chain)
    new = node.call("eth_getBlockByNumber", hex(start), False)["hash"]
    assert small.ask(
        engine,
        "SELECT old_hash, new_hash, heights::text, CAST(rows->>'logs' AS int) FROM chainflow.reorg",
    ) == [(old, new, f"{{[{start},{start + 20})}}", rows)]


@pytest.mark.parametrize("depth", [1, 6, 30, 64])
@pytest.mark.parametrize("moment", [1, 2, 4])
def test_reorg_in_the_middle_of_a_run(
    engine: Engine, node: anvil.Anvil, monkeypatch: pytest.MonkeyPatch, moment: int, depth: int
) -> None:
    """Some blocks merged, some read ahead: what was read of the old branch is not merged beside."""
    monkeypatch.setattr(line, "SLICE_BYTES", 20_000)
    chain = chain_of(node)
    merged = 0

    def reorganise(_: BlockRange, __: object) -> None:
        nonlocal merged
        merged += 1
        if merged == moment:
            node.reorg(depth)
            node.mine(1)

    run(engine, chain, reorganise)
    assert merged > moment
    run(engine, chain)
    same_as_the_node(engine, node, chain)


def test_reorg_before_any_question_of_a_run(
    engine: Engine, node: anvil.Anvil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run after run, the chain is replaced between the next two questions to its node."""
    monkeypatch.setattr(line, "SLICE_BYTES", 20_000)
    chain = chain_of(node)
    run(engine, chain)
    depths = cycle((1, 2, 5, 13, 34, 64))
    for question in count():
        node.mine(30)
        happened, reorganise = _reorganising(node, next(depths))
        with faults.running(
            f"http://127.0.0.1:{node.port}", [None] * question + [reorganise]
        ) as url:
            run(engine, replace(chain, endpoints=(url,)))
        run(engine, chain)
        same_as_the_node(engine, node, chain)
        if not happened:
            break
    assert question > 8


def _reorganising(node: anvil.Anvil, depth: int) -> tuple[list[str], faults.Fault]:
    """An honest answer given after a reorganisation; the list is not empty once that happened."""
    happened: list[str] = []

    async def spoil(exchange: faults.Exchange) -> web.StreamResponse:
        await asyncio.to_thread(node.reorg, depth)
        happened.append("yes")
        return exchange.reply(await exchange.answers())

    return happened, faults.Fault(spoil)


def test_reorg_below_a_backfill_leaves_its_gap(engine: Engine, node: anvil.Anvil) -> None:
    """Where heights below are not merged yet, only what is merged can have been replaced."""
    chain = chain_of(node)
    seen = poll.observe(engine, chain, no_connection)
    high = BlockRange(60, seen.head + 1)
    pipeline.sync(engine, chain, high, no_connection, run_id="test")
    node.reorg(64)
    run(engine, chain)
    assert told(engine) == [(60, len(high))]
    same_as_the_node(engine, node, chain)


def test_reorg_deeper_than_the_limit_stops_the_chain(engine: Engine, node: anvil.Anvil) -> None:
    """It says so, names the key, and leaves everything as it was."""
    chain = chain_of(node, max_reorg_blocks=10)
    run(engine, chain)
    before = small.ask(engine, "SELECT block_hash FROM dev.blocks ORDER BY block_number")
    node.reorg(11)
    with pytest.raises(ReorgDetected, match="max_reorg_blocks = 10"):
        run(engine, chain)
    assert small.ask(engine, "SELECT block_hash FROM dev.blocks ORDER BY block_number") == before
    assert told(engine) == []
