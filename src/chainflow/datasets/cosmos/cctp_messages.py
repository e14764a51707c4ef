"""One row per burn or mint of Circle's cross-chain transfer protocol by Noble's module, version 1.

Its events are typed: an attribute's value is JSON, bytes in it are base64. No contract can emit
them, so `address` is the module's name. The recipient in MintAndWithdraw was garbled in the
module's first releases: the message says it right.

Source: circlefin/noble-cctp (proto/circle/cctp/v1/events.proto, x/cctp/keeper).
"""

from __future__ import annotations

from base64 import b64decode
from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from chainflow.datasets import _cctp
from chainflow.datasets._columns import table
from chainflow.datasets.cosmos import _rows
from chainflow.datasets.cosmos._text import READERS
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from chainflow.datasets._cctp import Event
    from chainflow.datasets.cosmos._rows import Happened
    from chainflow.types import RawBlock

MODULE = "circle.cctp.v1"
# A burn names its token by keccak-256 of the denomination.
_DENOMS = {"487039debedbf32d260137b0a6f66b90962bec777250910d253781de326a716d": "uusdc"}

KEY = ("height", "log_index")
COLUMNS = _cctp.columns("height", KEY)


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The burns and mints of each block, in the order they happened; `log_index` is `event_index`.

    Raises:
        MalformedAnswer: A text cannot stand in its column.
    """
    found = _rows.events(blocks)
    known = [row for row, one in enumerate(found.items) if one.event.type in _EVENTS]

    def transaction(row: int) -> tuple[int, int | None]:
        return found.owners[row], found.items[row].transaction

    made = [
        one
        for _, rows in groupby(known, key=transaction)
        for one in _cctp.pair(_events(found.items, rows))
    ]
    moving = found.take([row for row, _ in made])
    return table(
        "cctp_messages",
        COLUMNS,
        moving,
        {
            "transaction_hash": _rows.hashes(moving),
            "transaction_index": pa.array([one.transaction for one in moving.items], pa.int64()),
            "log_index": pa.array([one.place for one in moving.items], pa.int64()),
            **_cctp.arrays([said for _, said in made]),
        },
        READERS,
    )


def _events(happened: Sequence[Happened], rows: Iterable[int]) -> list[Event]:
    """What the module's events of one transaction say; nothing of those in a form of their own."""
    found = []
    for row in rows:
        event = happened[row].event
        try:
            said = {a.key: msgspec.json.decode(a.value) for a in event.attributes or () if a.value}
            one = _EVENTS[event.type or ""](row, said)
        except (ValueError, KeyError, TypeError, OverflowError):
            continue  # the module's next release may say it otherwise; it stands in `events`
        if one is not None:
            found.append(one)
    return found


def _burn(row: int, said: Mapping[str | None, Any]) -> Event:
    caller = b64decode(said.get("destination_caller") or "")
    return _cctp.burn(
        row,
        1,
        amount=int(said["amount"]),
        recipient=b64decode(said["mint_recipient"]),
        said={
            "address": MODULE,
            "token_address": _DENOMS.get(said["burn_token"], str(said["burn_token"])),
            "from_address": str(said["depositor"]),
            "message_nonce": str(int(said["nonce"])),
            "destination_domain": int(said.get("destination_domain", 0)),
            "message_recipient": _hex(b64decode(said["destination_token_messenger"])),
            "destination_caller": _hex(caller) if any(caller) else None,
        },
    )


def _mint(row: int, said: Mapping[str | None, Any]) -> Event:
    return _cctp.mint(
        row,
        1,
        amount=int(said["amount"]),
        fee=None,
        recipient=None,
        said={"address": MODULE, "token_address": str(said["mint_token"])},
    )


def _sent(row: int, said: Mapping[str | None, Any]) -> Event | None:
    return _cctp.sent(row, MODULE, b64decode(said["message"]))


def _received(row: int, said: Mapping[str | None, Any]) -> Event | None:
    return _cctp.received(
        row,
        MODULE,
        message_body=b64decode(said["message_body"]),
        source_domain=int(said.get("source_domain", 0)),
        sender=b64decode(said["sender"]),
        nonce=int(said["nonce"]),
        caller=str(said["caller"]),
    )


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()


_EVENTS: dict[str, Callable[[int, Mapping[str | None, Any]], Event | None]] = {
    f"{MODULE}.DepositForBurn": _burn,
    f"{MODULE}.MintAndWithdraw": _mint,
    f"{MODULE}.MessageSent": _sent,
    f"{MODULE}.MessageReceived": _received,
}

DATASET = Dataset(
    name="cctp_messages",
    family="cosmos",
    height_column="height",
    columns=COLUMNS,
    key=KEY,
    decode=decode,
)
