"""Whether a chain still has what is merged of it, and from which height on it does not."""

from __future__ import annotations

import logging
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING

from chainflow.errors import ReorgDetected
from chainflow.store import rewind
from chainflow.store.rewind import Reorg
from chainflow.store.trouble import outlast_in_thread
from chainflow.types import BlockRange

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from chainflow.clients import Client
    from chainflow.types import Chain

log = logging.getLogger(__name__)


def forget(engine: Engine, chain: Chain, found: Reorg, *, height_column: str, run_id: str) -> None:
    """Remove what the chain replaced, and tell it in the log."""
    removed = rewind.rewind(engine, chain, found, height_column=height_column, run_id=run_id)
    log.warning(
        "reorganised chain=%s start=%d old=%s new=%s rows=%d",
        chain.name,
        found.start,
        found.old_hash,
        found.new_hash,
        sum(removed.values()),
    )


async def find(
    engine: Engine, chain: Chain, client: Client, height: int, *, height_column: str
) -> Reorg | None:
    """Where the chain left what is merged, looking down from a merged height.

    Args:
        engine: The store.
        chain: Whose blocks.
        client: Of its nodes; each height looked at is asked for again.
        height: Where to begin; the node must have it.
        height_column: What the family calls the height.

    Returns:
        None if the node's block at `height` is the merged one.

    Raises:
        ReorgDetected: The branches part more than `max_reorg_blocks` below.
    """
    lowest = max(chain.start, height - chain.max_reorg_blocks)
    found: Reorg | None = None
    stop, size = height + 1, 1
    while stop > lowest:
        blocks = BlockRange(max(lowest, stop - size), stop)
        for at, theirs in reversed(await _hashes(client, blocks)):
            merged = partial(rewind.merged_hash, engine, chain, height_column, at)
            ours = await outlast_in_thread(merged)
            if ours == theirs:
                return found
            # Where no row is merged there is nothing to compare, but there may be below.
            found = found if ours is None else Reorg(at, ours, theirs)
        stop, size = blocks.start, 2 * size
    if found is not None and height - found.start >= chain.max_reorg_blocks:
        raise ReorgDetected(
            f"{chain.name}: every block from {found.start} to {height} was replaced after it was "
            f"merged (expected at most max_reorg_blocks = {chain.max_reorg_blocks}); is this node "
            "on another chain? If it is not, raise max_reorg_blocks in the registry"
        )
    return found


async def _hashes(client: Client, blocks: BlockRange) -> list[tuple[int, str]]:
    async with aclosing(client.fetch(blocks, {"blocks"})) as stream:
        return [(block.height, block.hash) async for block in stream]
