"""What a transaction did: its effects, in both versions there are, and its events.

Source: ABNF `effects-v1`, `effects-v2` and `event` in MystenLabs/sui-rust-sdk; accumulator writes:
sui-types/src/effects/object_change.rs.
"""

from __future__ import annotations

import msgspec

from chainflow.errors import MalformedAnswer
from chainflow.wire._sui_bcs import Reader
from chainflow.wire._sui_status import Status, status

_OBJECT_REF_BYTES = 32 + 8 + 33
_DIGEST_WITH_LENGTH = 33
_GAS_BYTES = 4 * 8
_EPOCH_BYTES = 8
_BALANCE_PREFIX = f"0x{2:064x}::balance::Balance<"


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
    took: list[bytes]
    took_versions: list[tuple[bytes, int]]
    wrote: list[bytes]
    accumulated: list[tuple[str, str, int]]


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
    reader = Reader(bcs)
    version = reader.length()
    if version == 0:
        return _first(reader)
    if version == 1:
        return _second(reader, transaction_digest)
    raise MalformedAnswer(f"effects of version {version + 1}, which this release does not know")


def events(bcs: bytes) -> list[Event]:
    """The events of one transaction, in its order.

    Raises:
        MalformedAnswer: The bytes are no events.
    """
    reader = Reader(bcs)
    found = [
        Event(
            package_id=reader.address(),
            module=reader.text(),
            sender=reader.address(),
            event_type=reader.struct_tag(),
            contents=reader.octets(),
        )
        for _ in range(reader.length())
    ]
    reader.finish()
    return found


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
        took=[],
        took_versions=took,
        wrote=wrote,
        accumulated=[],
    )


def _second(reader: Reader, transaction_digest: bytes) -> Effects:
    def where() -> int:
        found = reader.find(b"\x20" + transaction_digest)
        if found < 0:
            raise MalformedAnswer("the effects do not name their transaction")
        return found - _GAS_BYTES - _EPOCH_BYTES

    ended = status(reader, where)
    epoch = reader.u64()
    paid = gas(reader)
    transaction = reader.digest()
    if reader.option():  # index of the gas object
        reader.skip(4)
    events_digest = reader.optional_digest()
    _skip(reader, _DIGEST_WITH_LENGTH)  # dependencies
    effects = Effects(
        status=ended,
        epoch=epoch,
        gas=paid,
        transaction_digest=transaction,
        events_digest=events_digest,
        lamport_version=reader.u64(),
        took=[],
        took_versions=[],
        wrote=[],
        accumulated=[],
    )
    for _ in range(reader.length()):
        _change(reader, effects)
    # What follows says nothing of what was changed, and grows new variants; the digest covers it.
    return effects


def _change(reader: Reader, effects: Effects) -> None:
    """One object's change, added to the effects."""
    reader.skip(32)
    before = _before(reader)
    after = reader.length()
    if after == 1:
        effects.wrote.append(reader.digest())
        owner(reader)
    elif after == 2:
        # A package; the one it replaces is no coin either.
        reader.skip(8 + _DIGEST_WITH_LENGTH)
        before = None
    elif after == 3:
        _accumulate(reader, effects)
    elif after:
        raise MalformedAnswer(f"an object was left in state {after}, unknown to this release")
    if before is not None:
        effects.took.append(before)
    if reader.length() > 2:
        raise MalformedAnswer(f"byte {reader.at}: no operation on an id")


def _before(reader: Reader) -> bytes | None:
    """The digest of an object before the transaction; None if there was none."""
    if not reader.option():
        return None
    reader.skip(8)
    digest = reader.digest()
    owner(reader)
    return digest


def _accumulate(reader: Reader, effects: Effects) -> None:
    """A write to an accumulator; those of type `0x2::balance::Balance<T>` are money."""
    owner, kind = reader.address(), reader.type_tag()
    split = reader.option()
    form = reader.length()
    if form == 0:
        amount = reader.u64()
        if kind.startswith(_BALANCE_PREFIX):
            coin = kind[len(_BALANCE_PREFIX) : -1]
            effects.accumulated.append((owner, coin, -amount if split else amount))
    elif form == 1:
        reader.skip(16)
    elif form == 2:
        _skip(reader, 8 + _DIGEST_WITH_LENGTH)
    else:
        raise MalformedAnswer(f"an accumulator holds a value {form}, unknown to this release")


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
