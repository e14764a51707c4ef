"""What Sui networks give to the views over all families."""

from chainflow.datasets import _views
from chainflow.datasets.sui import SCHEMA

MEMBERS = (
    _views.balance_changes(SCHEMA, "checkpoint"),
    _views.cctp_messages(SCHEMA, "checkpoint"),
)
