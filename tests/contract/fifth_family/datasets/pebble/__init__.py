"""Tables of pebble chains."""

SCHEMA = "pebble_family"
