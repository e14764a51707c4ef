"""One row per transaction: what it asked for, and what came of it.

Its messages are each of a type of their own, thousands over all chains: their type URLs stand here,
and the bytes they are in, `raw`. What is no transaction of the Cosmos SDK, such as the vote
extensions that some chains put first in a block, has its hash, its bytes and its result.
"""

from __future__ import annotations

from base64 import b64encode
from itertools import chain
from typing import TYPE_CHECKING

import pyarrow as pa

from chainflow.datasets._columns import columns, computed, field, json_texts, read, table
from chainflow.datasets.cosmos import _rows
from chainflow.datasets.cosmos._protobuf import transaction
from chainflow.datasets.cosmos._text import READERS
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chainflow.datasets._columns import Values
    from chainflow.types import RawBlock

_FIELDS = (
    computed("transaction_hash", "text", required=True),
    computed("transaction_index", "bigint", required=True),
    computed("code", "bigint", required=True),
    field("codespace", "text", required=True),
    field("gas_wanted", "numeric", required=True),
    field("gas_used", "numeric", required=True),
    computed("gas_limit", "numeric"),
    computed("fee", "jsonb"),
    computed("fee_payer", "text"),
    computed("fee_granter", "text"),
    computed("memo", "text"),
    computed("message_types", "jsonb"),
    computed("timeout_height", "numeric"),
    computed("size", "numeric", required=True),
    computed("raw", "text", required=True),
    computed("result_data", "text"),
    field("result_info", "text", "info", required=True),
    computed("raw_log", "text"),
    field("extra", "jsonb"),
)
COLUMNS = columns("height", _FIELDS)


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The transactions of each block, in its order.

    `raw_log` is kept where the transaction failed; elsewhere it repeats the events, if anything.

    Raises:
        MalformedAnswer: A number is none, or does not fit its column.
    """
    sent, found = _rows.transactions(blocks)
    results = found.items
    places = chain.from_iterable(range(len(block.payload.hashes)) for block in blocks)
    values: dict[str, Values] = {
        **read(_FIELDS, results),
        **own(sent),
        "transaction_hash": _rows.hashes(blocks),
        "transaction_index": pa.array(places, pa.int64()),
        "code": pa.array([result.code for result in results], pa.int64()),
        "raw": [b64encode(raw).decode() for raw in sent],
        "result_data": [b64encode(r.data).decode() if r.data else None for r in results],
        "raw_log": [result.log if result.code else None for result in results],
    }
    return table("transactions", COLUMNS, found, values, READERS)


def own(raws: Sequence[bytes]) -> dict[str, list[str | None]]:
    """What transactions say of themselves; null for what is none, and for what one leaves out."""
    given = [transaction(raw) for raw in raws]
    return {
        "size": [str(len(raw)) for raw in raws],
        "gas_limit": [tx and str(tx.gas_limit) for tx in given],
        "fee": json_texts([tx and tx.fee for tx in given]),
        "fee_payer": [tx and (tx.payer or None) for tx in given],
        "fee_granter": [tx and (tx.granter or None) for tx in given],
        "memo": [tx and tx.memo for tx in given],
        "message_types": json_texts([tx and tx.message_types for tx in given]),
        "timeout_height": [tx and str(tx.timeout_height) for tx in given],
    }


DATASET = Dataset(
    name="transactions",
    family="cosmos",
    height_column="height",
    columns=COLUMNS,
    key=("height", "transaction_index"),
    decode=decode,
)
