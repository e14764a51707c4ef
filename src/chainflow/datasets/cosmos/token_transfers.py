"""One row per coin that the bank module moved.

A `transfer` event names receiver, amount and, since Cosmos SDK 0.40 or so, sender; its amount is a
list of coins, one row each, `token_address` being the denomination as the chain writes it (`uusdc`,
`ibc/...`, `erc20:0x...`). What a failed transaction paid as its fee was moved too. Coins made or
destroyed in a module's account (`coinbase`, `burn`) are no transfers; they are in `events`.

Source: cosmos/cosmos-sdk, x/bank/types/events.go and types/coin.go; docs/decisions/0094.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyarrow as pa

from chainflow.datasets import _transfers
from chainflow.datasets._columns import table
from chainflow.datasets.cosmos import _rows
from chainflow.datasets.cosmos._text import READERS
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chainflow.types import RawBlock
    from chainflow.wire.cosmos import Event

_COIN = re.compile(r"(0|[1-9][0-9]{0,77})([a-zA-Z][a-zA-Z0-9/:._-]{1,127})", flags=re.ASCII)
_STANDARD = "bank"

KEY = ("height", "log_index", "transfer_index")
COLUMNS = _transfers.columns("height", KEY)

# Place in the list of coins; sender, receiver; denomination and amount.
Transfer = tuple[int, str | None, str, str, str]


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The transfers of each block, in the order they happened; `log_index` is `event_index`.

    Raises:
        MalformedAnswer: A text cannot stand in its column.
    """
    found = _rows.events(blocks, ("transfer",))
    moved = [
        (row, *one) for row, happened in enumerate(found.items) for one in _moved(happened.event)
    ]
    rows, places, senders, receivers, tokens, values = (
        zip(*moved, strict=True) if moved else ((),) * 6
    )
    moving = found.take(rows)
    return table(
        "token_transfers",
        COLUMNS,
        moving,
        {
            "transaction_hash": _rows.hashes(moving),
            "transaction_index": pa.array([one.transaction for one in moving.items], pa.int64()),
            "log_index": pa.array([one.place for one in moving.items], pa.int64()),
            "transfer_index": pa.array(places, pa.int64()),
            "token_address": tokens,
            "token_standard": [_STANDARD] * len(moving),
            "operator_address": pa.nulls(len(moving), pa.string()),
            "from_address": senders,
            "to_address": receivers,
            "token_id": pa.nulls(len(moving), pa.string()),
            "value": values,
        },
        READERS,
    )


def _moved(event: Event) -> Sequence[Transfer]:
    """The coins of a transfer; none where another module's event has its name."""
    attributes = event.attributes or ()
    said = {a.key: a.value for a in attributes if a.key in ("recipient", "sender", "amount")}
    named = [a.key for a in attributes if a.key in said]
    receiver, amount = said.get("recipient"), said.get("amount")
    if not receiver or not amount or len(named) > len(said):
        return ()
    coins = [_COIN.fullmatch(text) for text in amount.split(",")]
    return (
        [
            (place, said.get("sender") or None, receiver, coin[2], coin[1])
            for place, coin in enumerate(coins)
            if coin
        ]
        if all(coins)
        else ()
    )


DATASET = Dataset(
    name="token_transfers",
    family="cosmos",
    height_column="height",
    columns=COLUMNS,
    key=KEY,
    decode=decode,
)
