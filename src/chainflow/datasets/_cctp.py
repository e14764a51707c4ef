"""The one shape of `cctp_messages`, whatever the family, and how its rows are put together.

A burn leaves two events in its transaction: the token messenger's DepositForBurn and, before it,
the transmitter's MessageSent, whose bytes say more. A mint leaves the token messenger's
MintAndWithdraw and, after it, the transmitter's MessageReceived. A row is made of such a pair. What
the two sides of a transfer share, `message_key`, is told in docs/decisions/0096.

Source: circlefin/evm-cctp-contracts (Message, MessageV2, BurnMessage, BurnMessageV2, both token
messengers), circlefin/noble-cctp (x/cctp/keeper), circlefin/sui-cctp.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
from eth_hash.auto import keccak

from chainflow.datasets._rows import ARROW_TYPES, block_columns
from chainflow.datasets._views import MESSAGE
from chainflow.types import Column

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from chainflow.types import ColumnType

_REQUIRED = {"address", "direction", "cctp_version", "token_address", "amount"}
_PLACE = ("transaction_hash", "transaction_index", "log_index")
_ANYONE = bytes(32)
_LENGTH_V1, _LEAST_V2 = 132, 228  # of a burn message
_HEADER = {1: 116, 2: 148}


def columns(height: str, required: Collection[str]) -> tuple[Column, ...]:
    """The columns of `cctp_messages`; the height under its family's name.

    `log_index` is the position of the token messenger's event in its block. `token_address`,
    `from_address`, `to_address` and `caller_address` are of the row's own chain and in its form;
    `burn_token` to `destination_caller` are the message's, 0x and 64 hex digits on every chain.

    Args:
        height: What the family calls the height.
        required: Which of the place's columns are never null: the family's key.
    """
    always = {*_REQUIRED, *required}
    return (
        *block_columns(height),
        *(Column(name, kind, required=name in always) for name, kind in MESSAGE),
    )


@dataclass(frozen=True, slots=True)
class Body:
    """A burn message, the part of a message that says what was burned and for whom."""

    cctp_version: int
    burn_token: bytes
    mint_recipient: bytes
    amount: int
    depositor: bytes
    max_fee: int | None
    expiration_block: int | None
    hook_data: bytes
    unchanged: bytes = field(repr=False)

    def said(self, source_domain: int, sender: bytes, nonce: str | None) -> dict[str, Any]:
        """Columns that both sides of a transfer have alike."""
        if self.cctp_version == 1:
            key = f"{source_domain}-{nonce}"
        else:
            what = source_domain.to_bytes(4, "big") + sender + self.unchanged
            key = _hex(hashlib.sha256(what).digest())
        return {
            "source_domain": source_domain,
            "message_nonce": nonce,
            "message_key": key,
            "burn_token": _hex(self.burn_token),
            "depositor": _hex(self.depositor),
            "mint_recipient": _hex(self.mint_recipient),
            "message_sender": _hex(sender),
            "max_fee": self.max_fee,
            "hook_data": _hex(self.hook_data) if self.hook_data else None,
        }


@dataclass(frozen=True, slots=True)
class Event:
    """One event of CCTP, before it is known which other one belongs to it.

    Attributes:
        kind: `sent` and `received` are a transmitter's, `burn` and `mint` a token messenger's.
        position: Which of the family's items it is.
        cctp_version: 1 or 2.
        amount: What was burned for, fees included.
        recipient: 32 bytes; None where the event does not say it right.
        said: What it says, by column.
    """

    kind: Literal["sent", "burn", "mint", "received"]
    position: int
    cctp_version: int
    amount: int
    recipient: bytes | None
    said: Mapping[str, Any]

    def fits(self, other: Event) -> bool:
        """Whether they may tell of the same transfer."""
        alike = (self.cctp_version, self.amount) == (other.cctp_version, other.amount)
        return alike and (
            None in (self.recipient, other.recipient) or self.recipient == other.recipient
        )


def body(raw: bytes) -> Body | None:
    """The burn message in a message's body; None if it is another application's.

    Version 1 has exactly 132 bytes, version 2 at least 228.
    """
    if len(raw) != _LENGTH_V1 and len(raw) < _LEAST_V2:
        return None
    later = len(raw) >= _LEAST_V2
    return Body(
        cctp_version=2 if later else 1,
        burn_token=raw[4:36],
        mint_recipient=raw[36:68],
        amount=int.from_bytes(raw[68:100], "big"),
        depositor=raw[100:132],
        max_fee=int.from_bytes(raw[132:164], "big") if later else None,
        expiration_block=int.from_bytes(raw[196:228], "big") or None,
        hook_data=raw[228:],
        # Circle fills in the fee and the expiry in between before it attests.
        unchanged=raw[:164] + raw[228:],
    )


def sent(position: int, address: str | None, message: bytes) -> Event | None:
    """MessageSent, whose bytes are the message; None if no burn is in it."""
    cctp_version = int.from_bytes(message[:4], "big") + 1
    header = _HEADER.get(cctp_version, len(message))
    burned = body(message[header:])
    if burned is None or burned.cctp_version != cctp_version:
        return None
    first = cctp_version == 1
    nonce = str(int.from_bytes(message[12:20], "big")) if first else None
    parties = [message[at : at + 32] for at in range(20 if first else 44, header, 32)]
    caller = parties[2]
    said = {
        **burned.said(int.from_bytes(message[4:8], "big"), parties[0], nonce),
        "transmitter_address": address,
        "destination_domain": int.from_bytes(message[8:12], "big"),
        "message_hash": _hex(keccak(message)) if first else None,
        "message_recipient": _hex(parties[1]),
        "destination_caller": _hex(caller) if caller != _ANYONE else None,
        "min_finality_threshold": None if first else int.from_bytes(message[140:144], "big"),
    }
    return Event("sent", position, cctp_version, burned.amount, burned.mint_recipient, said)


def received(
    position: int,
    address: str | None,
    *,
    message_body: bytes,
    source_domain: int,
    sender: bytes,
    nonce: int,
    caller: str | None,
    finality: int | None = None,
) -> Event | None:
    """MessageReceived; None if the message was no burn's."""
    burned = body(message_body)
    if burned is None:
        return None
    first = burned.cctp_version == 1
    text = str(nonce) if first else f"0x{nonce:064x}"
    said = {
        **burned.said(source_domain, sender, text),
        "transmitter_address": address,
        "caller_address": caller,
        "finality_threshold_executed": finality,
        "expiration_block": burned.expiration_block,
    }
    return Event(
        "received", position, burned.cctp_version, burned.amount, burned.mint_recipient, said
    )


def burn(
    position: int, cctp_version: int, *, amount: int, recipient: bytes, said: Mapping[str, Any]
) -> Event:
    """DepositForBurn; `said` must name `address` and `token_address`."""
    return Event(
        "burn",
        position,
        cctp_version,
        amount,
        recipient,
        {
            **said,
            "direction": "burn",
            "cctp_version": cctp_version,
            "amount": amount,
            "mint_recipient": _hex(recipient),
        },
    )


def mint(
    position: int,
    cctp_version: int,
    *,
    amount: int,
    fee: int | None,
    recipient: bytes | None,
    said: Mapping[str, Any],
) -> Event:
    """MintAndWithdraw of `amount`, the fee kept; `said` as for `burn`."""
    return Event(
        "mint",
        position,
        cctp_version,
        amount + (fee or 0),
        recipient,
        {
            **said,
            "direction": "mint",
            "cctp_version": cctp_version,
            "amount": amount,
            "fee_collected": fee,
            "mint_recipient": None if recipient is None else _hex(recipient),
        },
    )


def arrays(rows: Sequence[Mapping[str, Any]]) -> dict[str, pa.Array[Any]]:
    """What rows say, column by column; null where they do not."""
    return {
        name: _array(kind, [row.get(name) for row in rows]) for name, kind in MESSAGE[len(_PLACE) :]
    }


def _array(kind: ColumnType, values: list[Any]) -> pa.Array[Any]:
    if kind == "numeric":
        values = [None if value is None else str(value) for value in values]
    return pa.array(values, ARROW_TYPES[kind])


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()
