"""The few messages of cosmos.tx.v1beta1 that tables are made of, read from protobuf's wire format.

A block's transactions may be anything: what is no such transaction is None, and no error.

Source: cosmos/cosmos-sdk, proto/cosmos/tx/v1beta1/tx.proto; protobuf.dev, "Encoding".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
from google.protobuf.message import DecodeError

from chainflow.wire._protobuf import classes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_VARINT, _BYTES = 0, 2
_FIXED = {1: 8, 5: 4}
"""Sizes by wire type; there are no others in proto3."""
Value = int | bytes
_EMPTY: Sequence[Value] = ()
# All fields there are; what is not looked into is bytes.
_Tx = classes(
    "cosmos.tx.v1beta1",
    {
        "Tx": (("body", 1, "TxBody"), ("auth_info", 2, "AuthInfo"), ("signatures", 3, "*bytes")),
        "TxBody": (
            ("messages", 1, "*Any"),
            ("memo", 2, "string"),
            ("timeout_height", 3, "uint64"),
            ("unordered", 4, "bool"),
            ("timeout_timestamp", 5, "bytes"),
            ("extension_options", 1023, "*bytes"),
            ("non_critical_extension_options", 2047, "*bytes"),
        ),
        "Any": (("type_url", 1, "string"), ("value", 2, "bytes")),
        "AuthInfo": (("signer_infos", 1, "*bytes"), ("fee", 2, "Fee"), ("tip", 3, "bytes")),
        "Fee": (
            ("amount", 1, "*Coin"),
            ("gas_limit", 2, "uint64"),
            ("payer", 3, "string"),
            ("granter", 4, "string"),
        ),
        "Coin": (("denom", 1, "string"), ("amount", 2, "string")),
    },
)["Tx"]


class Coin(msgspec.Struct, frozen=True, gc=False):
    """An amount of one denomination; digits as they stand."""

    denom: str
    amount: str


class Tx(NamedTuple):
    """What a transaction says of itself; empty where it says nothing."""

    message_types: tuple[str, ...]
    memo: str
    timeout_height: int
    fee: tuple[Coin, ...]
    gas_limit: int
    payer: str
    granter: str


def transaction(raw: bytes) -> Tx | None:
    """The transaction in those bytes; None where they are none."""
    found = _usual(raw) or _any(raw)
    if found is None or not all(name.startswith("/") for name in found.message_types):
        return None
    return found


def _usual(raw: bytes) -> Tx | None:
    """A transaction as nearly all are: of known fields, none doubled, all in their order.

    Writing it again gives its bytes then, so that there is but one way to read them.
    """
    try:
        tx = _Tx.FromString(raw)
    except DecodeError:
        return None
    tx.DiscardUnknownFields()
    if not tx.HasField("body") or tx.SerializeToString() != raw:
        return None
    body, fee = tx.body, tx.auth_info.fee
    return Tx(
        tuple([message.type_url for message in body.messages]),
        body.memo,
        body.timeout_height,
        tuple([Coin(coin.denom, coin.amount) for coin in fee.amount]),
        fee.gas_limit,
        fee.payer,
        fee.granter,
    )


def _any(raw: bytes) -> Tx | None:
    """A transaction in whichever order its fields are; the last of doubled ones counts."""
    try:
        outer = _message(raw)
        if not outer.keys() <= {1, 2, 3} or 1 not in outer:
            return None
        body, auth = _message(_one(outer, 1)), _message(_one(outer, 2))
        fee = _message(_one(auth, 2))
        return Tx(
            message_types=tuple(_text(_message(_bytes(m)), 1) for m in body.get(1, _EMPTY)),
            memo=_text(body, 2),
            timeout_height=_number(body, 3),
            fee=tuple(_coin(_bytes(coin)) for coin in fee.get(1, _EMPTY)),
            gas_limit=_number(fee, 2),
            payer=_text(fee, 3),
            granter=_text(fee, 4),
        )
    except (ValueError, LookupError):
        return None


def _coin(raw: bytes) -> Coin:
    coin = _message(raw)
    return Coin(denom=_text(coin, 1), amount=_text(coin, 2))


def _message(raw: bytes) -> Mapping[int, list[Value]]:
    """A message's values by field, in their order; ValueError or LookupError where it is none."""
    found: dict[int, list[Value]] = {}
    at, end = 0, len(raw)
    while at < end:
        # Nearly every key, and most sizes, are one byte: a call for each took half of the time.
        key, at = (raw[at], at + 1) if raw[at] < 0x80 else _varint(raw, at)
        kind = key & 7
        value: Value
        if kind == _BYTES:
            size, at = (raw[at], at + 1) if raw[at] < 0x80 else _varint(raw, at)
            value, at = raw[at : at + size], at + size
        elif kind == _VARINT:
            value, at = _varint(raw, at)
        else:
            size = _FIXED[kind]
            value, at = raw[at : at + size], at + size
        if at > end or key < 8:
            raise ValueError("cut short, or a field 0")
        found.setdefault(key >> 3, []).append(value)
    return found


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """The number at a place, and the place behind it."""
    byte = raw[at]
    if byte < 0x80:
        return byte, at + 1
    number = shift = 0
    while shift < 70:
        byte = raw[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return number & 2**64 - 1, at
        shift += 7
    raise ValueError("no end of a number")


def _one(message: Mapping[int, list[Value]], field: int) -> bytes:
    """The bytes of a field that stands there at most once; the last one counts."""
    return _bytes(message.get(field, [b""])[-1])


def _text(message: Mapping[int, list[Value]], field: int) -> str:
    return _one(message, field).decode()


def _number(message: Mapping[int, list[Value]], field: int) -> int:
    value = message.get(field, [0])[-1]
    if not isinstance(value, int):
        raise ValueError("bytes where a number belongs")  # noqa: TRY004 - malformed, not misused
    return value


def _bytes(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a number where bytes belong")  # noqa: TRY004 - malformed, not misused
    return value
