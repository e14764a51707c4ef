"""A proven block of a CometBFT node, its events as columns.

Events are most of a block, and many small objects that cost more to keep than to make. So they
live while their block is proven; what waits to become a table is columns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chainflow.wire.cosmos import Block, BlockId, Event, Results

_BEGIN, _END, _FINALIZE, _TX = "begin_block", "end_block", "finalize_block", "tx"

_TEXTS = ("source", "event_type", "attributes", "extra")
_SAID: list[tuple[str, pa.DataType]] = [(name, pa.string()) for name in _TEXTS]
SCHEMA = pa.schema([("transaction_index", pa.int64()), *_SAID])
"""Columns of `Payload.events`, as dataset `events` has them."""

_encoder = msgspec.json.Encoder()
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _Said(msgspec.Struct, gc=False):
    """An attribute, without whether this very node can search for it."""

    key: str | None
    value: str | None


@dataclass(frozen=True, slots=True)
class Payload:
    """What a RawBlock of this family carries.

    Attributes:
        block_id: What the node calls the block.
        block: The block.
        results: Without their events; None where nobody needs them.
        events: A row each, in the order they happened; None where `results` is.
        results_hash: What the next header must call `last_results_hash`; None where it is unknown.
    """

    block_id: BlockId
    block: Block
    results: Results | None
    events: pa.RecordBatch | None
    results_hash: bytes | None = field(default=None, compare=False)


def payload(
    block_id: BlockId, block: Block, results: Results | None, results_hash: bytes | None = None
) -> Payload:
    """A block and its results, whose events are taken out."""
    if results is None:
        return Payload(block_id, block, None, None)
    events = _events(results)
    block_events = (
        results.begin_block_events,
        results.end_block_events,
        results.finalize_block_events,
    )
    for told in (*block_events, *(result.events for result in results.txs_results or ())):
        if told:
            told.clear()
    return Payload(block_id, block, results, events, results_hash)


def _events(results: Results) -> pa.RecordBatch:
    parts = list(_in_order(results))
    events = [event for part, _, _ in parts for event in part]
    texts = (
        [source for part, source, _ in parts for _ in part],
        [event.type for event in events],
        _attributes(events),
        _extra(events),
    )
    places = [place for part, _, place in parts for _ in part]
    arrays: list[pa.Array[Any]] = [pa.array(places, pa.int64())]
    arrays += [pa.array(column, pa.string()) for column in texts]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _in_order(results: Results) -> Iterator[tuple[Sequence[Event], str, int | None]]:
    """Before the transactions, theirs, and after them; one list of 0.38 holds both ends."""
    finalize = [(event, _ends(event)) for event in results.finalize_block_events or ()]
    yield results.begin_block_events or (), _BEGIN, None
    yield [event for event, ends in finalize if not ends], _FINALIZE, None
    for place, result in enumerate(results.txs_results or ()):
        yield result.events or (), _TX, place
    yield [event for event, ends in finalize if ends], _FINALIZE, None
    yield results.end_block_events or (), _END, None


def _ends(event: Event) -> bool:
    """Whether the event says that it happened after the transactions."""
    return any(a.key == "mode" and a.value == "EndBlock" for a in event.attributes or ())


def _attributes(events: Sequence[Event]) -> list[str]:
    """Key and value of each attribute of each event, as JSON."""
    said = [[_Said(a.key, a.value) for a in event.attributes or ()] for event in events]
    # A line of JSON for each event; there is no other line break in it.
    return _encoder.encode_lines(said).decode().split("\n")[: len(events)]


def _extra(events: Sequence[Event]) -> list[str | None]:
    """What the node says of an event that no column keeps; of an attribute, beside its place."""
    attributes = chain.from_iterable(event.attributes or () for event in events)
    # Nearly always there is none, and this loop is as long as all attributes.
    if any(map(attrgetter("extra"), attributes)):
        return [_unknown(event) for event in events]
    return [event.extra for event in events]


def _unknown(event: Event) -> str | None:
    texts = [attribute.extra for attribute in event.attributes or ()]
    unknown = [(place, msgspec.Raw(text.encode())) for place, text in enumerate(texts) if text]
    if not unknown:
        return event.extra
    known = _object.decode(event.extra or "{}")
    return _encoder.encode({**known, "attributes": unknown}).decode()
