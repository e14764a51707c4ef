"""What the client contract needs of the EVM family: a client of a small chain of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from chainflow.clients import Client, evm
from tests.fake_node import ALL, CHAIN, FAST, FakeNode, chain, edit, fails, http

DATASETS = ALL
LIMITS = replace(FAST, deadline_seconds=2.0, not_yet_seconds=0.5)
_TROUBLES = {
    "bad body": http(200, "<html>not what was asked</html>"),
    "busy": http(429),
    "refused": http(403, "no access"),
    "pruned": edit(fails(4444, "pruned history unavailable"), method="eth_getBlockByNumber"),
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
    node = FakeNode(chain(stop), tags={"finalized": finalized})
    if trouble:
        node.react(_TROUBLES[trouble], times=times)
    async with (
        node.running(),
        evm.connect(replace(CHAIN, finality_tag="finalized"), [node.endpoint], LIMITS) as opened,
    ):
        yield opened
