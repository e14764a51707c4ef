"""What the client contract needs of the Tron family: a client of a small network of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from chainflow.clients import Client, tron
from tests.fake_node import FAST
from tests.tron import chain
from tests.tron_node import ALL, CHAIN, TronNode, http

DATASETS = ALL
LIMITS = replace(FAST, deadline_seconds=2.0, not_yet_seconds=0.5)


@asynccontextmanager
async def client(*, stop: int, finalized: int, bad_bodies: float = 0) -> AsyncIterator[Client]:
    """A client of a chain with the heights [0, stop).

    Args:
        stop: One above its head.
        finalized: The height its node calls final.
        bad_bodies: To how many requests for blocks the node answers with something else.
    """
    node = TronNode(chain(stop), solid=finalized)
    node.react(http(200, "<html>not what was asked</html>"), times=bad_bodies)
    async with node.running(), tron.connect(CHAIN, [node.endpoint], LIMITS) as opened:
        yield opened
