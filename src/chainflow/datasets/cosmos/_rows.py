"""What a block holds, as rows: its transactions and its events, in the order they happened."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from chainflow.datasets._rows import Rows, rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from chainflow.types import RawBlock
    from chainflow.wire.cosmos import Event, Results, TxResult

_BEGIN, _END, _FINALIZE, _TX = "begin_block", "end_block", "finalize_block", "tx"


class Sent(NamedTuple):
    """A transaction's bytes and its result, at its place in the block."""

    place: int
    raw: bytes
    result: TxResult


class Happened(NamedTuple):
    """An event, at its place in the block; of a transaction, the place of that too."""

    place: int
    source: str
    event: Event
    transaction: int | None


def transactions(blocks: Sequence[RawBlock]) -> Rows[Sent]:
    """Every transaction of the blocks."""
    return rows(blocks, _transactions)


def events(blocks: Sequence[RawBlock], kinds: Collection[str] | None = None) -> Rows[Happened]:
    """Events of the blocks, counted through each block in the order they happened.

    Args:
        blocks: Fetched with their results.
        kinds: The types of events to give; by default all. The others are counted as well.
    """
    return rows(blocks, lambda block: _events(block, kinds))


def count(results: Results) -> int:
    """How many events a block has."""
    lists = results.begin_block_events, results.end_block_events, results.finalize_block_events
    own = sum(len(found) for found in lists if found)
    return own + sum(len(result.events or ()) for result in results.txs_results or ())


def transaction_hash(raw: bytes) -> str:
    """A transaction's hash, as the chain's own tools write it."""
    return sha256(raw).hexdigest().upper()


def hashes(found: Rows[Happened]) -> list[str | None]:
    """The hash of the transaction that each event is of."""
    known = [
        [transaction_hash(raw) for raw in block.payload.block.data.txs or ()]
        for block in found.blocks
    ]
    return [
        None if one.transaction is None else known[owner][one.transaction]
        for one, owner in zip(found.items, found.owners, strict=True)
    ]


def json(value: object) -> str:
    """JSON text of it."""
    return msgspec.json.encode(value).decode()


def _transactions(block: RawBlock) -> list[Sent]:
    results = _results(block).txs_results or ()
    sent = block.payload.block.data.txs or ()
    return [Sent(i, raw, result) for i, (raw, result) in enumerate(zip(sent, results, strict=True))]


def _events(block: RawBlock, kinds: Collection[str] | None) -> list[Happened]:
    found: list[Happened] = []
    start = 0
    for source, part, transaction in _in_order(_results(block)):
        found += [
            Happened(place, source, event, transaction)
            for place, event in enumerate(part, start)
            if kinds is None or event.type in kinds
        ]
        start += len(part)
    return found


def _in_order(results: Results) -> Iterator[tuple[str, Sequence[Event], int | None]]:
    """Before the transactions, theirs, and after them; one list of 0.38 holds both ends."""
    finalize = [(event, _ends(event)) for event in results.finalize_block_events or ()]
    yield _BEGIN, results.begin_block_events or (), None
    yield _FINALIZE, [event for event, ends in finalize if not ends], None
    for place, result in enumerate(results.txs_results or ()):
        yield _TX, result.events or (), place
    yield _FINALIZE, [event for event, ends in finalize if ends], None
    yield _END, results.end_block_events or (), None


def _ends(event: Event) -> bool:
    """Whether the event says that it happened after the transactions."""
    return any(a.key == "mode" and a.value == "EndBlock" for a in event.attributes or ())


def _results(block: RawBlock) -> Results:
    results: Results | None = block.payload.results
    if results is None:
        raise ValueError(f"height {block.height} was fetched without its results")
    return results
