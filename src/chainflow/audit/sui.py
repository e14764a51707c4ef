"""Sui's checkpoints, whose digest is of a summary that `blocks` holds whole; and their events.

Source: the ABNF in MystenLabs/sui-rust-sdk, crates/sui-sdk-types.
"""

from __future__ import annotations

import json
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from chainflow.wire import _base58 as base58
from chainflow.wire import _sui_written as written
from chainflow.wire._sui_bcs import digest
from chainflow.wire.sui import COMMITMENTS, NO_DIGEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from chainflow.audit._rehashed import Again, Read, Row
    from chainflow.types import BlockRange, Chain

_COSTS = ("computation_cost", "storage_cost")
_transaction = itemgetter("checkpoint", "transaction_index")
_event = itemgetter("checkpoint", "transaction_index", "event_index")


def rehash(chain: Chain) -> Again:
    """What proves the chain's summaries, and its events."""
    return _failing


def left_out(chain: Chain) -> str:
    """What no hash of stored columns covers."""
    return (
        "transactions, but for event_count and net_gas_usage, and balance changes: their digests"
        " are of bytes with signatures, inputs and objects, which are not kept"
    )


def _failing(read: Read, blocks: BlockRange) -> Iterator[tuple[int, str]]:
    for row in read("blocks", blocks) or ():
        if wrong := _unlike(row["block_hash"], partial(_summary, row)):
            yield row["checkpoint"], f"block_hash is {wrong}"
    transactions, events = read("transactions", blocks), read("events", blocks)
    for row in transactions or ():
        if row["net_gas_usage"] != sum(row[name] for name in _COSTS) - row["storage_rebate"]:
            yield row["checkpoint"], f"transaction {_transaction(row)[1]}: net_gas_usage is no sum"
    if transactions is not None and events is not None:
        yield from _emitted(transactions, events)


def _emitted(transactions: Sequence[Row], events: Sequence[Row]) -> Iterator[tuple[int, str]]:
    """Transactions whose events are not as many as they say, or have another digest."""
    by_transaction = groupby(sorted(events, key=_event), key=_transaction)
    emitted = {at: list(rows) for at, rows in by_transaction}
    for row in transactions:
        rows = emitted.get(_transaction(row), [])
        if row["event_count"] != len(rows):
            text = f"event_count is {row['event_count']}, but it has {len(rows)}"
            yield row["checkpoint"], f"transaction {_transaction(row)[1]}: {text}"
        if wrong := _unlike(row["events_digest"], partial(_events, rows)):
            index = row["transaction_index"]
            yield row["checkpoint"], f"events_digest of transaction {index} is {wrong}"


def _unlike(said: str | None, again: Callable[[], str | None]) -> str:
    """What a digest is and what rows give instead; empty where they agree."""
    try:
        found = again()
    except (ValueError, OverflowError, LookupError, TypeError) as error:
        return f"{said}, but its rows cannot be hashed: {error}"
    return "" if found == said else f"{said}, but its rows give {found}"


def _summary(row: Row) -> str:
    previous = base58.decode(row["parent_hash"])
    parts = [
        written.u64(row["epoch"]),
        written.u64(row["checkpoint"]),
        written.u64(row["network_total_transactions"]),
        _digest(row["contents_digest"]),
        b"\0" if previous == NO_DIGEST else b"\1" + _digest(row["parent_hash"]),
        written.u64(row["epoch_computation_cost"]),
        written.u64(row["epoch_storage_cost"]),
        written.u64(row["epoch_storage_rebate"]),
        written.u64(row["epoch_non_refundable_storage_fee"]),
        written.u64(row["block_timestamp"]),
        _commitments(json.loads(row["commitments"] or "[]")),
        _end_of_epoch(json.loads(row["end_of_epoch"] or "null")),
        written.octets(_bytes(row["version_specific_data"])),
    ]
    return base58.encode(digest(b"CheckpointSummary", b"".join(parts)))


def _events(rows: Sequence[Row]) -> str | None:
    """The digest of a transaction's events, which has none where there are none."""
    if not rows:
        return None
    parts = [
        written.address(row["package_id"])
        + written.text(row["module"])
        + written.address(row["sender"])
        + written.struct_tag(row["event_type"])
        + written.octets(_bytes(row["contents"]))
        for row in rows
    ]
    return base58.encode(digest(b"TransactionEvents", written.many(parts)))


def _commitments(given: Sequence[dict[str, str]]) -> bytes:
    return written.many(
        [
            written.length(COMMITMENTS.index(kind)) + _digest(text)
            for one in given
            for kind, text in one.items()
        ]
    )


def _end_of_epoch(given: dict[str, Any] | None) -> bytes:
    if given is None:
        return b"\0"
    committee = [
        written.octets(_bytes(member["public_key"])) + written.u64(member["stake"])
        for member in given["next_epoch_committee"]
    ]
    version = written.u64(given["next_epoch_protocol_version"])
    return b"\1" + written.many(committee) + version + _commitments(given["epoch_commitments"])


def _digest(text: str) -> bytes:
    return written.octets(base58.decode(text))


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
