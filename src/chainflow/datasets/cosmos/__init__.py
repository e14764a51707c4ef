"""Tables of Cosmos chains."""

SCHEMA = "cosmos"
