"""Blocks of the Tron family that the datasets' contract is tried on."""

from dataclasses import replace

from tests import tron

# Each is of height 1000, or near it: apart from each other they are a chain's.
SAMPLE = [
    replace(made.raw(), height=height)
    for height, made in enumerate([tron.recordings(), *tron.odd_blocks().values()], 1)
]
