"""A task's memory is bounded, however much its range holds."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.fake_node import FakeNode, chain

ROOT = Path(__file__).parents[2]
BLOCKS, INPUTS, INPUT_BYTES = 30, 4, 2_000_000
MOST_MIB = 600


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the peak")
def test_large_blocks_take_no_more_memory_than_a_task_may(database_url: str) -> None:
    """240 MB of blocks of 8 MB each, several times that as structs and columns."""
    large = chain(BLOCKS, transactions=INPUTS)
    for block in large.blocks.values():
        for sent in block["transactions"]:
            sent["input"] = "0x" + "ab" * (INPUT_BYTES // 2)
    node = FakeNode(large)

    async def work() -> int:
        async with node.running():
            task = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.peak", database_url, node.endpoint.url, str(BLOCKS)),
                cwd=ROOT,
                stdout=asyncio.subprocess.PIPE,
            )
            told, _ = await task.communicate()
            return int(told)

    assert asyncio.run(work()) < MOST_MIB
    assert len(node.calls("eth_getBlockByNumber")) >= BLOCKS
