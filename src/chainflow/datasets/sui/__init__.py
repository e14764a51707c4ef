"""Tables of Sui networks. A chain may be named as its family, whose own tables stand apart then."""

SCHEMA = "sui_family"
# How its nodes are asked. Said here, for a parse of DAGs reads no client.
SCHEMES = ("http", "https", "grpc", "grpcs")
