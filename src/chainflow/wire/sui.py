"""Sui's checkpoints as structs.

Both the checkpoint store and a node's gRPC say everything twice over: as BCS, the bytes that are
hashed and signed, and (gRPC only) as fields. The BCS is read, so that one decoder serves both and
every value is covered by a digest. What BCS holds and no struct has is not kept: signatures, inputs
and arguments of commands, dependencies, and objects other than coins.

Source: MystenLabs/sui-apis, sui.rpc.v2.Checkpoint; MystenLabs/sui-rust-sdk, checkpoint.rs (ABNF);
which fields the store has: sui-core's data_ingestion_handler.rs.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any

import msgspec
from google.protobuf.message import DecodeError

from chainflow.errors import MalformedAnswer
from chainflow.wire import _base58 as base58
from chainflow.wire import _sui_effects as sui_effects
from chainflow.wire import _sui_messages as messages
from chainflow.wire import _sui_objects as sui_objects
from chainflow.wire import _sui_transaction as sui_transaction
from chainflow.wire._sui_bcs import DIGEST_BYTES, Reader, digest, digests, hexadecimal
from chainflow.wire._sui_effects import Effects, Event, Gas
from chainflow.wire._sui_objects import Coin, coin
from chainflow.wire._sui_transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "COMMITMENTS",
    "NO_DIGEST",
    "Checkpoint",
    "Coin",
    "Effects",
    "Event",
    "Executed",
    "Gas",
    "Summary",
    "Transaction",
    "by_version",
    "coin",
    "decode",
    "message",
    "summary_digest",
]

# The parent of checkpoint 0, which names none.
NO_DIGEST = bytes(32)
# What a summary commits to beside its contents, by its place in the enum.
COMMITMENTS = ("ECMHLiveObjectSetDigest", "CheckpointArtifactsDigest")

# A transaction's digest and its effects', each with its length.
_PAIR = Struct("<B32sB32s")


class Summary(msgspec.Struct, frozen=True, gc=False):
    """A checkpoint's header; `gas` runs through its epoch so far."""

    epoch: int
    sequence_number: int
    network_total_transactions: int
    contents_digest: bytes
    previous_digest: bytes
    gas: Gas
    timestamp_ms: int
    commitments: list[dict[str, Any]]
    end_of_epoch: dict[str, Any] | None
    version_specific_data: str


class Executed(msgspec.Struct, frozen=True, gc=False):
    """One transaction with what it did; the digests are those of the bytes that came."""

    digest: bytes
    effects_digest: bytes
    events_digest: bytes | None
    transaction: Transaction
    effects: Effects
    events: Sequence[Event]


class Checkpoint(msgspec.Struct, frozen=True, gc=False):
    """A checkpoint, as its node gave it.

    Attributes:
        digest: Of the summary that came.
        contents_digest: Of the contents that came.
        contents: Digests of each transaction and, after it, of its effects, as the contents list
            them.
        objects: BCS of the objects that came, by digest.
    """

    digest: bytes
    summary: Summary
    contents_digest: bytes
    contents: list[bytes]
    transactions: list[Executed]
    objects: dict[bytes, bytes]


def message(body: bytes) -> Any:  # noqa: ANN401 - a message class made at run time
    """The protobuf `Checkpoint` of some bytes.

    Raises:
        MalformedAnswer: The bytes are none.
    """
    try:
        return messages.Checkpoint.FromString(body)
    except DecodeError as error:
        raise MalformedAnswer(f"no sui.rpc.v2.Checkpoint: {error}") from error


def decode(said: Any) -> Checkpoint:  # noqa: ANN401 - see `message`
    """The checkpoint of a message.

    Raises:
        MalformedAnswer: A part is missing, or its BCS cannot be read.
    """
    summary_bcs = _bcs(said.summary, "summary")
    contents_bcs = _bcs(said.contents, "contents")
    objects = [one.bcs.value for one in said.objects.objects]
    checkpoint = Checkpoint(
        digest=digest(b"CheckpointSummary", summary_bcs),
        summary=_summary(summary_bcs),
        contents_digest=digest(b"CheckpointContents", contents_bcs),
        contents=_contents(contents_bcs),
        transactions=_transactions(said.transactions),
        objects=dict(zip(digests(b"Object", objects), objects, strict=True)),
    )
    _agree("sequence_number", said, checkpoint.summary.sequence_number)
    _agree("digest", said, base58.encode(checkpoint.digest))
    return checkpoint


def summary_digest(said: Any) -> str:  # noqa: ANN401 - see `message`
    """A checkpoint's digest, without a look at the rest of it.

    Raises:
        MalformedAnswer: It has no summary.
    """
    return base58.encode(digest(b"CheckpointSummary", _bcs(said.summary, "summary")))


def by_version(checkpoint: Checkpoint) -> dict[tuple[bytes, int], bytes]:
    """The checkpoint's objects by id and version: version 1 of effects names them so."""
    if not any(one.effects.took_versions for one in checkpoint.transactions):
        return {}
    return {sui_objects.key(bcs): bcs for bcs in checkpoint.objects.values()}


def _agree(field: str, said: Any, held: object) -> None:  # noqa: ANN401 - see `message`
    """Refuse a field of the message that contradicts the BCS."""
    if said.HasField(field) and getattr(said, field) != held:
        raise MalformedAnswer(f"{field} is {getattr(said, field)!r}, but its BCS says {held!r}")


def _bcs(part: Any, what: str, index: int | None = None) -> bytes:  # noqa: ANN401 - see `message`
    found: bytes = part.bcs.value
    if not found:
        raise MalformedAnswer(f"no BCS of the {what}{'' if index is None else f' {index}'}")
    return found


def _transactions(said: Sequence[Any]) -> list[Executed]:
    sent = [_bcs(one.transaction, "transaction", i) for i, one in enumerate(said)]
    done = [_bcs(one.effects, "effects of transaction", i) for i, one in enumerate(said)]
    emitted = [one.events.bcs.value for one in said]
    named = digests(b"TransactionData", sent)
    parts = zip(named, sent, digests(b"TransactionEffects", done), done, emitted, strict=True)
    found = []
    try:
        for own, transaction, effects_digest, effects, events in parts:
            executed = Executed(
                digest=own,
                effects_digest=effects_digest,
                events_digest=digest(b"TransactionEvents", events) if events else None,
                transaction=sui_transaction.decode(transaction),
                effects=sui_effects.decode(effects, own),
                events=sui_effects.events(events) if events else (),
            )
            found.append(executed)
    except MalformedAnswer as error:
        index = len(found)
        text = f"transaction {index} ({base58.encode(named[index])}): {error}"
        raise MalformedAnswer(text) from error
    return found


def _summary(bcs: bytes) -> Summary:
    reader = Reader(bcs)
    found = Summary(
        epoch=reader.u64(),
        sequence_number=reader.u64(),
        network_total_transactions=reader.u64(),
        contents_digest=reader.digest(),
        previous_digest=reader.optional_digest() or NO_DIGEST,
        gas=sui_effects.gas(reader),
        timestamp_ms=reader.u64(),
        commitments=_commitments(reader),
        end_of_epoch=_end_of_epoch(reader) if reader.option() else None,
        version_specific_data=hexadecimal(reader.octets()),
    )
    reader.finish()
    return found


def _commitments(reader: Reader) -> list[dict[str, Any]]:
    found = []
    for _ in range(reader.length()):
        kind = reader.length()
        if kind >= len(COMMITMENTS):
            raise MalformedAnswer(f"a commitment of kind {kind}, unknown to this release")
        found.append({COMMITMENTS[kind]: base58.encode(reader.digest())})
    return found


def _end_of_epoch(reader: Reader) -> dict[str, Any]:
    """The next epoch's committee (public keys and voting power), protocol and commitments."""
    committee = [
        {"public_key": hexadecimal(reader.octets()), "stake": reader.u64()}
        for _ in range(reader.length())
    ]
    return {
        "next_epoch_committee": committee,
        "next_epoch_protocol_version": reader.u64(),
        "epoch_commitments": _commitments(reader),
    }


def _contents(bcs: bytes) -> list[bytes]:
    """Digests of each transaction and its effects; the signatures beside them are not read on."""
    reader = Reader(bcs)
    version = reader.length()
    if version == 0:
        return _pairs(reader.take(reader.length() * _PAIR.size))
    if version != 1:
        raise MalformedAnswer(f"contents of version {version + 1}, unknown to this release")
    found: list[bytes] = []
    for _ in range(reader.length()):
        found += (reader.digest(), reader.digest())
        for _ in range(reader.length()):
            reader.octets()
            if reader.option():  # the version of an alias
                reader.skip(8)
    return found


def _pairs(bcs: bytes) -> list[bytes]:
    found: list[bytes] = []
    for transaction_bytes, transaction, effects_bytes, effects in _PAIR.iter_unpack(bcs):
        if transaction_bytes != DIGEST_BYTES or effects_bytes != DIGEST_BYTES:
            raise MalformedAnswer(f"the contents' digests are not of {DIGEST_BYTES} bytes")
        found += (transaction, effects)
    return found
