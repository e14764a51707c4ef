"""One row per burn or mint of Circle's cross-chain transfer protocol, versions 1 and 2.

Events are known by the names of their types, whatever package those are from: `address` and
`transmitter_address` say which, and table chainflow.cctp_contract which packages are Circle's.
`token_address` is what the protocol calls the token, a hash made of its coin type.

Source: circlefin/sui-cctp (deposit_for_burn, handle_receive_message, send_message, receive_message
of both versions).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainflow.datasets import _cctp
from chainflow.datasets._cctp_pairs import pairs
from chainflow.datasets.sui._rows import events
from chainflow.datasets.sui._table import HEIGHT, table
from chainflow.errors import MalformedAnswer
from chainflow.types import Dataset
from chainflow.wire._sui_bcs import Reader, hexadecimal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

    from chainflow.datasets._cctp import Event
    from chainflow.types import RawBlock
    from chainflow.wire.sui import Event as Emitted

_NOBODY = bytes(32)
KEY = (HEIGHT, "log_index")
COLUMNS = _cctp.columns(HEIGHT, KEY)


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The burns and mints of each checkpoint; `log_index` counts events through the checkpoint."""
    found = events(blocks)
    items, owners = found.rows.items, found.rows.owners
    made = pairs(
        [row for row, one in enumerate(items) if _name(one) in _EVENTS],
        transaction=lambda row: found.places[row],
        read=lambda row: _event(row, items[row]),
        strange=MalformedAnswer,
    )
    first = {owner: row for row, owner in reversed(list(enumerate(owners)))}
    positions = [row for row, _ in made]
    return table(
        "cctp_messages",
        COLUMNS,
        found.rows.take(positions),
        {
            **found.whose(positions),
            "log_index": [row - first[owners[row]] for row in positions],
            **_cctp.arrays([said for _, said in made]),
        },
    )


def _name(event: Emitted) -> str:
    return event.event_type.partition("::")[2]


def _event(row: int, emitted: Emitted) -> Event | None:
    package = emitted.event_type.partition("::")[0]
    return _EVENTS[_name(emitted)](row, package, emitted.contents)


def _burn(row: int, package: str, contents: bytes) -> Event:
    first = len(contents) == _BURN_V1_BYTES
    reader = Reader(contents)
    nonce = {"message_nonce": str(reader.u64())} if first else {}
    token = reader.address()
    amount = reader.number(8 if first else 32)
    depositor = reader.address()
    recipient = reader.take(32)
    domain = reader.number(4)
    messenger, caller = reader.take(32), reader.take(32)
    more = {} if first else _later(reader)
    reader.finish()
    said = {
        "address": package,
        "token_address": token,
        "from_address": depositor,
        "depositor": depositor,
        "destination_domain": domain,
        "message_recipient": hexadecimal(messenger),
        "destination_caller": hexadecimal(caller) if caller != _NOBODY else None,
        **nonce,
        **more,
    }
    return _cctp.burn(row, 1 if first else 2, amount=amount, recipient=recipient, said=said)


def _later(reader: Reader) -> dict[str, int | str | None]:
    """What version 2 says more of a burn."""
    fee, finality, hook = reader.number(32), reader.number(4), reader.octets()
    return {
        "max_fee": fee,
        "min_finality_threshold": finality,
        "hook_data": hexadecimal(hook) if hook else None,
    }


def _mint(row: int, package: str, contents: bytes) -> Event:
    first = len(contents) == _MINT_V1_BYTES
    reader = Reader(contents)
    recipient, amount, token = reader.take(32), reader.u64(), reader.address()
    fee = None if first else reader.u64()
    reader.finish()
    said = {
        "address": package,
        "token_address": token,
        "to_address": hexadecimal(recipient),
    }
    return _cctp.mint(
        row, 1 if first else 2, amount=amount, fee=fee, recipient=recipient, said=said
    )


def _sent(row: int, package: str, contents: bytes) -> Event | None:
    reader = Reader(contents)
    message = reader.octets()
    reader.finish()
    return _cctp.sent(row, package, message)


def _received(row: int, package: str, contents: bytes) -> Event | None:
    for version in (1, 2):
        try:
            event = _received_as(version, row, package, contents)
        except MalformedAnswer:
            continue
        if event is not None and event.cctp_version == version:
            return event
    return None


def _received_as(version: int, row: int, package: str, contents: bytes) -> Event | None:
    """The event if its fields are those of that version."""
    reader = Reader(contents)
    caller, domain = reader.address(), reader.number(4)
    nonce = reader.number(8 if version == 1 else 32)
    sender = reader.take(32)
    finality = None if version == 1 else reader.number(4)
    body = reader.octets()
    reader.finish()
    return _cctp.received(
        row,
        package,
        message_body=body,
        source_domain=domain,
        sender=sender,
        nonce=nonce,
        caller=caller,
        finality=finality,
    )


_BURN_V1_BYTES = 8 + 32 + 8 + 32 + 32 + 4 + 32 + 32
_MINT_V1_BYTES = 32 + 8 + 32
_EVENTS: dict[str, Callable[[int, str, bytes], Event | None]] = {
    "deposit_for_burn::DepositForBurn": _burn,
    "handle_receive_message::MintAndWithdraw": _mint,
    "send_message::MessageSent": _sent,
    "receive_message::MessageReceived": _received,
}

DATASET = Dataset(
    name="cctp_messages",
    family="sui",
    height_column=HEIGHT,
    columns=COLUMNS,
    key=KEY,
    decode=decode,
)
