"""Answers that are wrong in any one place make no row that the chain did not have.

All but the summary is held against a digest, so whatever is changed is noticed; a changed summary
is another checkpoint, which the next one does not name as its parent.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from functools import cache
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainflow import datasets
from chainflow.clients import sui as client
from chainflow.clients._http import Node, Reply, session
from chainflow.clients._sui_store import WATERMARK, Store
from chainflow.devnet import _sui_bcs as bcs
from chainflow.devnet import _sui_checkpoints as made
from chainflow.devnet import _sui_types as types
from chainflow.endpoints import Endpoint
from chainflow.errors import AnswerTooLarge, MalformedAnswer, NodeUnavailable, WorkError
from chainflow.types import BlockRange, RawBlock
from chainflow.wire import _sui_messages as messages
from tests import sui
from tests.contract.malformed import Mutation, corruptions
from tests.fake_node import FAST
from tests.sui_nodes import ALL, CHAIN

BODIES = sui.checkpoints(20)
DATASETS = datasets.get("sui", ALL)
# One try: what is wrong stays wrong.
LIMITS = replace(FAST, malformed_attempts=1, deadline_seconds=0.0, body_bytes=10_000_000)
# One with every kind of part: transactions that paid, swapped and failed, events, objects.
RICH = max(range(18), key=lambda height: len(BODIES[height]))
HUGE = (0, 1, 2**31, 2**63 - 1, 2**63, 2**64 - 1)


def fetched(files: dict[int, bytes], blocks: BlockRange) -> list[RawBlock]:
    """What the client makes of a store with these files, without a server."""

    async def work() -> list[RawBlock]:
        async with session(LIMITS) as opened:
            node = Node(Endpoint("store", "http://store.example"), opened, LIMITS)

            async def get(path: str, query: Any = None) -> Reply:  # noqa: ANN401 - not used
                del query
                if path == WATERMARK:
                    return Reply(200, b'{"checkpoint_hi_inclusive": 19}', None)
                return Reply(200, files[int(path.partition(".")[0])], None)

            setattr(node, "get", get)  # noqa: B010 - the fake stands in for a method
            opened_client = client.SuiClient(CHAIN, {node: Store(node, 0)}, LIMITS)
            async with aclosing(opened_client.fetch(blocks, ALL)) as stream:
                return [block async for block in stream]

    return asyncio.run(work())


def tables(blocks: list[RawBlock]) -> dict[str, pa.Table]:
    """Every dataset of some blocks."""
    return {dataset.name: dataset.decode(blocks) for dataset in DATASETS}


@cache
def honest(start: int, stop: int) -> dict[str, pa.Table]:
    """The rows of the chain as it is."""
    return tables([sui.raw(body) for body in BODIES[start:stop]])


def assert_no_wrong_row(spoilt: bytes, height: int) -> None:
    """A file changed in any way: the rows of it and its neighbours, or an error that names it."""
    blocks = BlockRange(height - 1, height + 2)
    files = {h: made.compressed(BODIES[h]) for h in blocks} | {height: spoilt}
    try:
        rows = tables(fetched(files, blocks))
    except (MalformedAnswer, NodeUnavailable, AnswerTooLarge) as error:
        assert_named(error, height)
    else:
        assert rows == honest(blocks.start, blocks.stop)


def assert_named(error: WorkError, height: int) -> None:
    """The chain, the checkpoint (or the next, which does not link), and the endpoint."""
    text = str(error)
    assert text.startswith("suinet ")
    assert "store.example" in text
    assert f"checkpoint {height}" in text or f"checkpoint {height + 1}" in text


@settings(max_examples=60, deadline=None)
@given(corruptions(BODIES[RICH]))
def test_message_with_a_wrong_byte_makes_no_wrong_row(mutation: Mutation) -> None:
    """Any byte of the protobuf changed, or the rest cut off."""
    assert_no_wrong_row(made.compressed(mutation.body), RICH)


@settings(max_examples=30, deadline=None)
@given(corruptions(made.compressed(BODIES[RICH])))
def test_file_with_a_wrong_byte_makes_no_wrong_row(mutation: Mutation) -> None:
    """Any byte of what the store sends."""
    assert_no_wrong_row(mutation.body, RICH)


def parts() -> list[str]:
    """The name of every part of a message that BCS is in."""
    message = messages.Checkpoint.FromString(BODIES[RICH])
    named = ["summary", "contents"]
    for i, one in enumerate(message.transactions):
        named += [f"transactions.{i}.{part}" for part in ("transaction", "effects")]
        named += [f"transactions.{i}.events"] if one.events.bcs.value else []
    return named + [f"objects.{i}" for i in range(len(message.objects.objects))]


def part_of(message: Any, name: str) -> Any:  # noqa: ANN401 - messages
    """A part by its name."""
    kind, _, rest = name.partition(".")
    if kind == "objects":
        return message.objects.objects[int(rest)]
    if kind == "transactions":
        place, _, part = rest.partition(".")
        return getattr(message.transactions[int(place)], part)
    return getattr(message, kind)


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(parts()), st.data())
def test_part_with_a_wrong_byte_makes_no_wrong_row(name: str, data: st.DataObject) -> None:
    """The BCS of any part, changed inside: the digest above it does not fit any more."""
    message = messages.Checkpoint.FromString(BODIES[RICH])
    part = part_of(message, name)
    part.bcs.value = data.draw(corruptions(part.bcs.value)).body
    assert_no_wrong_row(made.compressed(message.SerializeToString()), RICH)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(parts()), st.sampled_from(["drop", "double", "exchange"]))
def test_parts_dropped_doubled_or_exchanged_make_no_wrong_row(name: str, what: str) -> None:
    """Transactions and objects out of place, and parts that are not there."""
    message = messages.Checkpoint.FromString(BODIES[RICH])
    kind, _, place = name.partition(".")
    if kind in ("summary", "contents"):
        message.ClearField(kind)
    else:
        holder = message.transactions if kind == "transactions" else message.objects.objects
        disturb(holder, int(place.partition(".")[0]), what)
    assert_no_wrong_row(made.compressed(message.SerializeToString()), RICH)


def disturb(holder: Any, place: int, what: str) -> None:  # noqa: ANN401 - a repeated field
    """Drop, double or exchange an item."""
    items = [type(item).FromString(item.SerializeToString()) for item in holder]
    if what == "drop":
        del items[place]
    elif what == "double":
        items.insert(place, items[place])
    else:
        other = (place + 1) % len(items)
        items[place], items[other] = items[other], items[place]
    del holder[:]
    holder.extend(items)


def numbers(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401 - BCS
    """The path to every number in a value."""
    if isinstance(value, int) and not isinstance(value, bool):
        return [path]
    found = []
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            found += numbers(part, (*path, key))
    return found


def lying(kind: str, place: Any, number: int) -> bytes:  # noqa: ANN401 - a strategy's draw
    """A checkpoint with another number in it and every digest made to fit: a forger's."""
    message = messages.Checkpoint.FromString(BODIES[RICH])
    summary = sui.Parser(message.summary.bcs.value).value(types.SUMMARY)
    contents = sui.Parser(message.contents.bcs.value).value(types.CONTENTS)
    if kind == "summary":
        changed(summary, place, number)
    else:
        part = message.transactions[-1].effects.bcs
        effects = sui.Parser(part.value).value(types.EFFECTS)
        changed(effects, place, number)
        part.value = bcs.encode(types.EFFECTS, effects)
        listed = contents["V1"]["transactions"][-1]
        listed["effects"] = bcs.digest("TransactionEffects", part.value)
        message.contents.bcs.value = bcs.encode(types.CONTENTS, contents)
        summary["content_digest"] = bcs.digest("CheckpointContents", message.contents.bcs.value)
    message.summary.bcs.value = bcs.encode(types.SUMMARY, summary)
    return bytes(message.SerializeToString())


def changed(value: Any, place: int, number: int) -> None:  # noqa: ANN401 - BCS
    """Put the number in the place of another that 64 bits hold."""
    paths = [p for p in numbers(value) if p[-1] not in {"command", "instruction", "function"}]
    *path, last = paths[place % len(paths)]
    for key in path:
        value = value[key]
    value[last] = number


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["summary", "effects"]), st.integers(0, 50), st.sampled_from(HUGE))
def test_huge_numbers_are_kept_exactly_or_refused(kind: str, place: int, number: int) -> None:
    """A checkpoint that proves itself, whatever numbers it has: as said, or told by its place."""
    try:
        body = lying(kind, place, number)
    except OverflowError:
        return  # the field is narrower
    files = {RICH: made.compressed(body)}
    try:
        (block,) = fetched(files, BlockRange(RICH, RICH + 1))
    except MalformedAnswer as error:
        assert_named(error, RICH)
        return
    rows, said = attempt(block)
    if rows is None:
        assert f"height {RICH}: " in said
        return
    assert rows["blocks"]["epoch_storage_cost"].to_pylist() == [
        str(block.payload.summary.gas.storage_cost)
    ]
    given_effects = sui.Parser(
        messages.Checkpoint.FromString(body).transactions[-1].effects.bcs.value
    ).value(types.EFFECTS)["V2"]
    last = rows["transactions"].to_pylist()[-1]
    for name, amount in given_effects["gas_used"].items():
        assert last[name] == str(amount)
    assert last["lamport_version"] == str(given_effects["lamport_version"])


def attempt(block: RawBlock) -> tuple[dict[str, pa.Table] | None, str]:
    """The rows of a block, or what is said instead."""
    try:
        return tables([block]), ""
    except MalformedAnswer as error:
        return None, str(error)


@pytest.mark.parametrize("body", [b"", b"<html>", b"\x28\xb5\x2f\xfd", b"\x28\xb5\x2f\xfd" * 9])
def test_what_is_no_file_is_told_by_its_place(body: bytes) -> None:
    """Nothing at all, a page, and a frame without a content."""
    with pytest.raises((NodeUnavailable, MalformedAnswer)) as caught:
        fetched({3: body}, BlockRange(3, 4))
    assert_named(caught.value, 3)
