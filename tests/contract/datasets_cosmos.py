"""Blocks of the Cosmos family that the datasets' contract is tried on, ascending."""

from tests import cosmos, cosmos_node

_RECORDED = {one.height: one.raw() for one in (*cosmos.recordings(), *cosmos.halves())}
# From the devnet, for no recording has a transfer between chains.
_BRIDGED = [cosmos_node.made("noble-1", height) for height in range(200_000_000, 200_000_012)]
SAMPLE = [*(block for _, block in sorted(_RECORDED.items())), *_BRIDGED]
