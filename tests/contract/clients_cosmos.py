"""What the client contract needs of the Cosmos family: a client of a small chain of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from chainflow.clients import Client, cosmos
from tests.cosmos import ALL
from tests.cosmos_node import CHAIN, FakeNode, chain
from tests.fake_node import FAST

DATASETS = ALL
# No chain of this family has a height 0, and what a node has is final.
FIRST = 1
FINAL_AT_ONCE = True
LIMITS = replace(FAST, deadline_seconds=2.0, not_yet_seconds=0.5)


@asynccontextmanager
async def client(*, stop: int, finalized: int, bad_bodies: float = 0) -> AsyncIterator[Client]:
    """A client of a chain with the heights [1, stop).

    Args:
        stop: One above its head.
        finalized: Means nothing here.
        bad_bodies: To how many requests for blocks the node answers with something else.
    """
    node = FakeNode(chain(stop))
    node.says(200, b"<html>not what was asked</html>", times=bad_bodies)
    async with node.running(), cosmos.connect(CHAIN, [node.endpoint], LIMITS) as opened:
        yield opened
