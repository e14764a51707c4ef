"""What the client contract needs of the Cosmos family: a client of a small chain of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from chainflow.clients import Client, cosmos
from tests.cosmos import ALL
from tests.cosmos_node import CHAIN, FakeNode, chain, refuses
from tests.fake_node import FAST

DATASETS = ALL
# No chain of this family has a height 0, and what a node has is final.
FIRST = 1
FINAL_AT_ONCE = True
LIMITS = replace(FAST, deadline_seconds=2.0, not_yet_seconds=0.5)
_TROUBLES = {
    "bad body": (200, b"<html>not what was asked</html>"),
    "busy": (429, b""),
    "refused": (403, b"no access"),
}


@asynccontextmanager
async def client(
    *, stop: int, finalized: int, trouble: str = "", times: float = 0
) -> AsyncIterator[Client]:
    """A client of a chain with the heights [1, stop).

    Args:
        stop: One above its head.
        finalized: Means nothing here.
        trouble: How the node answers requests for blocks; see the contract.
        times: How many of them.
    """
    del finalized
    node = FakeNode(chain(stop))
    if trouble == "pruned":
        lowest = {"earliest_block_height": str(stop - 1)}
        node.edit(lambda said: {**said, "sync_info": {**said["sync_info"], **lowest}}, "status")
        for method in ("block", "block_results"):
            for height in range(1, stop - 1):
                words = f"height {height} is not available, lowest height is {stop - 1}"
                node.edit(refuses(words), method, height=height)
    elif trouble:
        node.says(*_TROUBLES[trouble], times=times)
    async with node.running(), cosmos.connect(CHAIN, [node.endpoint], LIMITS) as opened:
        yield opened
