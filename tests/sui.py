"""Recorded Sui checkpoints and transactions, and BCS read by a description of its types.

Nothing here uses the decoder under test but `raw`: values are read by the type descriptions that
the devnet writes with (`chainflow.devnet._sui_bcs`), digests are made with hashlib.
"""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from chainflow.clients import _sui_proof as proof
from chainflow.devnet import _sui_bcs as bcs
from chainflow.devnet import _sui_checkpoints as made
from chainflow.devnet import _sui_types as types
from chainflow.devnet._sui_checkpoints import Link
from chainflow.types import RawBlock
from chainflow.wire import _base58 as base58
from chainflow.wire import _sui_messages as messages
from chainflow.wire import sui as wire

Value = Any  # what a type of `_sui_bcs` describes
DATA = Path(__file__).parent / "data" / "sui"


class Parser:
    """Reads values of described types, one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        """The next bytes."""
        part = self.data[self.at : self.at + size]
        assert len(part) == size
        self.at += size
        return part

    def uleb(self) -> int:
        """A length."""
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def value(self, kind: bcs.Type) -> Any:  # noqa: ANN401 - as described
        """The value that stands next."""
        if isinstance(kind, bcs.Compound):
            return self._compound(kind)
        if kind in bcs.NUMBERS:
            return int.from_bytes(self.take(bcs.NUMBERS[kind]), "little")
        if kind == "type":
            return self._compound(bcs.TYPE_TAG)
        if kind == "address":
            return "0x" + self.take(32).hex()
        raw = self.take(self.uleb())
        return base58.encode(raw) if kind == "digest" else raw.decode() if kind == "text" else raw

    def raw(self, kind: bcs.Type) -> bytes:
        """The bytes of the value that stands next."""
        began = self.at
        self.value(kind)
        return self.data[began : self.at]

    def _compound(self, kind: bcs.Compound) -> Any:  # noqa: ANN401 - as described
        of = kind.parts[0][1]
        match kind.form:
            case "struct":
                return {name: self.value(part) for name, part in kind.parts}
            case "vec":
                return [self.value(of) for _ in range(self.uleb())]
            case "option":
                return self.value(of) if self.take(1)[0] else None
        name, part = kind.parts[self.uleb()]
        return name if part is None else {name: self.value(part)}


class Recorded(NamedTuple):
    """A recorded checkpoint in the form a store has it, and what it holds, read apart from us."""

    height: int
    body: bytes
    summary: Value
    contents: Value
    transactions: list[dict[str, Value]]


def recorded_checkpoint() -> Recorded:
    """Checkpoint 1137 of a Mysten network: every byte of BCS is recorded, the message is built.

    The recording is `bcs(CheckpointData)`, the form that stores had before; each of its parts is
    cut out whole and put where `sui.rpc.v2.Checkpoint` has it.
    """
    parser = Parser((DATA / "1137.chk").read_bytes())
    message = messages.Checkpoint()
    message.summary.bcs.value = parser.raw(types.SUMMARY)
    parser.take(8 + 48)  # the validators' signature: its epoch, a point,
    parser.take(parser.uleb())  # and who signed
    message.contents.bcs.value = parser.raw(types.CONTENTS)
    objects: set[bytes] = set()
    found = [_transaction(parser, message, objects) for _ in range(parser.uleb())]
    assert parser.at == len(parser.data)
    for held in sorted(objects):
        message.objects.objects.add().bcs.value = held
    summary = Parser(message.summary.bcs.value).value(types.SUMMARY)
    message.sequence_number = summary["sequence_number"]
    return Recorded(
        height=summary["sequence_number"],
        body=message.SerializeToString(),
        summary=summary,
        contents=Parser(message.contents.bcs.value).value(types.CONTENTS),
        transactions=found,
    )


def _transaction(parser: Parser, message: Value, objects: set[bytes]) -> dict[str, Value]:
    """One transaction, put into the message, with its parts as values and their bytes."""
    assert parser.uleb() == 1  # SenderSignedData is a list of one
    parser.take(3)  # intent
    executed = message.transactions.add()
    executed.transaction.bcs.value = parser.raw(types.TRANSACTION)
    parser.value(bcs.vec("bytes"))  # signatures
    executed.effects.bcs.value = parser.raw(types.EFFECTS)
    if parser.take(1)[0]:
        executed.events.bcs.value = parser.raw(types.EVENTS)
    took = [parser.raw(types.OBJECT) for _ in range(parser.uleb())]
    wrote = [parser.raw(types.OBJECT) for _ in range(parser.uleb())]
    objects.update(took, wrote)
    sent = executed.transaction.bcs.value
    return {
        "digest": bcs.digest("TransactionData", sent),
        "transaction": Parser(sent).value(types.TRANSACTION)["V1"],
        "effects": Parser(executed.effects.bcs.value).value(types.EFFECTS)["V2"],
        "took": [Parser(held).value(types.OBJECT) for held in took],
        "wrote": [Parser(held).value(types.OBJECT) for held in wrote],
    }


@cache
def checkpoints(stop: int, most: int = 3) -> tuple[bytes, ...]:
    """Protobuf bytes of made-up checkpoints from 0 up to, not including, `stop`."""
    rng = random.Random("tests/sui")  # noqa: S311 - made-up chain
    cast = [f"0x{rng.randbytes(32).hex()}" for _ in range(8)]
    below = Link(-1, None, 0, (0, 0, 0, 0))
    bodies = []
    for height in range(stop):
        seconds = 1_795_000_000 + height / 4
        below, body = made.make(below, rng=rng, cast=cast, most=most, seconds=seconds)
        bodies.append(body)
    return tuple(bodies)


def digest(body: bytes) -> str:
    """The digest of a checkpoint's message."""
    return bcs.digest("CheckpointSummary", messages.Checkpoint.FromString(body).summary.bcs.value)


def raw(body: bytes) -> RawBlock:
    """A message as the client hands it on, proven."""
    checkpoint = wire.decode(wire.message(body))
    height = checkpoint.summary.sequence_number
    proof.check(checkpoint, height, objects=True)
    return RawBlock(
        height=height,
        hash=base58.encode(checkpoint.digest),
        parent_hash=base58.encode(checkpoint.summary.previous_digest),
        time_ms=checkpoint.summary.timestamp_ms,
        payload=checkpoint,
        size=len(body),
    )


def executed(body: bytes) -> dict[str, Value]:
    """The reply to a `sui_getTransactionBlock` of the JSON-RPC that was."""
    reply = json.loads(body)
    found: dict[str, Value] = reply.get("result", reply)
    return found


def recorded_transactions() -> dict[str, dict[str, Value]]:
    """Recorded JSON-RPC replies, by file name."""
    names = [*("tx-9aFfSrP7", "tx-J2Vkui75"), *("gem.transfer_sui", "gem.transfer_token")]
    names.append("gem.swap_token_to_token")
    return {name: executed((DATA / f"{name}.json").read_bytes()) for name in names}
