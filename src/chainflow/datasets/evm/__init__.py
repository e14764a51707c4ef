"""Tables of EVM chains."""
