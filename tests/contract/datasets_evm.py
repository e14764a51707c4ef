"""Blocks of the EVM family that the datasets' contract is tried on."""

from tests import cctp, evm

# Built by hand, for no recording has a transfer between chains.
_CCTP = evm.raw(
    evm.block(evm.transaction()),
    [evm.receipt(0, *cctp.evm_burn(cctp.V1), *cctp.evm_mint(cctp.V2, 2))],
)
SAMPLE = [
    _CCTP,
    *(recorded.raw() for recorded in evm.recordings() if recorded.chain == "ethereum"),
]
