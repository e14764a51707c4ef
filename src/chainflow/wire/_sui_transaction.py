"""A transaction's data: its kind, who sent it and who pays.

Source: ABNF `transaction` in MystenLabs/sui-rust-sdk, transaction/mod.rs; funds withdrawals and the
expirations after `epoch`: sui-types/src/transaction.rs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from chainflow.errors import MalformedAnswer
from chainflow.wire._sui_bcs import Reader, hexadecimal

if TYPE_CHECKING:
    from collections.abc import Callable

_OBJECT_REF_BYTES = 32 + 8 + 33
_KINDS = (
    "ProgrammableTransaction",
    "ChangeEpoch",
    "Genesis",
    "ConsensusCommitPrologue",
    "AuthenticatorStateUpdate",
    "EndOfEpochTransaction",
    "RandomnessStateUpdate",
    "ConsensusCommitPrologueV2",
    "ConsensusCommitPrologueV3",
    "ConsensusCommitPrologueV4",
    "ProgrammableSystemTransaction",
)
# How every system transaction ends, whatever its kind: sent by 0x0, paid with no coin.
_SYSTEM_TAIL = b"".join(
    (
        bytes(32),  # sender
        b"\x01" + bytes(32) + bytes(8) + b"\x20" + bytes(32),  # payment: one reference, all zero
        bytes(32),  # owner
        (1).to_bytes(8, "little"),  # price
        bytes(8),  # budget
        b"\x00",  # no expiration
    )
)
_NOBODY = hexadecimal(bytes(32))


class Transaction(msgspec.Struct, frozen=True, gc=False):
    """A transaction's data, as much of it as is read here; `move_calls` as package::module::fn."""

    kind: str
    sender: str
    gas_owner: str
    gas_price: int
    gas_budget: int
    command_count: int | None
    move_calls: list[str]


def decode(bcs: bytes) -> Transaction:
    """The transaction.

    Raises:
        MalformedAnswer: The bytes are no transaction, or one of a form unknown to this release.
    """
    reader = Reader(bcs)
    version = reader.length()
    if version:
        raise MalformedAnswer(f"a transaction of version {version + 1}, unknown to this release")
    kind = reader.length()
    if kind == 0:
        return _programmable(reader)
    if not bcs.endswith(_SYSTEM_TAIL):
        raise MalformedAnswer(f"a transaction of kind {kind} that the system did not send")
    name = _KINDS[kind] if kind < len(_KINDS) else f"Unknown{kind}"
    return Transaction(name, _NOBODY, _NOBODY, 1, 0, None, [])


def _programmable(reader: Reader) -> Transaction:
    for _ in range(reader.length()):
        _one_of(_INPUTS, reader, "an input")
    calls: list[str] = []
    count = reader.length()
    for _ in range(count):
        call = _one_of(_COMMANDS, reader, "a command")
        if call is not None:
            calls.append(call)
    sender = reader.address()
    reader.skip(reader.length() * _OBJECT_REF_BYTES)
    found = Transaction(
        kind=_KINDS[0],
        sender=sender,
        gas_owner=reader.address(),
        gas_price=reader.u64(),
        gas_budget=reader.u64(),
        command_count=count,
        move_calls=calls,
    )
    _one_of(_EXPIRATIONS, reader, "an expiration")
    reader.finish()
    return found


def _one_of(
    forms: tuple[Callable[[Reader], str | None], ...], reader: Reader, what: str
) -> str | None:
    form = reader.length()
    if form >= len(forms):
        raise MalformedAnswer(f"{what} of form {form}, which this release does not know")
    return forms[form](reader)


def _nothing(_: Reader) -> None:
    pass


def _octets(reader: Reader) -> None:
    reader.skip(reader.length())


def _object(reader: Reader) -> None:
    form = reader.length()
    if form == 1:
        reader.skip(32 + 8 + 1)  # shared: id, initial version, mutability
    elif form in (0, 2):
        reader.skip(_OBJECT_REF_BYTES)
    else:
        raise MalformedAnswer(f"an object input of form {form}, which this release does not know")


def _withdrawal(reader: Reader) -> None:
    """Funds of an address: at most so much of such a balance, of the sender or another."""
    reservation = reader.length()
    reader.skip(8)
    if reservation or reader.length():
        raise MalformedAnswer("a withdrawal of a form that this release does not know")
    reader.type_tag()
    source = reader.length()
    if source == 2:
        reader.skip(32 + 32)
    elif source > 2:
        raise MalformedAnswer(f"a withdrawal from {source}, which this release does not know")


def _argument(reader: Reader) -> None:
    kind = reader.length()
    if kind > 3:
        raise MalformedAnswer(f"an argument of kind {kind}, which this release does not know")
    reader.skip((0, 2, 2, 4)[kind])


def _arguments(reader: Reader) -> None:
    for _ in range(reader.length()):
        _argument(reader)


def _call(reader: Reader) -> str:
    name = f"{reader.address()}::{reader.text()}::{reader.text()}"
    for _ in range(reader.length()):
        reader.type_tag()
    _arguments(reader)
    return name


def _transfer(reader: Reader) -> None:
    _arguments(reader)
    _argument(reader)


def _split_or_merge(reader: Reader) -> None:
    _argument(reader)
    _arguments(reader)


def _publish(reader: Reader) -> None:
    for _ in range(reader.length()):
        _octets(reader)
    reader.skip(reader.length() * 32)


def _vector(reader: Reader) -> None:
    if reader.option():
        reader.type_tag()
    _arguments(reader)


def _upgrade(reader: Reader) -> None:
    _publish(reader)
    reader.skip(32)
    _argument(reader)


def _window(reader: Reader) -> None:
    """A validity by epochs, times, chain and nonce."""
    for _ in range(4):
        if reader.option():
            reader.skip(8)
    reader.digest()
    reader.skip(4)


def _proposed_window(reader: Reader) -> None:
    _window(reader)
    if reader.option():
        reader.skip(8)
        reader.skip(reader.length() * 4)


_INPUTS: tuple[Callable[[Reader], str | None], ...] = (_octets, _object, _withdrawal)
_COMMANDS: tuple[Callable[[Reader], str | None], ...] = (
    _call,
    _transfer,
    _split_or_merge,
    _split_or_merge,
    _publish,
    _vector,
    _upgrade,
)
_EXPIRATIONS: tuple[Callable[[Reader], str | None], ...] = (
    _nothing,
    lambda reader: reader.skip(8),
    _window,
    _proposed_window,
)
