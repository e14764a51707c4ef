"""Tables of EVM chains."""

SCHEMA = "evm"
