"""A real EVM node asked what it is."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from chainflow import probe, registry
from chainflow.endpoints import Endpoint
from chainflow.testing import anvil


def test_probe_of_a_real_node(tmp_path: Path) -> None:
    """Anvil is EVM, serves `finalized`, batches and block receipts, and proves its blocks."""
    if anvil.find() is None and shutil.which("npm") is None:
        pytest.skip("node and npm are not installed here")
    with anvil.start() as node:
        node.mine(30)
        endpoint = Endpoint("anvil", f"http://127.0.0.1:{node.port}")
        found = asyncio.run(probe.probe(endpoint))
    assert (found.family, found.said.chain_id) == ("evm", 31337)
    assert (found.tag, found.verify, found.heights.head) == ("finalized", "roots", 30)
    assert (found.said.batches, found.said.receipts) == (True, True)
    assert found.blocks_per_minute is not None
    file = tmp_path / "chains.yaml"
    file.write_text("chains:\n" + probe.entry(found, endpoint.url, "mychain"))
    assert registry.load(file).chain("mychain").chain_id == 31337
