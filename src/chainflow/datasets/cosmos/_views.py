"""What Cosmos chains give to the views over all families."""

from chainflow.datasets import _views
from chainflow.datasets.cosmos import SCHEMA

MEMBERS = (
    _views.transfers(SCHEMA, "height"),
    _views.cctp_messages(SCHEMA, "height"),
)
