"""The whole line on a real EVM node: anvil into real PostgreSQL, compared with the node."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.engine import Engine

from chainflow import heights, lag, pipeline, poll
from chainflow.endpoints import connection_from_environment as no_connection
from chainflow.errors import ReorgDetected
from chainflow.testing import anvil
from chainflow.types import BlockRange, Chain
from tests import small

DATASETS = ("blocks", "transactions", "logs", "token_transfers", "withdrawals")


@pytest.fixture(scope="module")
def node() -> Iterator[anvil.Anvil]:
    """An anvil with ERC-20 transfers, one of the largest value there is."""
    if anvil.find() is None and shutil.which("npm") is None:
        pytest.skip("node and npm are not installed here")
    with anvil.start() as running:
        token = running.deploy_token()
        for value in (1, 10**18, 2**256 - 1):
            running.transfer(token, value)
        running.mine(20)
        yield running


def chain_of(node: anvil.Anvil, **changes: Any) -> Chain:  # noqa: ANN401 - the entry's own types
    """The node's entry."""
    entry: dict[str, Any] = {
        "finality_tag": "finalized",
        "endpoints": (f"http://127.0.0.1:{node.port}",),
        "datasets": DATASETS,
    }
    return Chain("dev", "evm", 31337, 60.0, **{**entry, **changes})


def sync(engine: Engine, chain: Chain) -> BlockRange:
    """Merge all that is final."""
    seen = poll.observe(engine, chain, no_connection)
    blocks = pipeline.wanted_range(chain, seen)
    assert blocks is not None
    pipeline.sync(engine, chain, blocks, no_connection, run_id="test")
    return blocks


def test_sync_of_a_real_node_holds_exactly_its_blocks(node: anvil.Anvil, engine: Engine) -> None:
    """Blocks, transactions, receipts and logs are the node's; the watermark is its finalized."""
    chain = chain_of(node)
    blocks = sync(engine, chain)
    theirs = [node.call("eth_getBlockByNumber", hex(height), True) for height in blocks]
    receipts = [r for height in blocks for r in node.call("eth_getBlockReceipts", hex(height))]
    assert small.ask(engine, "SELECT block_hash FROM dev.blocks ORDER BY block_number") == [
        block["hash"] for block in theirs
    ]
    order = "ORDER BY block_number, transaction_index"
    assert small.ask(
        engine,
        "SELECT transaction_hash, value, receipt_status, receipt_gas_used"
        f" FROM dev.transactions {order}",
    ) == [
        (t["hash"], Decimal(int(t["value"], 16)), int(r["status"], 16), int(r["gasUsed"], 16))
        for t, r in zip([t for b in theirs for t in b["transactions"]], receipts, strict=True)
    ]
    logs = [log for receipt in receipts for log in receipt["logs"]]
    assert small.ask(
        engine, "SELECT address, topic2, data FROM dev.logs ORDER BY block_number, log_index"
    ) == [(log["address"], log["topics"][2], log["data"]) for log in logs]
    assert small.ask(engine, "SELECT value FROM dev.token_transfers ORDER BY value") == [
        Decimal(1),
        Decimal(10**18),
        Decimal(2**256 - 1),
    ]
    finalized = int(node.call("eth_getBlockByNumber", "finalized", False)["number"], 16)
    assert heights.watermark(engine, chain) == finalized == blocks.last
    [row] = lag.rows(engine)
    assert (row.state, row.backlog_blocks) == ("synced", 0)


def test_dataset_added_later_is_filled_from_the_start(node: anvil.Anvil, engine: Engine) -> None:
    """A new word among the datasets is a gap of that dataset alone, and the next run fills it."""
    blocks = sync(engine, chain_of(node, datasets=("blocks", "transactions")))
    more = chain_of(node, datasets=("blocks", "transactions", "logs"))
    seen = poll.observe(engine, more, no_connection)
    planned = pipeline.next_batches(engine, more, seen)
    assert {batch.datasets for batch in planned} == {("logs",)}
    assert planned[0].blocks.start == blocks.start
    for batch in planned:
        pipeline.ingest(engine, more, batch, no_connection, run_id="test")
    assert pipeline.next_batches(engine, more, seen) == ()
    assert small.ask(engine, "SELECT count(*) FROM dev.logs") == [3]


@pytest.mark.parametrize("depth", [1, 5, 40])
def test_reorganised_heights_are_read_again(engine: Engine, depth: int) -> None:
    """Where nothing is final, replaced blocks give way to the new ones, rows and all."""
    if anvil.find() is None:
        pytest.skip("node and npm are not installed here")
    with anvil.start() as node:
        chain = chain_of(node, finality_tag=None, confirmations=0)
        token = node.deploy_token()
        node.mine(60)
        node.transfer(token, 7)
        sync(engine, chain)
        node.reorg(depth)
        node.mine(1)
        blocks = sync(engine, chain)
        assert small.ask(engine, "SELECT block_hash FROM dev.blocks ORDER BY block_number") == [
            node.call("eth_getBlockByNumber", hex(height), False)["hash"] for height in blocks
        ]
        assert heights.watermark(engine, chain) == node.head()
        assert small.ask(engine, "SELECT count(*) FROM dev.logs") == [0]


def test_reorg_below_what_was_called_final_stops_the_chain(engine: Engine) -> None:
    """A node that replaces what it called final is told; what is merged stays."""
    if anvil.find() is None:
        pytest.skip("node and npm are not installed here")
    with anvil.start(slots_in_an_epoch=1) as node:
        node.mine(20)
        final = chain_of(node)
        before = sync(engine, final)
        node.reorg(15)
        node.mine(5)
        with pytest.raises(ReorgDetected, match="reorganised below height"):
            sync(engine, final)
        assert heights.watermark(engine, final) == before.last
