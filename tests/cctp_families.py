"""Transfers of CCTP as Noble and Sui tell of them, built by hand in the form of their nodes."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from chainflow.types import RawBlock
from chainflow.wire.sui import Event
from tests import cctp, cosmos
from tests.cctp import V1, Transfer, b32

MODULE = "0x" + "00" * 12 + "57" * 20
# keccak-256 of "uusdc", which is how Noble names it in messages.
UUSDC = "487039debedbf32d260137b0a6f66b90962bec777250910d253781de326a716d"
PACKAGES = {
    1: (
        "0x2aa6c5d56376c371f88a6cc42e852824994993cb9bab8d3e6450cbe3cb32b94e",
        "0x08d87d37ba49e785dde270a83f8e979605b03dc552b5548f26fdf2f49bf7ed1b",
    ),
    2: (
        "0xeb14978abfe93a37c5d5bf86a0623b923553a5f0e794daac7724f1e2fdbfb830",
        "0x16bcfcfc465f96281663a344641c017de84529370e11aa3879d0dce43ad6db87",
    ),
}
TOKEN_ID = "0x" + "7a" * 32


def noble(*events: dict[str, Any]) -> RawBlock:
    """A block whose only transaction left those events behind a transfer's."""
    result = cosmos.result(cosmos.event("transfer", ("amount", "1uusdc")), *events)
    return cosmos.raw(cosmos.block(7, [b"tx"]), cosmos.results_of(7, [result]))


def typed(name: str, **fields: object) -> dict[str, Any]:
    """A typed event of the module: values are JSON, and bytes in it base64."""
    pairs = [
        (key, json.dumps(base64.b64encode(v).decode() if isinstance(v, bytes) else v))
        for key, v in fields.items()
    ]
    return cosmos.event(f"circle.cctp.v1.{name}", *pairs, ("msg_index", "0"))


def noble_burn(t: Transfer) -> RawBlock:
    """Noble's side of a transfer that leaves it."""
    return noble(
        typed("MessageSent", message=cctp.message(t)),
        typed(
            "DepositForBurn",
            nonce=str(t.nonce),
            burn_token=UUSDC,
            amount=str(t.amount),
            depositor="noble1sender",
            mint_recipient=b32(t.recipient),
            destination_domain=t.destination,
            destination_token_messenger=b32(t.messengers[1]),
            destination_caller=b"",
        ),
    )


def noble_mint(t: Transfer) -> RawBlock:
    """Noble's side of a transfer that comes to it; the recipient is garbled as it once was."""
    return noble(
        typed(
            "MintAndWithdraw", mint_recipient="\x00\ufffd", amount=str(t.amount), mint_token="uusdc"
        ),
        typed(
            "MessageReceived",
            caller="noble1relayer",
            source_domain=t.source,
            nonce=str(t.nonce),
            sender=b32(t.messengers[0]),
            message_body=cctp.body(t, attested=True),
        ),
    )


def sui(*emitted: tuple[str, str, bytes]) -> RawBlock:
    """A checkpoint whose second transaction emitted those events: package, type, contents."""
    events = [
        Event("0x" + "0" * 64, "any", "0x" + "1" * 64, f"{package}::{name}", contents)
        for package, name, contents in emitted
    ]
    other = [Event("0x" + "0" * 64, "any", "0x" + "1" * 64, "0x2::x::Y", b"\x01")]
    sent = [
        SimpleNamespace(digest=bytes([i]) * 32, events=found)
        for i, found in enumerate((other, events))
    ]
    return RawBlock(9, "hash", "parent", 1_790_000_000_000, SimpleNamespace(transactions=sent), 1)


def little(number: int, size: int) -> bytes:
    """A number as BCS has it."""
    return number.to_bytes(size, "little")


def octets(raw: bytes) -> bytes:
    """Bytes with their length, as BCS has them; at most 16,383."""
    size = len(raw)
    return (bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])) + raw


def sui_burn(t: Transfer) -> RawBlock:
    """Sui's side of a transfer that leaves it."""
    messenger, transmitter = PACKAGES[t.version]
    first = t.version == 1
    contents = b"".join(
        (
            little(t.nonce, 8) if first else b"",
            b32(TOKEN_ID),
            little(t.amount, 8 if first else 32),
            b32(t.depositor),
            b32(t.recipient),
            little(t.destination, 4),
            b32(t.messengers[1]),
            b32(t.caller),
            b"" if first else little(t.max_fee, 32) + little(t.finality, 4) + octets(t.hook),
        )
    )
    return sui(
        (transmitter, "send_message::MessageSent", octets(cctp.message(t))),
        (messenger, "deposit_for_burn::DepositForBurn", contents),
    )


def sui_mint(t: Transfer) -> RawBlock:
    """Sui's side of a transfer that comes to it."""
    messenger, transmitter = PACKAGES[t.version]
    first = t.version == 1
    got = b32(t.recipient) + little(t.amount - t.fee, 8) + b32(TOKEN_ID)
    received = b"".join(
        (
            b32(cctp.CALLER),
            little(t.source, 4),
            little(t.nonce, 8 if first else 32),
            b32(t.messengers[0]),
            b"" if first else little(t.finality, 4),
            octets(cctp.body(t, attested=True)),
        )
    )
    return sui(
        (
            messenger,
            "handle_receive_message::MintAndWithdraw",
            got + (b"" if first else little(t.fee, 8)),
        ),
        (transmitter, "receive_message::MessageReceived", received),
    )


TO_NOBLE = replace(V1, destination=4, messengers=(V1.messengers[0], MODULE))
FROM_NOBLE = replace(
    V1, source=4, destination=0, burn_token="0x" + UUSDC, messengers=(MODULE, V1.messengers[0]),
    transmitters=(MODULE, V1.transmitters[0]),
)  # fmt: skip
WALLET = "0x" + "5e" * 32


def to_sui(t: Transfer) -> Transfer:
    """The transfer, to Sui."""
    return replace(t, destination=8, recipient=WALLET, mint_token=TOKEN_ID)


def from_sui(t: Transfer) -> Transfer:
    """The transfer, from Sui to ethereum."""
    sender = "0x" + "a0" * 32
    return replace(
        t,
        source=8,
        destination=0,
        burn_token=TOKEN_ID,
        depositor=WALLET,
        messengers=(sender, t.messengers[0]),
        transmitters=(sender, t.transmitters[0]),
    )
