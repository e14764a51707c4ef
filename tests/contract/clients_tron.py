"""What the client contract needs of the Tron family: a client of a small network of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from chainflow.clients import Client, tron
from chainflow.errors import Unsupported
from tests.fake_node import FAST
from tests.tron import chain
from tests.tron_node import ALL, CHAIN, OVERLOAD, TronNode, http, say

DATASETS = ALL
# A node without history answers so to every height: java-tron prunes no others.
PRUNED = Unsupported
LIMITS = replace(FAST, deadline_seconds=2.0, not_yet_seconds=0.5)
_TROUBLES = {
    "bad body": http(200, "<html>not what was asked</html>"),
    "busy": say(OVERLOAD),
    "refused": http(401, '{"Error":"ApiKey not exists"}'),
    "pruned": say({"Error": "this API is closed because this node is a lite fullnode"}),
}


@asynccontextmanager
async def client(
    *, stop: int, finalized: int, trouble: str = "", times: float = 0
) -> AsyncIterator[Client]:
    """A client of a chain with the heights [0, stop).

    Args:
        stop: One above its head.
        finalized: The height its node calls final.
        trouble: How the node answers requests for blocks; see the contract.
        times: How many of them.
    """
    node = TronNode(chain(stop), solid=finalized)
    if trouble:
        node.react(_TROUBLES[trouble], times=times)
    async with node.running(), tron.connect(CHAIN, [node.endpoint], LIMITS) as opened:
        yield opened
