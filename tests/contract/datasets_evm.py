"""Blocks of the EVM family that the datasets' contract is tried on."""

from tests import evm

SAMPLE = [recorded.raw() for recorded in evm.recordings() if recorded.chain == "ethereum"]
