"""One row per burn or mint of Circle's cross-chain transfer protocol by Noble's module, version 1.

Its events are typed: an attribute's value is JSON, bytes in it are base64. No contract can emit
them, so `address` is the module's name. The recipient in MintAndWithdraw was garbled in the
module's first releases: the message says it right.

Source: circlefin/noble-cctp (proto/circle/cctp/v1/events.proto, x/cctp/keeper).
"""

from __future__ import annotations

import re
from base64 import b64decode
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pyarrow as pa

from chainflow.datasets import _cctp
from chainflow.datasets._cctp_pairs import pairs
from chainflow.datasets._rows import pc
from chainflow.datasets.cosmos import _events, _rows
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Said = Mapping[str | None, str]

    from chainflow.datasets._cctp import Event
    from chainflow.datasets.cosmos._rows import Attribute
    from chainflow.types import RawBlock

MODULE = "circle.cctp.v1"
# A burn names its token by keccak-256 of the denomination.
_DENOMS = {"487039debedbf32d260137b0a6f66b90962bec777250910d253781de326a716d": "uusdc"}

# What is zero or empty may be left out.
_ABSENT: Said = {"destination_domain": "0", "source_domain": "0", "destination_caller": "null"}
_DIGITS = re.compile(r"[0-9]{1,78}", flags=re.ASCII)
_value = msgspec.json.Decoder(str | int | None)

KEY = ("height", "log_index")
COLUMNS = _cctp.columns("height", KEY)


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The burns and mints of each block, in the order they happened; `log_index` is `event_index`.

    Raises:
        MalformedAnswer: A text cannot stand in its column.
    """
    return derive(_events.of(blocks))


def derive(events: pa.Table) -> pa.Table:
    """The burns and mints that events tell of, in their order."""
    known = events.filter(pc.is_in(events["event_type"], pa.array(list(_EVENTS))))
    heights, transactions, kinds = (
        cast("list[Any]", known[name].to_pylist())
        for name in ("height", "transaction_index", "event_type")
    )
    attributes = _rows.attributes(known)
    made = pairs(
        range(len(kinds)),
        transaction=lambda row: (heights[row], transactions[row]),
        read=lambda row: _event(row, kinds[row], attributes[row]),
        # The module's next release may say it otherwise.
        strange=(ValueError, KeyError),
    )
    found = known.rename_columns(
        ["log_index" if name == "event_index" else name for name in known.column_names]
    ).take(pa.array([row for row, _ in made], pa.int64()))
    said = _cctp.arrays([said for _, said in made])
    return pa.table({c.name: said[c.name] if c.name in said else found[c.name] for c in COLUMNS})


def _event(row: int, kind: str, attributes: Sequence[Attribute]) -> Event | None:
    return _EVENTS[kind](row, {**_ABSENT, **{a.key: a.value for a in attributes if a.value}})


def _burn(row: int, said: Said) -> Event:
    caller = _bytes(said, "destination_caller")
    token = _text(said, "burn_token")
    return _cctp.burn(
        row,
        1,
        amount=_number(said, "amount", 256),
        recipient=_bytes(said, "mint_recipient"),
        said={
            "address": MODULE,
            "token_address": _DENOMS.get(token, token),
            "from_address": _text(said, "depositor"),
            "message_nonce": str(_number(said, "nonce", 64)),
            "destination_domain": _number(said, "destination_domain", 32),
            "message_recipient": _hex(_bytes(said, "destination_token_messenger")),
            "destination_caller": _hex(caller) if any(caller) else None,
        },
    )


def _mint(row: int, said: Said) -> Event:
    return _cctp.mint(
        row,
        1,
        amount=_number(said, "amount", 256),
        fee=None,
        recipient=None,
        said={"address": MODULE, "token_address": _text(said, "mint_token")},
    )


def _sent(row: int, said: Said) -> Event | None:
    return _cctp.sent(row, MODULE, _bytes(said, "message"))


def _received(row: int, said: Said) -> Event | None:
    return _cctp.received(
        row,
        MODULE,
        message_body=_bytes(said, "message_body"),
        source_domain=_number(said, "source_domain", 32),
        sender=_bytes(said, "sender"),
        nonce=_number(said, "nonce", 64),
        caller=_text(said, "caller"),
    )


# What each of these raises, KeyError or ValueError, makes the event none of the protocol's.
def _number(said: Said, name: str, bits: int) -> int:
    """A number of at most so many bits: JSON's own, or in a text where it may be wide."""
    value = str(_value.decode(said[name]))
    if _DIGITS.fullmatch(value) and int(value) < 2**bits:
        return int(value)
    raise ValueError(f"{name} is no number of {bits} bits")


def _text(said: Said, name: str) -> str:
    value = _value.decode(said[name])
    if isinstance(value, str) and "\0" not in value:
        return value
    raise ValueError(f"{name} is no text that a column holds")


def _bytes(said: Said, name: str) -> bytes:
    value = _value.decode(said[name])
    if isinstance(value, int):
        raise ValueError(f"{name} is a number")  # noqa: TRY004 - as any other that is no bytes
    return b64decode(value or "")


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()


_EVENTS: dict[str, Callable[[int, Said], Event | None]] = {
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
    source="events",
    derive=derive,
)
