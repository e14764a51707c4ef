"""What a transaction did: its effects, in both versions there are, and its events.

Source: ABNF `effects-v1`, `effects-v2` and `event` in MystenLabs/sui-rust-sdk; accumulator writes:
sui-types/src/effects/object_change.rs.
"""

from __future__ import annotations

import re
from struct import Struct
from typing import TYPE_CHECKING

import msgspec

from chainflow.errors import MalformedAnswer
from chainflow.wire._sui_bcs import (
    Reader,
    finish,
    hexadecimal,
    identifier,
    length,
    struct_end,
    struct_text,
    type_end,
    type_text,
)
from chainflow.wire._sui_status import SUCCESS, Status, status

if TYPE_CHECKING:
    from collections.abc import Sequence

_ADDRESS_BYTES = 32
_OBJECT_REF_BYTES = 32 + 8 + 33
_DIGEST_WITH_LENGTH = 33
_GAS_BYTES = 4 * 8
_EPOCH_BYTES = 8
_BALANCE_PREFIX = f"0x{2:064x}::balance::Balance<"
_PAID = Struct("<QQQQQ")
_SUCCEEDED = b"\x01\x00"  # version 2, and no error
# What stands most often is of a few fixed forms, which a pattern reads in one call.
_OWNER = rb"(?:[\x00\x01].{32}|\x02.{8}|\x03|\x04.{8}.{32})"
_ID_OPERATION = rb"[\x00-\x02]"
# Epoch and gas, the transaction, the place of the gas object, the events; in version 2.
_BEGINNING = re.compile(rb"(.{40})\x20(.{32})(?:\x00|\x01.{4})(?:\x00|\x01\x20(.{32}))", re.DOTALL)
# An object that was there or not, and then was written, is gone, or is a package: 1 is the digest
# of what was taken, 2 of what was written, 3 is there for a package.
_BEFORE = rb".{32}(?:\x00|\x01.{8}\x20(.{32})" + _OWNER + rb")"
_CHANGE = re.compile(
    _BEFORE + rb"(?:\x01\x20(.{32})" + _OWNER + rb"|\x00|(\x02.{8}\x20.{32}))" + _ID_OPERATION,
    re.DOTALL,
)
# A write to an accumulator: 1 as above, 2 is whose. Its type follows, then whether it takes away
# (1), and how much (2).
_ACCUMULATOR = re.compile(_BEFORE + rb"\x03(.{32})", re.DOTALL)
_AMOUNT = re.compile(rb"([\x00\x01])\x00(.{8})" + _ID_OPERATION, re.DOTALL)


# An owner, a coin type, and how much more it is, or less.
Accumulated = tuple[str, str, int]


class Gas(msgspec.Struct, frozen=True, gc=False):
    """What was paid, in MIST."""

    computation_cost: int
    storage_cost: int
    storage_rebate: int
    non_refundable_storage_fee: int


class Effects(msgspec.Struct, frozen=True, gc=False):
    """What a transaction did, as much of it as is read here.

    Objects it took and wrote are named by digest; version 1 does not say the digest of those it
    took, so `took_versions` has them by id and version instead. `accumulated` are changes of
    balances that are kept in no coin: owner, coin type, signed amount.
    """

    status: Status
    epoch: int
    gas: Gas
    transaction_digest: bytes
    events_digest: bytes | None
    lamport_version: int | None
    took: Sequence[bytes]
    took_versions: Sequence[tuple[bytes, int]]
    wrote: Sequence[bytes]
    accumulated: Sequence[Accumulated]


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event; `contents` is the BCS of its fields."""

    package_id: str
    module: str
    sender: str
    event_type: str
    contents: bytes


def gas(reader: Reader) -> Gas:
    """Four amounts."""
    return Gas(reader.u64(), reader.u64(), reader.u64(), reader.u64())


def decode(bcs: bytes, transaction_digest: bytes) -> Effects:
    """The effects of the transaction of that digest.

    Raises:
        MalformedAnswer: The bytes are no effects.
    """
    if bcs.startswith(_SUCCEEDED):
        return _second(bcs, len(_SUCCEEDED), SUCCESS)
    reader = Reader(bcs)
    version = reader.length()
    if version == 0:
        return _first(reader)
    if version != 1:
        raise MalformedAnswer(f"effects of version {version + 1}, which this release does not know")

    def where() -> int:
        found = reader.find(b"\x20" + transaction_digest)
        if found < 0:
            raise MalformedAnswer("the effects do not name their transaction")
        return found - _GAS_BYTES - _EPOCH_BYTES

    ended = status(reader, where)
    return _second(bcs, reader.at, ended)


def events(bcs: bytes) -> list[Event]:
    """The events of one transaction, in its order.

    Raises:
        MalformedAnswer: The bytes are no events.
    """
    found = []
    try:
        count, at = length(bcs, 0)
        for _ in range(count):
            event, at = _event(bcs, at)
            found.append(event)
    except IndexError:
        raise MalformedAnswer(f"BCS ends at byte {len(bcs)}, within an event") from None
    finish(bcs, at)
    return found


def _event(bcs: bytes, at: int) -> tuple[Event, int]:
    """The event that stands at a place, and the place after it."""
    module = at + _ADDRESS_BYTES
    size, name = length(bcs, module)
    sender = name + size
    kind = sender + _ADDRESS_BYTES
    contents = struct_end(bcs, kind)
    size, fields = length(bcs, contents)
    event = Event(
        package_id=hexadecimal(bcs[at:module]),
        module=identifier(bcs[name:sender]),
        sender=hexadecimal(bcs[sender:kind]),
        event_type=struct_text(bcs[kind:contents]),
        contents=bcs[fields : fields + size],
    )
    return event, fields + size


def _first(reader: Reader) -> Effects:
    def unknown() -> int:
        raise MalformedAnswer("effects of version 1 with an error that this release does not know")

    ended = status(reader, unknown)
    epoch = reader.u64()
    paid = gas(reader)
    took = [(reader.take(32), reader.u64()) for _ in range(reader.length())]
    _skip(reader, _OBJECT_REF_BYTES)  # shared objects
    transaction = reader.digest()
    wrote = [digest for _ in range(3) for digest in _written(reader)]
    for _ in range(3):  # deleted, unwrapped then deleted, wrapped
        _skip(reader, _OBJECT_REF_BYTES)
    _reference(reader)  # the gas object
    owner(reader)
    events_digest = reader.optional_digest()
    _skip(reader, _DIGEST_WITH_LENGTH)  # dependencies
    reader.finish()
    return Effects(
        status=ended,
        epoch=epoch,
        gas=paid,
        transaction_digest=transaction,
        events_digest=events_digest,
        lamport_version=None,
        took=(),
        took_versions=took,
        wrote=wrote,
        accumulated=(),
    )


def _second(bcs: bytes, at: int, ended: Status) -> Effects:
    """Effects of version 2; what follows their status stands at a place."""
    beginning = _BEGINNING.match(bcs, at)
    if not beginning:
        raise MalformedAnswer(f"byte {at}: expected gas, a transaction and events")
    paid, transaction, events_digest = beginning.groups()
    epoch, computation, storage, rebate, kept = _PAID.unpack(paid)
    try:
        dependencies, at = length(bcs, beginning.end())
        at += dependencies * _DIGEST_WITH_LENGTH
        took, wrote, accumulated = _changes(bcs, at + 8)
    except IndexError:
        raise MalformedAnswer(f"BCS ends at byte {len(bcs)}, within effects") from None
    # What follows says nothing of what was changed, and grows new variants; the digest covers it.
    return Effects(
        status=ended,
        epoch=epoch,
        gas=Gas(computation, storage, rebate, kept),
        transaction_digest=transaction,
        events_digest=events_digest,
        lamport_version=int.from_bytes(bcs[at : at + 8], "little"),
        took=took,
        took_versions=(),
        wrote=wrote,
        accumulated=accumulated,
    )


def _changes(bcs: bytes, at: int) -> tuple[list[bytes], list[bytes], Sequence[Accumulated]]:
    """How objects were changed, as it stands at a place: `took`, `wrote` and `accumulated`."""
    took: list[bytes] = []
    wrote: list[bytes] = []
    accumulated: tuple[Accumulated, ...] = ()
    count, at = length(bcs, at)
    for _ in range(count):
        change = _CHANGE.match(bcs, at)
        if change:
            at = change.end()
            before, after, package = change.groups()
            if after is not None:
                wrote.append(after)
            # The package that one replaces is no coin either.
            if before is not None and package is None:
                took.append(before)
            continue
        before, added, at = _accumulator(bcs, at)
        if before is not None:
            took.append(before)
        if added is not None:
            accumulated += (added,)
    return took, wrote, accumulated


def _accumulator(bcs: bytes, at: int) -> tuple[bytes | None, Accumulated | None, int]:
    """Of a write to an accumulator: what it took, its change if it is money; the place after it."""
    write = _ACCUMULATOR.match(bcs, at)
    if not write:
        raise MalformedAnswer(f"byte {at}: an object was left in a state unknown to this release")
    before, holder = write.groups()
    kind_at = write.end()
    kind_end = type_end(bcs, kind_at)
    found = _AMOUNT.match(bcs, kind_end)
    if not found:
        return before, None, _no_amount(Reader(bcs, kind_end))
    kind = type_text(bcs[kind_at:kind_end])
    if not kind.startswith(_BALANCE_PREFIX):
        return before, None, found.end()
    split, raw = found.groups()
    amount = int.from_bytes(raw, "little")
    coin = kind[len(_BALANCE_PREFIX) : -1]
    added = hexadecimal(holder), coin, -amount if split == b"\x01" else amount
    return before, added, found.end()


def _no_amount(reader: Reader) -> int:
    """The place after an operation on an accumulator that is no money, whatever its type."""
    reader.option()  # whether it takes away
    form = reader.length()
    if form == 1:
        reader.skip(16)
    elif form == 2:
        _skip(reader, 8 + _DIGEST_WITH_LENGTH)
    else:
        raise MalformedAnswer(f"an accumulator holds a value {form}, unknown to this release")
    if reader.length() > 2:
        raise MalformedAnswer(f"byte {reader.at}: no operation on an id")
    return reader.at


def _written(reader: Reader) -> list[bytes]:
    """The digests of references that have an owner each."""
    found = []
    for _ in range(reader.length()):
        found.append(_reference(reader))
        owner(reader)
    return found


def _reference(reader: Reader) -> bytes:
    """The digest of an object's reference."""
    reader.skip(32 + 8)
    return reader.digest()


def owner(reader: Reader) -> str | None:
    """The address or object that owns an object; None where it is shared or immutable."""
    kind = reader.length()
    if kind <= 1:
        return reader.address()
    if kind == 2:
        reader.skip(8)
        return None
    if kind == 3:
        return None
    if kind == 4:
        reader.skip(8)
        return reader.address()
    raise MalformedAnswer(f"byte {reader.at}: an owner of kind {kind}, unknown to this release")


def _skip(reader: Reader, size: int) -> None:
    """Step over a vector of elements of one size."""
    reader.skip(reader.length() * size)
