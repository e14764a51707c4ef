"""A transaction's data: its kind, who sent it and who pays.

Source: ABNF `transaction` in MystenLabs/sui-rust-sdk, transaction/mod.rs; funds withdrawals and the
expirations after `epoch`: sui-types/src/transaction.rs.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

import msgspec

from chainflow.errors import MalformedAnswer
from chainflow.wire._sui_bcs import (
    Reader,
    finish,
    function_text,
    hexadecimal,
    length,
    octets_end,
    type_end,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    # From bytes and the place of something in them to the place after it, which may lie after the
    # end: what is read last, or `finish`, finds that out.
    Step = Callable[[bytes, int], int]

_ADDRESS_BYTES = 32
_OBJECT_REF_BYTES = 32 + 8 + 33
# Who pays, the price, the budget.
_GAS = Struct("<32sQQ")
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
_PROGRAMMABLE = b"\x00\x00"  # version 1, the first kind
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
    if bcs.startswith(_PROGRAMMABLE):
        try:
            return _programmable(bcs, len(_PROGRAMMABLE))
        except IndexError:
            raise MalformedAnswer(f"BCS ends at byte {len(bcs)}, within a transaction") from None
    reader = Reader(bcs)
    version = reader.length()
    if version:
        raise MalformedAnswer(f"a transaction of version {version + 1}, unknown to this release")
    kind = reader.length()
    if not bcs.endswith(_SYSTEM_TAIL):
        raise MalformedAnswer(f"a transaction of kind {kind} that the system did not send")
    name = _KINDS[kind] if kind < len(_KINDS) else f"Unknown{kind}"
    return Transaction(name, _NOBODY, _NOBODY, 1, 0, None, [])


def _programmable(bcs: bytes, at: int) -> Transaction:
    count, at = length(bcs, at)
    for _ in range(count):
        at = _INPUTS[bcs[at]](bcs, at + 1)
    calls: list[str] = []
    count, at = length(bcs, at)
    for _ in range(count):
        command, at = bcs[at], at + 1
        if command == _CALL:
            name, at = at, _name_end(bcs, at)
            calls.append(function_text(bcs[name:at]))
        at = _COMMANDS[command](bcs, at)
    sender_end = at + _ADDRESS_BYTES
    coins, at = length(bcs, sender_end)
    gas = at + coins * _OBJECT_REF_BYTES
    expiration = gas + _GAS.size
    finish(bcs, _EXPIRATIONS[bcs[expiration]](bcs, expiration + 1))
    gas_owner, gas_price, gas_budget = _GAS.unpack_from(bcs, gas)
    return Transaction(
        kind=_KINDS[0],
        sender=hexadecimal(bcs[sender_end - _ADDRESS_BYTES : sender_end]),
        gas_owner=hexadecimal(gas_owner),
        gas_price=gas_price,
        gas_budget=gas_budget,
        command_count=count,
        move_calls=calls,
    )


def _unknown(bcs: bytes, at: int) -> int:
    raise MalformedAnswer(f"byte {at}: form {bcs[at - 1]}, which this release does not know")


def _forms(*known: Step) -> tuple[Step, ...]:
    """What steps over each form of something, by the byte that tells the form."""
    return known + (_unknown,) * (256 - len(known))


def _over(size: int) -> Step:
    return lambda _, at: at + size


def _object(bcs: bytes, at: int) -> int:
    return _OBJECTS[bcs[at]](bcs, at + 1)


def _withdrawal(bcs: bytes, at: int) -> int:
    """Funds of an address: at most so much of such a balance, of the sender or another."""
    balance = at + 1 + 8
    if bcs[at] or bcs[balance]:
        raise MalformedAnswer("a withdrawal of a form that this release does not know")
    source = type_end(bcs, balance + 1)
    return _SOURCES[bcs[source]](bcs, source + 1)


def _argument(bcs: bytes, at: int) -> int:
    size = _ARGUMENT_BYTES.get(bcs[at])
    return at + size if size else _unknown(bcs, at + 1)


def _arguments(bcs: bytes, at: int) -> int:
    count, at = length(bcs, at)
    try:
        for _ in range(count):
            at += _ARGUMENT_BYTES[bcs[at]]
    except KeyError:
        return _unknown(bcs, at + 1)
    return at


def _name_end(bcs: bytes, at: int) -> int:
    """Over the package, module and name of a function."""
    return octets_end(bcs, octets_end(bcs, at + _ADDRESS_BYTES))


def _call(bcs: bytes, at: int) -> int:
    """What follows the name of a function."""
    count, at = length(bcs, at)
    for _ in range(count):
        at = type_end(bcs, at)
    return _arguments(bcs, at)


def _transfer(bcs: bytes, at: int) -> int:
    return _argument(bcs, _arguments(bcs, at))


def _split_or_merge(bcs: bytes, at: int) -> int:
    return _arguments(bcs, _argument(bcs, at))


def _publish(bcs: bytes, at: int) -> int:
    count, at = length(bcs, at)
    for _ in range(count):
        at = octets_end(bcs, at)
    count, at = length(bcs, at)
    return at + count * _ADDRESS_BYTES


def _vector(bcs: bytes, at: int) -> int:
    return _arguments(bcs, _TYPES[bcs[at]](bcs, at + 1))


def _upgrade(bcs: bytes, at: int) -> int:
    return _argument(bcs, _publish(bcs, at) + _ADDRESS_BYTES)


def _window(bcs: bytes, at: int) -> int:
    """A validity by epochs, times, chain and nonce."""
    reader = Reader(bcs, at)
    for _ in range(4):
        if reader.option():
            reader.skip(8)
    reader.digest()
    reader.skip(4)
    return reader.at


def _proposed_window(bcs: bytes, at: int) -> int:
    reader = Reader(bcs, _window(bcs, at))
    if reader.option():
        reader.skip(8)
        reader.skip(reader.length() * 4)
    return reader.at


_CALL = 0
_NOTHING = _over(0)
_TYPES = _forms(_NOTHING, type_end)
# By form, with the byte that tells it: the gas coin, an input, a result, a part of a result.
_ARGUMENT_BYTES = {0: 1, 1: 3, 2: 3, 3: 5}
# Owned, shared (id, initial version, mutability), receiving.
_OBJECTS = _forms(_over(_OBJECT_REF_BYTES), _over(32 + 8 + 1), _over(_OBJECT_REF_BYTES))
_SOURCES = _forms(_NOTHING, _NOTHING, _over(32 + 32))
_INPUTS = _forms(octets_end, _object, _withdrawal)
_COMMANDS = _forms(
    _call,
    _transfer,
    _split_or_merge,
    _split_or_merge,
    _publish,
    _vector,
    _upgrade,
)
_EXPIRATIONS = _forms(_NOTHING, _over(8), _window, _proposed_window)
