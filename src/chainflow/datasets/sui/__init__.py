"""Tables of Sui networks. A chain may be named as its family, whose own tables stand apart then."""

SCHEMA = "sui_family"
