"""One row per transaction, with how it ended and what it paid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from chainflow.datasets._columns import columns, computed, field, json_texts
from chainflow.datasets.sui._digests import digests
from chainflow.datasets.sui._rows import hashes, indexes, transactions
from chainflow.datasets.sui._table import HEIGHT, read, table
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chainflow.datasets._columns import Values
    from chainflow.types import RawBlock

# What was paid is in MIST; `net_gas_usage` is the sum of costs less the rebate, so may be negative.
# A system transaction has no commands. `move_calls` are package::module::function of each call.
_FIELDS = (
    computed("transaction_hash", "text", required=True),
    computed("transaction_index", "bigint", required=True),
    field("transaction_kind", "text", "transaction.kind", required=True),
    field("sender", "text", "transaction.sender", required=True),
    field("success", "boolean", "effects.status.success", required=True),
    field("error_kind", "text", "effects.status.kind"),
    field("error_command", "bigint", "effects.status.command"),
    computed("error", "jsonb"),
    field("epoch", "bigint", "effects.epoch", required=True),
    field("gas_owner", "text", "transaction.gas_owner", required=True),
    field("gas_price", "numeric", "transaction.gas_price", required=True),
    field("gas_budget", "numeric", "transaction.gas_budget", required=True),
    field("computation_cost", "numeric", "effects.gas.computation_cost", required=True),
    field("storage_cost", "numeric", "effects.gas.storage_cost", required=True),
    field("storage_rebate", "numeric", "effects.gas.storage_rebate", required=True),
    field(
        "non_refundable_storage_fee",
        "numeric",
        "effects.gas.non_refundable_storage_fee",
        required=True,
    ),
    computed("net_gas_usage", "numeric", required=True),
    field("command_count", "bigint", "transaction.command_count"),
    computed("move_calls", "jsonb"),
    computed("event_count", "bigint", required=True),
    computed("effects_digest", "text", required=True),
    computed("events_digest", "text"),
    field("lamport_version", "numeric", "effects.lamport_version"),
)
COLUMNS = columns(HEIGHT, _FIELDS)


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The transactions of each checkpoint, in its order.

    Raises:
        MalformedAnswer: A number does not fit its column.
    """
    found = transactions(blocks)
    paid = [executed.effects.gas for executed in found.items]
    net = [gas.computation_cost + gas.storage_cost - gas.storage_rebate for gas in paid]
    values: dict[str, Values] = {
        **read(_FIELDS, found.items),
        "transaction_hash": hashes(found.items),
        "transaction_index": indexes(blocks),
        "error": json_texts([executed.effects.status.error for executed in found.items]),
        "net_gas_usage": pa.array(map(str, net), pa.string()),
        "move_calls": json_texts(
            [executed.transaction.move_calls or None for executed in found.items]
        ),
        "event_count": [len(executed.events) for executed in found.items],
        "effects_digest": digests([executed.effects_digest for executed in found.items]),
        "events_digest": digests([executed.events_digest for executed in found.items]),
    }
    return table("transactions", COLUMNS, found, values)


DATASET = Dataset(
    name="transactions",
    family="sui",
    height_column=HEIGHT,
    columns=COLUMNS,
    key=(HEIGHT, "transaction_index"),
    decode=decode,
)
