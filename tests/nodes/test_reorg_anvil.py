"""Reorganisations of a real EVM node, at any depth and any moment: what is merged follows."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count, cycle
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy.engine import Engine

from chainflow import heights, line, pipeline, poll
from chainflow.endpoints import connection_from_environment as no_connection
from chainflow.errors import ReorgDetected, Unlinked
from chainflow.store.rewind import Reorg
from chainflow.testing import anvil, faults
from chainflow.types import BlockRange, Chain
from tests import small, soak

DATASETS = ("blocks", "transactions", "logs", "token_transfers")
DEEPEST = 64
# At which merge of a run, and how deep.
MID_RUN = [(moment, depth) for moment in (1, 4, 30) for depth in (1, 6, 30, DEEPEST)]
ANY_MOMENT = soak.times(1, 100)


@dataclass(slots=True)
class Forking:
    """An anvil whose every block, on whatever branch, has transfers of values never seen before."""

    node: anvil.Anvil
    token: str
    values: Iterator[int] = field(default_factory=lambda: count(1))

    def grow(self, blocks: int) -> None:
        """Mine so many blocks, of one transfer or two."""
        for height in range(blocks):
            for _ in range(1 + height % 2):
                self.node.transfer(self.token, next(self.values))
            self.node.mine()

    def fork(self, depth: int) -> None:
        """Replace the newest blocks; the head stays."""
        self.node.reorg(depth, token=self.token, value=next(self.values))

    def hash(self, height: int) -> str:
        """What the node has there now."""
        return str(self.node.call("eth_getBlockByNumber", hex(height), False)["hash"])


@pytest.fixture
def forking() -> Iterator[Forking]:
    """An anvil of a hundred blocks."""
    if anvil.find() is None:
        pytest.skip("node and npm are not installed here")
    with anvil.start("--no-mining") as running:
        chain = Forking(running, running.deploy_token())
        chain.grow(99)
        yield chain


def chain_of(forking: Forking, **changes: Any) -> Chain:  # noqa: ANN401 - the entry's own types
    """The node's entry, of which nothing is final."""
    url = forking.node.url
    return Chain("dev", "evm", 31337, 60.0, endpoints=(url,), datasets=DATASETS, **changes)


def run(engine: Engine, chain: Chain, on_merge: line.OnMerge | None = None) -> Reorg | None:
    """What a run does; the reorganisation that it found before it planned."""
    seen = poll.observe(engine, chain, no_connection)
    found = pipeline.settle(engine, chain, seen, no_connection, run_id="test")
    blocks = pipeline.wanted_range(chain, seen)
    assert blocks is not None
    pipeline.sync(engine, chain, blocks, no_connection, run_id="test", on_merge=on_merge)
    return found


def same_as_the_node(engine: Engine, forking: Forking) -> None:
    """Every table holds the node's chain: nothing of it is missing, nothing else is there."""
    node, head = forking.node, forking.node.head()
    blocks = [node.call("eth_getBlockByNumber", hex(height), True) for height in range(head + 1)]
    logs = node.call("eth_getLogs", {"fromBlock": "0x0", "toBlock": hex(head)})
    assert len(logs) >= head - 1
    theirs: dict[str, list[tuple[str, ...]]] = {
        "blocks": [(one["number"], one["hash"], one["parentHash"]) for one in blocks],
        "transactions": [
            (one["number"], sent["transactionIndex"], one["hash"], sent["hash"])
            for one in blocks
            for sent in one["transactions"]
        ],
        "logs": [
            (one["blockNumber"], one["logIndex"], one["blockHash"], one["transactionHash"])
            for one in logs
        ],
        "token_transfers": [
            (one["blockNumber"], one["logIndex"], one["blockHash"], str(int(one["data"], 16)))
            for one in logs
        ],
    }
    for table, columns in {
        "blocks": "block_hash, parent_hash",
        "transactions": "transaction_index, block_hash, transaction_hash",
        "logs": "log_index, block_hash, transaction_hash",
        "token_transfers": "log_index, block_hash, value::text",
    }.items():
        ours = small.ask(engine, f"SELECT block_number, {columns} FROM dev.{table} ORDER BY 1, 2")
        assert ours == [tuple(map(_plain, row)) for row in theirs[table]], table
    assert heights.watermark(engine, chain_of(forking)) == head


def _plain(said: str) -> int | str:
    """A quantity as a number, a hash as it is."""
    return int(said, 16) if said.startswith("0x") and len(said) < 66 else said


def told(engine: Engine) -> list[tuple[int, int]]:
    """The log of reorganisations: from which height, how many blocks."""
    return small.ask(engine, "SELECT start, depth FROM chainflow.reorg ORDER BY id")


def test_reorg_of_any_depth_between_two_runs(engine: Engine, forking: Forking) -> None:
    """From 1 to 64 blocks, the head no higher than before; and the log tells each."""
    chain = chain_of(forking)
    run(engine, chain)
    head, expected = forking.node.head(), []
    depths = random.sample(range(1, DEEPEST + 1), DEEPEST)
    for depth in depths:
        start = head + 1 - depth
        old = forking.hash(start)
        forking.fork(depth)
        assert forking.node.head() == head
        new = forking.hash(start)
        assert run(engine, chain) == Reorg(start, old, new)
        same_as_the_node(engine, forking)
        expected.append((start, depth, old, new))
    query = "SELECT start, depth, old_hash, new_hash FROM chainflow.reorg ORDER BY id"
    assert small.ask(engine, query) == expected


def test_reorg_is_told_with_what_was_removed(engine: Engine, forking: Forking) -> None:
    """Whoever read the old rows can find out which they were."""
    chain = chain_of(forking)
    run(engine, chain)
    start = forking.node.head() - 19
    query = f"SELECT count(*) FROM dev.%s WHERE block_number >= {start}"
    rows = {name: small.ask(engine, query % name)[0] for name in DATASETS}
    assert min(rows.values()) >= 20
    forking.fork(20)
    run(engine, chain)
    assert small.ask(engine, "SELECT heights::text, rows FROM chainflow.reorg") == [
        (f"{{[{start},{start + 20})}}", rows)
    ]


@pytest.mark.parametrize(("moment", "depth"), MID_RUN)
def test_reorg_in_the_middle_of_a_run(
    engine: Engine, forking: Forking, monkeypatch: pytest.MonkeyPatch, moment: int, depth: int
) -> None:
    """Some blocks merged, some read ahead: what was read of the old branch is not merged beside."""
    monkeypatch.setattr(line, "SLICE_BYTES", 20_000)
    mid_run(engine, forking, moment, depth)


def test_reorg_at_any_merge_of_a_run(
    engine: Engine, forking: Forking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of any depth, into a store that has nothing, something, or all but the head."""
    for _ in range(ANY_MOMENT):
        monkeypatch.setattr(line, "SLICE_BYTES", random.randrange(5_000, 60_000))  # noqa: S311 - any
        forking.grow(random.randrange(1, 60))  # noqa: S311 - any
        mid_run(engine, forking, random.randrange(1, 5), random.randrange(1, 65))  # noqa: S311 - any


def mid_run(engine: Engine, forking: Forking, moment: int, depth: int) -> None:
    """A run in which the chain is replaced after so many merges, and what must be told of it."""
    chain, before = chain_of(forking), len(told(engine))
    start, merged, last = 0, 0, -1

    def reorganise(blocks: BlockRange, _: object) -> None:
        nonlocal start, merged, last
        merged += 1
        if merged == moment:
            start, last = forking.node.head() + 1 - depth, blocks.last
            forking.fork(depth)
            forking.grow(1)

    run(engine, chain, reorganise)
    run(engine, chain)
    same_as_the_node(engine, forking)
    found = told(engine)[before:]
    if merged < moment:
        assert found == []
        return
    # A slice of the old branch that was under way may have been merged as well.
    assert {lowest for lowest, _ in found} <= {start}
    assert len(found) <= 1
    if last >= start:
        [(_, blocks)] = found
        assert start + blocks > last


def test_reorg_before_any_question_of_a_run(
    engine: Engine, forking: Forking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run after run, the chain is replaced between the next two questions to its node."""
    monkeypatch.setattr(line, "SLICE_BYTES", 20_000)
    chain = chain_of(forking)
    run(engine, chain)
    depths = cycle((1, 2, 5, 13, 34, DEEPEST))
    for question in count():
        forking.grow(30)
        depth = next(depths)
        happened, reorganise = _reorganising(forking, depth)
        before = len(told(engine))
        with faults.running(forking.node.url, [None] * question + [reorganise]) as url:
            run(engine, replace(chain, endpoints=(url,)))
        run(engine, chain)
        same_as_the_node(engine, forking)
        assert {lowest for lowest, _ in told(engine)[before:]} <= set(happened)
        if not happened:
            break
    assert question > 8


def _reorganising(forking: Forking, depth: int) -> tuple[list[int], faults.Fault]:
    """An honest answer given after a reorganisation; the list has its start once that happened."""
    happened: list[int] = []

    async def spoil(exchange: faults.Exchange) -> web.StreamResponse:
        head = await asyncio.to_thread(forking.node.head)
        await asyncio.to_thread(forking.fork, depth)
        happened.append(head + 1 - depth)
        return exchange.reply(await exchange.answers())

    return happened, faults.Fault(spoil)


@pytest.mark.parametrize("depth", [10, 11, 15, 20, 40])
def test_reorg_across_two_ranges_of_which_the_upper_is_merged(
    engine: Engine, forking: Forking, depth: int
) -> None:
    """Tasks of a run end in any order: the lower one does not link to the old branch above it."""
    chain = chain_of(forking)
    run(engine, chain)
    low = forking.node.head() + 1
    forking.grow(20)
    lower, upper = BlockRange(low, low + 10), BlockRange(low + 10, low + 20)
    pipeline.sync(engine, chain, upper, no_connection, run_id="upper")
    forking.fork(depth)
    pipeline.sync(engine, chain, lower, no_connection, run_id="lower")
    replaced = upper.stop - depth
    # Of the lower range nothing was merged that could have been replaced.
    start = replaced if replaced < low else upper.start
    if depth > len(upper):
        assert told(engine) == [(start, upper.stop - start)]
    run(engine, chain)
    assert told(engine) == [(start, upper.stop - start)]
    same_as_the_node(engine, forking)


@pytest.mark.parametrize("times", [1, 4, math.inf])
def test_parent_that_flaps_ends_no_run_for_good(
    engine: Engine, forking: Forking, monkeypatch: pytest.MonkeyPatch, times: float
) -> None:
    """A block names another parent now and then: it is read again; if that lasts, it may pass."""
    monkeypatch.setattr(line, "_PAUSES", (0.0,) * 4)
    chain = chain_of(forking, verify="none")
    run(engine, chain)
    forking.grow(1)
    with faults.running(forking.node.url, _flapping(forking.node.head(), times)) as url:
        flapping = replace(chain, endpoints=(url,))
        if times < math.inf:
            run(engine, flapping)
        else:
            with pytest.raises(Unlinked, match=rf"from {url.split('/')[2]}\): .* two branches"):
                run(engine, flapping)
    assert told(engine) == []
    run(engine, chain)
    same_as_the_node(engine, forking)


def _flapping(height: int, times: float) -> faults.Fault:
    """A parent that nobody knows in the first so many answers for a block."""
    spoiled = 0

    async def spoil(exchange: faults.Exchange) -> web.StreamResponse:
        nonlocal spoiled
        answers = await exchange.answers()
        spoiled += 1
        for call, answer in zip(exchange.calls, answers, strict=True):
            if is_block(call) and spoiled <= times:
                answer["result"]["parentHash"] = f"0x{spoiled:064x}"
        return exchange.reply(answers)

    def is_block(call: dict[str, Any]) -> bool:
        asked: list[Any] = [call["method"], *call["params"][:1]]
        return asked == ["eth_getBlockByNumber", hex(height)]

    return faults.Fault(spoil, is_block)


def test_endpoint_that_tells_too_high_a_head_stops_nothing(
    engine: Engine, forking: Forking
) -> None:
    """Beside an honest one it is not believed: all is merged up to the true head."""
    chain = chain_of(forking)
    with faults.running(forking.node.url, faults.Fault(_too_high, _asks_the_head)) as url:
        run(engine, replace(chain, endpoints=(url, forking.node.url)))
    same_as_the_node(engine, forking)


def _asks_the_head(call: dict[str, Any]) -> bool:
    method: str = call["method"]
    return method == "eth_blockNumber"


async def _too_high(exchange: faults.Exchange) -> web.StreamResponse:
    answers = await exchange.answers()
    for call, answer in zip(exchange.calls, answers, strict=True):
        if _asks_the_head(call):
            answer["result"] = hex(int(answer["result"], 16) + 1000)
    return exchange.reply(answers)


def test_reorg_below_a_backfill_leaves_its_gap(engine: Engine, forking: Forking) -> None:
    """Where heights below are not merged yet, only what is merged can have been replaced."""
    chain = chain_of(forking)
    seen = poll.observe(engine, chain, no_connection)
    high = BlockRange(60, seen.head + 1)
    pipeline.sync(engine, chain, high, no_connection, run_id="test")
    forking.fork(DEEPEST)
    run(engine, chain)
    assert told(engine) == [(60, len(high))]
    same_as_the_node(engine, forking)


def test_reorg_deeper_than_the_limit_stops_the_chain(engine: Engine, forking: Forking) -> None:
    """It says so, names the key, and leaves everything as it was."""
    chain = chain_of(forking, max_reorg_blocks=10)
    run(engine, chain)
    before = small.ask(engine, "SELECT block_hash FROM dev.blocks ORDER BY block_number")
    forking.fork(11)
    with pytest.raises(ReorgDetected, match="max_reorg_blocks = 10"):
        run(engine, chain)
    assert small.ask(engine, "SELECT block_hash FROM dev.blocks ORDER BY block_number") == before
    assert told(engine) == []
