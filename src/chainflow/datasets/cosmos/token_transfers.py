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
    named = events.filter(pc.equal(events["event_type"], "transfer"))
    moved = [
        (row, *one)
        for row, attributes in enumerate(_rows.attributes(named))
        for one in _moved(attributes)
    ]
    rows, places, senders, receivers, tokens, values = (
        zip(*moved, strict=True) if moved else ((),) * 6
    )
    found = named.rename_columns(
        ["log_index" if name == "event_index" else name for name in named.column_names]
    ).take(pa.array(rows, pa.int64()))
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
    usual = [(a.key, a.value) for a in attributes if a.key in ("recipient", "sender", "amount")]
    said = dict(usual)
    receiver, amount = said.get("recipient"), said.get("amount")
    if not receiver or not amount or len(usual) > len(said):
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
    source="events",
    derive=derive,
)
