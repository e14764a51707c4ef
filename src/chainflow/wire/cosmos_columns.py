"""A proven block of a CometBFT node, its events as columns.

Events are most of a block, and many small objects that cost more to keep than to make. So they
live while their block is proven; what waits to become a table is columns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chainflow.wire.cosmos import Block, BlockId, Event, Results

_BEGIN, _END, _FINALIZE, _TX = "begin_block", "end_block", "finalize_block", "tx"

# Of an attribute's JSON, what is no key or value; in a text of it, quotation marks are escaped.
_INDEX, _EXTRA = '"index":', '"chainflow:extra":'

_encoder = msgspec.json.Encoder()
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Events:
    """The events of a block, in the order they happened.

    Attributes:
        parts: Where they happened: the source and, if that is a transaction, its index; with how
            many did.
        types: The type of each.
        attributes: Key and value of each of its attributes, as JSON.
        extra: As JSON, what the node says of each that no column keeps.
    """

    parts: Sequence[tuple[str, int | None, int]]
    types: pa.StringArray
    attributes: pa.StringArray
    extra: pa.StringArray


@dataclass(frozen=True, slots=True)
class Payload:
    """What a RawBlock of this family carries.

    Attributes:
        block_id: What the node calls the block.
        block: The block.
        hashes: Of its transactions.
        results: Without their events; None where nobody needs them.
        events: None where `results` is.
        results_hash: What the next header must call `last_results_hash`; None where it is unknown.
    """

    block_id: BlockId
    block: Block
    hashes: Sequence[bytes]
    results: Results | None
    events: Events | None
    results_hash: bytes | None = field(default=None, compare=False)


def transaction_hashes(block: Block) -> list[bytes]:
    """The hash of each transaction."""
    return [sha256(raw).digest() for raw in block.data.txs or ()]


def payload(
    block_id: BlockId,
    block: Block,
    results: Results | None,
    hashes: Sequence[bytes],
    results_hash: bytes | None = None,
) -> Payload:
    """A block with its `transaction_hashes`, and its results, whose events are taken out."""
    if results is None:
        return Payload(block_id, block, hashes, None, None)
    events = _events(results)
    block_events = (
        results.begin_block_events,
        results.end_block_events,
        results.finalize_block_events,
    )
    for told in (*block_events, *(result.events for result in results.txs_results or ())):
        if told:
            told.clear()
    return Payload(block_id, block, hashes, results, events, results_hash)


def _events(results: Results) -> Events:
    parts = list(_in_order(results))
    events = list(chain.from_iterable(part for part, _, _ in parts))
    lines, extra = _attributes(events), [event.extra for event in events]
    if _INDEX in lines or _EXTRA in lines:
        extra = [_unknown(event) for event in events]
        lines = _attributes(events)
    count = len(events)
    # One call, since each into Arrow has its price.
    texts = pa.array([*(event.type for event in events), *lines.split("\n")], pa.string())
    return Events(
        parts=[(source, place, len(part)) for part, source, place in parts if part],
        types=texts.slice(0, count),
        attributes=texts.slice(count, count),
        extra=pa.array(extra, pa.string()) if any(extra) else pa.nulls(count, pa.string()),
    )


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


def _attributes(events: Sequence[Event]) -> str:
    """The attributes of each event, as a line of JSON; there is no other line break in it."""
    return _encoder.encode_lines([event.attributes or () for event in events]).decode()


def _unknown(event: Event) -> str | None:
    """What the node says of an event that no column keeps; of an attribute, beside its place.

    Its attributes have only key and value left then.
    """
    unknown = []
    for place, attribute in enumerate(event.attributes or ()):
        if attribute.extra:
            unknown.append((place, msgspec.Raw(attribute.extra.encode())))
        attribute.index, attribute.extra = True, None
    if not unknown:
        return event.extra
    known = _object.decode(event.extra or "{}")
    return _encoder.encode({**known, "attributes": unknown}).decode()
