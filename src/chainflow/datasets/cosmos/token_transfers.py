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
from chainflow.datasets._rows import pc
from chainflow.datasets.cosmos import _events, _rows
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chainflow.datasets.cosmos._rows import Attribute
    from chainflow.types import RawBlock

_COIN = re.compile(r"(0|[1-9][0-9]{0,77})([a-zA-Z][a-zA-Z0-9/:._-]{1,127})", flags=re.ASCII)
_STANDARD = "bank"

KEY = ("height", "log_index", "transfer_index")
COLUMNS = _transfers.columns("height", KEY)

# Columns of `events` that a transfer has as well, and what they are called then.
_PLACE = {
    **{name: name for name in ("height", "block_hash", "block_timestamp")},
    **{name: name for name in ("transaction_hash", "transaction_index")},
    "event_index": "log_index",
}
_SAID = frozenset({"recipient", "sender", "amount"})

# Place in the list of coins; sender, receiver; denomination and amount.
Transfer = tuple[int, str | None, str, str, str]


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The transfers of each block, in the order they happened; `log_index` is `event_index`.

    Raises:
        MalformedAnswer: A text cannot stand in its column.
    """
    return derive(_events.of(blocks))


def derive(events: pa.Table) -> pa.Table:
    """The transfers that events are, in their order."""
    named = events.select([*_PLACE, "attributes"]).filter(
        pc.equal(events["event_type"], "transfer")
    )
    moved = [
        (row, *one)
        for row, attributes in enumerate(_rows.attributes(named))
        for one in _moved(attributes)
    ]
    rows, places, senders, receivers, tokens, values = (
        zip(*moved, strict=True) if moved else ((),) * 6
    )
    found = named.select(list(_PLACE)).rename_columns(list(_PLACE.values()))
    found = found.take(pa.array(rows, pa.int64()))
    said = {
        "transfer_index": pa.array(places, pa.int64()),
        "token_address": pa.array(tokens, pa.string()),
        "token_standard": pa.repeat(_STANDARD, len(moved)),
        "operator_address": pa.nulls(len(moved), pa.string()),
        "from_address": pa.array(senders, pa.string()),
        "to_address": pa.array(receivers, pa.string()),
        "token_id": pa.nulls(len(moved), pa.string()),
        "value": pa.array(values, pa.string()),
    }
    return pa.table({c.name: said[c.name] if c.name in said else found[c.name] for c in COLUMNS})


def _moved(attributes: Sequence[Attribute]) -> Sequence[Transfer]:
    """The coins of a transfer; none where another module's event has its name."""
    said: dict[str, str | None] = {}
    for attribute in attributes:
        if (key := attribute.key) in _SAID:
            if key in said:
                return ()
            said[key] = attribute.value
    receiver, amount = said.get("recipient"), said.get("amount")
    if not receiver or not amount:
        return ()
    sender = said.get("sender") or None
    moved = []
    for place, text in enumerate(amount.split(",")):
        coin = _COIN.fullmatch(text)
        if coin is None:
            return ()
        moved.append((place, sender, receiver, coin[2], coin[1]))
    return moved


DATASET = Dataset(
    name="token_transfers",
    family="cosmos",
    height_column="height",
    columns=COLUMNS,
    key=KEY,
    decode=decode,
    source="events",
    derive=derive,
)
