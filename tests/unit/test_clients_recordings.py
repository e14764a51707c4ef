"""The EVM client against what real nodes answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from chainflow.clients import _jsonrpc as jsonrpc
from chainflow.clients import evm
from chainflow.clients._http import Node, session
from chainflow.endpoints import Endpoint
from chainflow.errors import WorkError
from chainflow.types import BlockRange, Heights, RawBlock
from chainflow.wire import evm as wire
from tests.dialogues import BY_NAME, DIALOGUES, ERRORS, Dialogue
from tests.fake_node import ALL, CHAIN, FAST, FakeChain, FakeNode, fetch

DATA = Path(__file__).parent.parent / "data" / "evm"


@asynccontextmanager
async def _replaying() -> AsyncIterator[Endpoint]:
    """A node that gives the recorded reply to each recorded request, single or in a batch."""
    replies = {dialogue.key: dialogue.reply for dialogue in DIALOGUES}
    by_hash = BY_NAME["eth_getBlockByHash.get-block-by-hash"]
    # Block 1 was recorded by its hash.
    replies[json.dumps(["eth_getBlockByNumber", ["0x1", True]])] = by_hash.reply
    finalized = BY_NAME["eth_getBlockByNumber.get-finalized"]
    replies[json.dumps(["eth_getBlockByNumber", ["finalized", False]])] = finalized.reply

    async def handle(request: web.Request) -> web.Response:
        body = await request.json()
        calls = body if isinstance(body, list) else [body]
        said = [{**replies[json.dumps([c["method"], c["params"]])], "id": c["id"]} for c in calls]
        return web.json_response(said if isinstance(body, list) else said[0])

    app = web.Application()
    app.router.add_post("/", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield Endpoint("recorded", f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()


def _call(*dialogues: Dialogue) -> list[jsonrpc.Outcome]:
    calls = [
        jsonrpc.Call(d.request["method"], tuple(d.request.get("params", []))) for d in dialogues
    ]

    async def work() -> list[jsonrpc.Outcome]:
        async with _replaying() as endpoint, session(FAST) as opened:
            return await jsonrpc.call(Node(endpoint, opened, FAST), calls)

    return asyncio.run(work())


def _assert_as_recorded(dialogue: Dialogue, outcome: jsonrpc.Outcome) -> None:
    if isinstance(outcome, WorkError):
        assert type(outcome) is ERRORS[dialogue.name]
        assert dialogue.reply["error"]["message"] in str(outcome)
        assert dialogue.request["method"] in str(outcome)
    else:
        assert json.loads(bytes(outcome)) == dialogue.reply["result"]
        assert jsonrpc.is_null(outcome) == (dialogue.reply["result"] is None)


@pytest.mark.parametrize("name", BY_NAME)
def test_a_recorded_reply_is_its_result_or_its_error(name: str) -> None:
    """Alone, the result comes untouched, and an error as the class its words mean."""
    (outcome,) = _call(BY_NAME[name])
    _assert_as_recorded(BY_NAME[name], outcome)


def test_recorded_replies_in_one_batch_are_the_same() -> None:
    """Errors among results spoil none of them."""
    for dialogue, outcome in zip(DIALOGUES, _call(*DIALOGUES), strict=True):
        _assert_as_recorded(dialogue, outcome)


def test_recorded_chain_is_fetched_and_its_heights_known() -> None:
    """Genesis and block 1 come whole from a geth node's own words, under its own chain id."""
    chain_id = int(BY_NAME["eth_chainId.get-chain-id"].reply["result"], 16)
    of = replace(CHAIN, chain_id=chain_id, finality_tag="finalized")

    async def work() -> tuple[Heights, list[RawBlock]]:
        async with (
            _replaying() as endpoint,
            evm.connect(of, [endpoint], FAST) as client,
            aclosing(client.fetch(BlockRange(0, 2), ALL)) as stream,
        ):
            return await client.heights(), [block async for block in stream]

    heights, blocks = asyncio.run(work())
    assert heights == Heights(54, 54)
    assert [block.payload.receipts.num_rows for block in blocks] == [0, 4]
    receipts = BY_NAME["eth_getBlockReceipts.get-block-receipts-n"].reply["result"]
    assert blocks[1].payload.receipts["transaction_hash"].to_pylist() == [
        r["transactionHash"] for r in receipts
    ]


TRANSACTIONS = [d.name for d in DIALOGUES if d.name.startswith("eth_getTransactionByHash")]


@pytest.mark.parametrize("name", [name for name in TRANSACTIONS if BY_NAME[name].reply["result"]])
def test_recorded_transactions_of_every_type_are_decoded(name: str) -> None:
    """Legacy, access list, dynamic fee, blob: each field of the recording is kept."""
    recorded = BY_NAME[name].reply["result"]
    tx = wire.decode_transaction(json.dumps(recorded).encode())
    kept = {
        field.encode_name: json.loads(bytes(value)) if isinstance(value, msgspec.Raw) else value
        for field in msgspec.structs.fields(tx)
        if (value := getattr(tx, field.name)) not in (None, msgspec.Raw())
    }
    assert kept == {key: value for key, value in recorded.items() if value is not None}


RECORDED = sorted(path.parent for path in DATA.glob("*/*/receipts.json"))


@pytest.mark.parametrize("folder", RECORDED, ids=lambda p: f"{p.parent.name}-{p.name}")
def test_a_recorded_block_with_its_receipts_agrees_with_itself(folder: Path) -> None:
    """No check of ours refuses what a real node of that chain answered."""
    block = json.loads((folder / "block.json").read_text())
    receipts = json.loads((folder / "receipts.json").read_text())
    height = int(block["number"], 16)
    node = FakeNode(FakeChain({height: block}, {height: receipts}))
    (fetched,) = fetch([node], BlockRange(height, height + 1))
    assert fetched.hash == block["hash"]
    assert fetched.payload.receipts.num_rows == len(block["transactions"])
