"""The launcher of the real EVM node."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chainflow.testing import anvil, node

needs_anvil = pytest.mark.skipif(anvil.find() is None, reason="anvil is not installed (npm)")
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"


@pytest.fixture(scope="module")
def evm() -> Iterator[anvil.Anvil]:
    """One anvil for this file."""
    with anvil.start(chain_id=4711) as running:
        yield running


@needs_anvil
def test_anvil_token_logs_a_transfer(evm: anvil.Anvil) -> None:
    """A call of the deployed token leaves exactly one ERC-20 Transfer from caller to receiver."""
    token = evm.deploy_token()
    receipt = evm.call("eth_getTransactionReceipt", evm.transfer(token, 2**256 - 1))
    (log,) = receipt["logs"]
    assert (receipt["status"], log["address"], log["data"]) == ("0x1", token, "0x" + "ff" * 32)
    assert log["topics"] == [
        TRANSFER,
        "0x" + evm.account(0)[2:].rjust(64, "0"),
        "0x" + evm.account(1)[2:].rjust(64, "0"),
    ]


@needs_anvil
def test_anvil_mines_and_finalizes(evm: anvil.Anvil) -> None:
    """It has the chain id it was given, mines what it is told, and finalized trails by four."""
    before = evm.head()
    assert evm.mine(9) == before + 9
    assert int(evm.call("eth_chainId"), 16) == 4711
    assert int(evm.call("eth_getBlockByNumber", "finalized", False)["number"], 16) == before + 5


@needs_anvil
def test_anvil_reorg_replaces_the_newest_blocks(evm: anvil.Anvil) -> None:
    """After a reorganisation the head is where it was, and exactly the newest blocks are others."""
    head = evm.mine(6)

    def hashes() -> list[str]:
        return [
            evm.call("eth_getBlockByNumber", hex(height), False)["hash"]
            for height in range(head - 3, head + 1)
        ]

    before = hashes()
    evm.reorg(2)
    after = hashes()
    assert evm.head() == head
    kept = [old == new for old, new in zip(before, after, strict=True)]
    assert kept == [True, True, False, False]


@needs_anvil
def test_anvil_is_gone_after_leaving() -> None:
    """Leaving the block ends launcher and node."""
    with anvil.start() as running:
        assert running.head() == 0
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            running.head()
        except ConnectionError:
            return
    pytest.fail("the node still answers")


@needs_anvil
def test_node_errors_are_raised_and_named(evm: anvil.Anvil) -> None:
    """An error object becomes an exception that names the method."""
    with pytest.raises(node.NodeError, match="no_such_method"):
        evm.call("no_such_method")


def test_node_that_ends_at_once_is_told_with_its_words() -> None:
    """A command that prints and ends is an error holding what it printed."""
    with (
        pytest.raises(node.NodeError, match="no such port"),
        node.running(["echo", "no such port"]),
    ):
        pass


def test_find_without_node_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where there is no node, the launchers are of no use."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert anvil.find() is None
