"""Made-up checkpoints of Sui, in the form of a checkpoint store's files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import zstandard

from chainflow.devnet import _sui_bcs as bcs
from chainflow.devnet import _sui_transactions as transactions
from chainflow.devnet import _sui_types as types
from chainflow.devnet._sui_scene import Made, Scene
from chainflow.wire import _sui_messages as messages

if TYPE_CHECKING:
    import random

EPOCH_CHECKPOINTS = 350_000
_GAS = ("computation_cost", "storage_cost", "storage_rebate", "non_refundable_storage_fee")


@dataclass(frozen=True, slots=True)
class Link:
    """What the next checkpoint must know of one: its digest and the sums that run on."""

    height: int
    digest: str | None
    total: int
    gas: tuple[int, int, int, int]


def make(
    below: Link, *, rng: random.Random, cast: list[str], most: int, seconds: float
) -> tuple[Link, bytes]:
    """The checkpoint above a link, and its bytes as protobuf; it has `most` user transactions.

    Args:
        below: What stands one lower.
        rng: Where all chance comes from.
        cast: Addresses of the users.
        most: How many transactions users send, at most.
        seconds: The checkpoint's Unix time.
    """
    height = below.height + 1
    epoch, milliseconds = height // EPOCH_CHECKPOINTS, int(seconds * 1000)
    version = 600_000_000 + height

    def scene(sender: str) -> Scene:
        return Scene(rng, version, epoch, sender)

    made = [transactions.prologue(scene("0x0"), height * 3, milliseconds)]
    users = rng.randint(most // 2, most)
    made += [transactions.user(scene(rng.choice(cast)), cast) for _ in range(users)]
    gas = _running(below, made, new_epoch=height % EPOCH_CHECKPOINTS == 0)
    contents = _contents(made, rng)
    summary = {
        "epoch": epoch,
        "sequence_number": height,
        "network_total_transactions": below.total + len(made),
        "content_digest": bcs.digest("CheckpointContents", contents),
        "previous_digest": below.digest,
        "epoch_rolling_gas_cost_summary": dict(zip(_GAS, gas, strict=True)),
        "timestamp_ms": milliseconds,
        "checkpoint_commitments": [],
        "end_of_epoch_data": None,
        "version_specific_data": b"\x00\x00",
    }
    encoded = bcs.encode(types.SUMMARY, summary)
    link = Link(height, bcs.digest("CheckpointSummary", encoded), below.total + len(made), gas)
    return link, _message(height, encoded, contents, made)


def compressed(body: bytes) -> bytes:
    """The bytes as a file of the store."""
    return zstandard.ZstdCompressor(level=3, write_content_size=False).compress(body)


def _running(below: Link, made: list[Made], *, new_epoch: bool) -> tuple[int, int, int, int]:
    before = (0, 0, 0, 0) if new_epoch else below.gas
    sums = [sum(one.gas[name] for one in made) for name in _GAS]
    computation, storage, rebate, fee = (a + b for a, b in zip(before, sums, strict=True))
    return computation, storage, rebate, fee


def _contents(made: list[Made], rng: random.Random) -> bytes:
    pairs = [
        {
            "transaction": bcs.digest("TransactionData", one.transaction),
            "effects": bcs.digest("TransactionEffects", one.effects),
        }
        for one in made
    ]
    signatures = [[rng.randbytes(97)] if one.signed else [] for one in made]
    return bcs.encode(
        types.CONTENTS, {"V1": {"transactions": pairs, "user_signatures": signatures}}
    )


def _message(height: int, summary: bytes, contents: bytes, made: list[Made]) -> bytes:
    message = messages.Checkpoint(sequence_number=height)
    message.summary.bcs.value = summary
    message.contents.bcs.value = contents
    for one in made:
        executed = message.transactions.add()
        executed.transaction.bcs.value = one.transaction
        executed.effects.bcs.value = one.effects
        if one.events:
            executed.events.bcs.value = one.events
    # A set: two transactions may take the same object.
    for held in sorted({held for one in made for held in one.objects}):
        message.objects.objects.add().bcs.value = held
    return bytes(message.SerializeToString())
