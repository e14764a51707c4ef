"""What the client contract needs of the Sui family: a client of a store, and one of a node."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import grpc

from chainflow.clients import Client
from tests import sui
from tests.fake_node import FAST
from tests.sui_nodes import ALL, CHAIN, FakeLedger, FakeStore, connected, html, status

DATASETS = ALL
FINAL_AT_ONCE = True
LIMITS = replace(FAST, deadline_seconds=2.0, not_yet_seconds=0.5)
_OF_STORE = {"bad body": html, "busy": status(429), "refused": status(403)}
_OF_NODE = {
    "bad body": (grpc.StatusCode.UNKNOWN, "Received http2 header with status: 502"),
    "busy": (grpc.StatusCode.RESOURCE_EXHAUSTED, "slow down"),
    "refused": (grpc.StatusCode.PERMISSION_DENIED, "no access"),
}
# Above what a store has dropped there is much that it has.
_FAR: Sequence[bytes] = [b""] * 5_000


@asynccontextmanager
async def client(
    *, stop: int, finalized: int, trouble: str = "", times: float = 0
) -> AsyncIterator[Client]:
    """A client of a checkpoint store with the heights [0, stop), all of them final.

    Args:
        stop: One above its head.
        finalized: Not used: every checkpoint is final.
        trouble: How the store answers requests for checkpoints; see the contract.
        times: How many of them.
    """
    del finalized
    if trouble == "pruned":
        store = FakeStore(_FAR, lowest=stop)
    else:
        store = FakeStore(sui.checkpoints(41)[:stop])
        if trouble:
            store.react(_OF_STORE[trouble], times=times)
    async with connected([store], CHAIN, LIMITS) as opened:
        yield opened


class Grpc:
    """The same contract, of a node over gRPC."""

    DATASETS = ALL
    CHAIN = CHAIN
    FINAL_AT_ONCE = True

    @asynccontextmanager
    async def client(
        self, *, stop: int, finalized: int, trouble: str = "", times: float = 0
    ) -> AsyncIterator[Client]:
        """A client of a node with the heights [0, stop); a bad body is no gRPC at all."""
        del finalized
        ledger = FakeLedger(sui.checkpoints(41)[:stop])
        if trouble == "pruned":
            ledger.lowest = stop - 1
        elif trouble and times == float("inf"):
            ledger.always = _OF_NODE[trouble]
        elif trouble:
            ledger.refusals = [_OF_NODE[trouble]] * int(times)
        async with connected([ledger], CHAIN, LIMITS) as opened:
            yield opened
