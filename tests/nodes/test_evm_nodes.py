"""The EVM client against real nodes: anvil, and ganache and hardhat, which lack block receipts."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chainflow.clients import _jsonrpc as jsonrpc
from chainflow.clients import evm
from chainflow.clients._evm_agree import check_receipts
from chainflow.clients._http import Node as Asked
from chainflow.clients._http import session
from chainflow.endpoints import Endpoint
from chainflow.errors import NotYet, Unsupported, WorkError, WrongChain
from chainflow.testing import anvil
from chainflow.testing.node import Node, find, running
from chainflow.types import BlockRange, Chain, Heights, RawBlock
from chainflow.wire import evm as wire
from chainflow.wire.evm_columns import payload, told
from tests.dialogues import DIALOGUES, ERRORS, Dialogue
from tests.fake_node import ALL, FAST

LIMITS = replace(FAST, request_seconds=30.0, deadline_seconds=30.0, not_yet_seconds=0.5)
DEV_CHAIN = Chain("dev", "evm", 31337, 5.0, finality_tag="finalized")
# A contract whose creation logs Transfer(caller, caller, 1): MSTORE 1, then LOG3 over that word.
TRANSFER = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
LOGGING = f"0x600160005233337f{TRANSFER}60206000a300"


def _launcher(tool: str) -> Path:
    launcher = find(tool)
    if launcher is None and shutil.which("npm") is None:
        pytest.skip("node and npm are not installed here")
    if launcher is None:
        pytest.fail(f"{tool} is not installed: run `make node`")
    return launcher


@pytest.fixture(scope="module")
def rich() -> Iterator[anvil.Anvil]:
    """An anvil with transfers, a contract creation, plain and empty blocks."""
    _launcher("anvil")
    with anvil.start(chain_id=31337) as node:
        token = node.deploy_token()
        for value in (1, 10**18, 2**256 - 1):
            node.transfer(token, value)
        node.send(node.account(1), value=10**20)
        node.mine(12)
        yield node


# geth refuses to trace genesis; anvil has nothing to trace there.
OTHERWISE = {"debug_traceBlockByNumber.trace-genesis": None}
LACKING = {"debug_getRawBlock", "debug_getRawHeader", "debug_getRawReceipts"}
NOT_RESULTS = [d for d in DIALOGUES if "error" in d.reply or d.reply["result"] is None]


@pytest.mark.parametrize("dialogue", NOT_RESULTS, ids=lambda dialogue: dialogue.name)
def test_anvil_refuses_what_geth_was_recorded_to_refuse(
    rich: anvil.Anvil, dialogue: Dialogue
) -> None:
    """Whatever their words, both errors are of one class, and null is null, to our reading."""
    method, params = dialogue.request["method"], dialogue.request["params"]

    async def ask() -> jsonrpc.Outcome:
        async with session(LIMITS) as http:
            node = Asked(Endpoint("anvil", rich.url), http, LIMITS)
            (outcome,) = await jsonrpc.call(node, [jsonrpc.Call(method, tuple(params))])
            return outcome

    outcome = asyncio.run(ask())
    recorded: type[WorkError] | None = ERRORS.get(dialogue.name)
    if method in LACKING:
        recorded = Unsupported
    elif dialogue.name in OTHERWISE:
        recorded = OTHERWISE[dialogue.name]
    if recorded is None:
        assert not isinstance(outcome, WorkError)
        assert jsonrpc.is_null(outcome) is ("error" not in dialogue.reply)
    else:
        assert type(outcome) is recorded


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="module", params=["ganache", "hardhat"])
def poor(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    """A node that lacks eth_getBlockReceipts, with some transactions mined."""
    launcher = _launcher(request.param)
    command: list[str | Path] = [launcher, "--host", "127.0.0.1", "--port", str(_free_port())]
    command += ["--chain.chainId", "31337"]
    if request.param == "hardhat":
        # It works only from a folder of its own in which it is installed.
        home = tmp_path_factory.mktemp("hardhat")
        (home / "node_modules").symlink_to(launcher.parent.parent)
        (home / "hardhat.config.js").write_text('module.exports = {solidity: "0.8.24"};\n')
        local = home / "node_modules" / ".bin" / "hardhat"
        command = ["env", "-C", home, local, "node", "--hostname", "127.0.0.1", "--port", "0"]
    with running(command) as node:
        sender, receiver = node.call("eth_accounts")[:2]
        for value in (1, 2, 3):
            node.call("eth_sendTransaction", {"from": sender, "to": receiver, "value": hex(value)})
        node.call("eth_sendTransaction", {"from": sender, "data": LOGGING, "gas": hex(200_000)})
        node.call("evm_mine")
        yield node


def _fetch(node: Node, blocks: BlockRange, *, of: Chain = DEV_CHAIN) -> list[RawBlock]:
    async def work() -> list[RawBlock]:
        async with (
            evm.connect(of, [Endpoint("dev", node.url)], LIMITS) as client,
            aclosing(client.fetch(blocks, ALL)) as stream,
        ):
            return [block async for block in stream]

    return asyncio.run(work())


def _heights(node: Node) -> Heights:
    async def work() -> Heights:
        async with evm.connect(DEV_CHAIN, [Endpoint("dev", node.url)], LIMITS) as client:
            return await client.heights()

    return asyncio.run(work())


def _own(node: Node, height: int) -> tuple[wire.Block, list[wire.Receipt]]:
    """What the node says of a height, each receipt asked for alone."""
    block: Any = node.call("eth_getBlockByNumber", hex(height), True)
    receipts = [node.call("eth_getTransactionReceipt", tx["hash"]) for tx in block["transactions"]]
    return (
        wire.decode_block(json.dumps(block).encode()),
        wire.decode_receipts(json.dumps(receipts).encode()),
    )


def _assert_same(node: Node, blocks: list[RawBlock]) -> None:
    for block in blocks:
        own, receipts = _own(node, block.height)
        assert block.payload == payload(own, receipts)
        check_receipts(own, receipts, told(own, receipts), block.height, system_logs=False)


def test_anvil_blocks_come_as_the_node_has_them(rich: anvil.Anvil) -> None:
    """Every block with transactions, receipts and logs is the node's own, in its order."""
    head = rich.head()
    blocks = _fetch(rich, BlockRange(0, head + 1))
    assert [block.height for block in blocks] == list(range(head + 1))
    _assert_same(rich, blocks)
    data = [data for block in blocks for data in block.payload.logs["data"].to_pylist()]
    assert [int(each, 16) for each in data] == [1, 10**18, 2**256 - 1]


def test_anvil_heights_are_head_and_finalized(rich: anvil.Anvil) -> None:
    """Finalized trails the head by two of its epochs of two."""
    head = rich.head()
    assert _heights(rich) == Heights(head, head - 4)


def test_anvil_past_the_head_is_not_yet(rich: anvil.Anvil) -> None:
    """A future block is null, and never an empty block."""
    head = rich.head()
    with pytest.raises(NotYet, match=f"height {head + 1}: "):
        _fetch(rich, BlockRange(head, head + 3))


def test_anvil_of_another_chain_is_refused(rich: anvil.Anvil) -> None:
    """Its own chain id decides."""
    with pytest.raises(WrongChain, match="expected chain id 1, got 31337"):
        _fetch(rich, BlockRange(0, 1), of=replace(DEV_CHAIN, chain_id=1))


def test_anvil_reorganised_gives_the_new_blocks() -> None:
    """After a reorganisation the same heights are other blocks, again linked and agreeing."""
    _launcher("anvil")
    with anvil.start(chain_id=31337) as node:
        node.send(node.account(1), value=1)
        node.mine(6)
        whole = BlockRange(0, node.head() + 1)
        before = _fetch(node, whole)
        node.reorg(3)
        after = _fetch(node, whole)
        same = [a.hash == b.hash for a, b in zip(before, after, strict=True)]
        assert same == [True] * (len(whole) - 3) + [False] * 3
        _assert_same(node, after)


def test_poor_node_blocks_come_receipt_by_receipt(poor: Node) -> None:
    """Without block receipts, the same blocks come as the node has them."""
    head = int(poor.call("eth_blockNumber"), 16)
    blocks = _fetch(poor, BlockRange(0, head + 1))
    assert [block.height for block in blocks] == list(range(head + 1))
    sent = [one for b in blocks for one in b.payload.receipts["transaction_hash"].to_pylist()]
    logs = [log for b in blocks for log in b.payload.logs.to_pylist()]
    assert len(sent) == 4
    assert [(log["transaction_hash"], log["topics"][0]) for log in logs] == [
        (sent[3], f"0x{TRANSFER}")
    ]
    _assert_same(poor, blocks)


def test_poor_node_heights_and_future(poor: Node) -> None:
    """It calls its head finalized, and null what is to come."""
    head = int(poor.call("eth_blockNumber"), 16)
    assert _heights(poor) == Heights(head, head)
    with pytest.raises(NotYet):
        _fetch(poor, BlockRange(head + 1, head + 2))
