"""What a checkpoint must say of itself before any of it is believed.

Every part is held against the digest that commits to it, from the summary down to each coin. What
is not proven is that a quorum of validators signed the summary: its digest is held against the next
checkpoint's instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainflow.errors import MalformedAnswer
from chainflow.wire import _base58 as base58
from chainflow.wire import sui as wire

if TYPE_CHECKING:
    from chainflow.wire.sui import Checkpoint, Executed


def check(checkpoint: Checkpoint, height: int, *, objects: bool) -> None:
    """Refuse a checkpoint that is not of that height, or does not agree with its digests.

    Args:
        checkpoint: What came.
        height: What was asked for.
        objects: Whether every object that a transaction took or wrote must have come.

    Raises:
        MalformedAnswer: What does not agree, with both sides.
    """
    if checkpoint.summary.sequence_number != height:
        raise MalformedAnswer(f"checkpoint {checkpoint.summary.sequence_number} came instead")
    if checkpoint.contents_digest != checkpoint.summary.contents_digest:
        committed = checkpoint.summary.contents_digest
        raise _unlike("contents", checkpoint.contents_digest, committed)
    transactions, effects_of = checkpoint.contents[::2], checkpoint.contents[1::2]
    listed, came = len(transactions), len(checkpoint.transactions)
    if listed != came:
        raise MalformedAnswer(f"the contents list {listed} transactions, but {came} came")
    for i, (executed, transaction, effects) in enumerate(
        zip(checkpoint.transactions, transactions, effects_of, strict=True)
    ):
        # What it is called is put together only where it is needed: this is asked very often.
        if executed.digest != transaction:
            raise _unlike(f"transaction {i}", executed.digest, transaction)
        if executed.effects_digest != effects:
            raise _unlike(f"effects of transaction {i}", executed.effects_digest, effects)
        _effects(executed, i)
    if objects:
        _objects(checkpoint)


def _effects(executed: Executed, index: int) -> None:
    effects = executed.effects
    if effects.transaction_digest != executed.digest:
        what = f"transaction {index} in its effects"
        raise _unlike(what, effects.transaction_digest, executed.digest)
    if executed.events_digest != effects.events_digest:
        said = effects.events_digest
        raise MalformedAnswer(
            f"transaction {index}: its effects say events {_text(said)}, "
            f"but those that came are {_text(executed.events_digest)}"
        )


def _objects(checkpoint: Checkpoint) -> None:
    by_version = wire.by_version(checkpoint)
    for i, executed in enumerate(checkpoint.transactions):
        effects = executed.effects
        missing = [d for d in (*effects.took, *effects.wrote) if d not in checkpoint.objects]
        if missing:
            raise MalformedAnswer(
                f"transaction {i}: {len(missing)} objects that it took or wrote did not come, "
                f"such as {_text(missing[0])}"
            )
        absent = [(id_, v) for id_, v in effects.took_versions if (id_, v) not in by_version]
        if absent:
            raise MalformedAnswer(
                f"transaction {i}: {len(absent)} objects that it took did not come, such as "
                f"version {absent[0][1]} of 0x{absent[0][0].hex()}"
            )


def _unlike(what: str, came: bytes, committed: bytes) -> MalformedAnswer:
    return MalformedAnswer(
        f"{what}: expected digest {_text(committed)}, got bytes of digest {_text(came)}"
    )


def _text(digest: bytes | None) -> str:
    return "none" if digest is None else base58.encode(digest)
