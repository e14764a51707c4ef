"""Checkpoints of the Sui family that the datasets' contract is tried on."""

from tests import sui

SAMPLE = [
    *(sui.raw(body) for body in sui.checkpoints(41)),
    sui.raw(sui.recorded_checkpoint().body),
]
