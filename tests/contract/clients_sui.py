"""What the client contract needs of the Sui family: a client of a store, and one of a node."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import grpc

from chainflow.clients import Client
from tests import sui
from tests.fake_node import FAST
from tests.sui_nodes import ALL, CHAIN, FakeLedger, FakeStore, connected, html

DATASETS = ALL
FINAL_AT_ONCE = True
LIMITS = replace(FAST, deadline_seconds=2.0, not_yet_seconds=0.5)
_NO_ANSWER = (grpc.StatusCode.UNKNOWN, "Received http2 header with status: 502")


@asynccontextmanager
async def client(*, stop: int, finalized: int, bad_bodies: float = 0) -> AsyncIterator[Client]:
    """A client of a checkpoint store with the heights [0, stop), all of them final.

    Args:
        stop: One above its head.
        finalized: Not used: every checkpoint is final.
        bad_bodies: How many requests for checkpoints the store answers with something else.
    """
    del finalized
    store = FakeStore(sui.checkpoints(41)[:stop])
    store.react(html, times=bad_bodies)
    async with connected([store], CHAIN, LIMITS) as opened:
        yield opened


class Grpc:
    """The same contract, of a node over gRPC."""

    DATASETS = ALL
    FINAL_AT_ONCE = True

    @asynccontextmanager
    async def client(
        self, *, stop: int, finalized: int, bad_bodies: float = 0
    ) -> AsyncIterator[Client]:
        """A client of a node with the heights [0, stop); a bad body is no gRPC at all."""
        del finalized
        ledger = FakeLedger(sui.checkpoints(41)[:stop])
        if bad_bodies == float("inf"):
            ledger.always = _NO_ANSWER
        else:
            ledger.refusals = [_NO_ANSWER] * int(bad_bodies)
        async with connected([ledger], CHAIN, LIMITS) as opened:
            yield opened
