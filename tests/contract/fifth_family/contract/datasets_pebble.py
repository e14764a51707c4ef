"""Pebbles that the datasets' contract is tried on, ascending."""

from chainflow.types import RawBlock

SAMPLE = [
    RawBlock(tick, f"h{tick}", f"h{tick - 1}", 1_790_000_000_000 + tick, {"mood": "calm"}, 9)
    for tick in range(3)
]
