"""Tron's blocks, whose id is the hash of a header that `blocks` holds whole; and their events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainflow.datasets.tron._address import hexadecimal, of_log
from chainflow.datasets.tron.token_transfers import TRANSFER
from chainflow.wire import _tron_protobuf as protobuf

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chainflow.audit._rehashed import Again, Read, Row
    from chainflow.types import BlockRange, Chain

_MOVED = (
    "transaction_hash",
    "transaction_index",
    "token_address",
    "from_address",
    "to_address",
    "token_standard",
    "token_id",
    "value",
)


def rehash(chain: Chain) -> Again:
    """What proves the chain's headers."""
    return _failing


def left_out(chain: Chain) -> str:
    """What no hash of stored columns covers."""
    return (
        "transactions, whose bytes are not kept; logs, internal transactions and transfers, which"
        " Tron puts under no hash (transfers by event are held against their logs)"
    )


def _failing(read: Read, blocks: BlockRange) -> Iterator[tuple[int, str]]:
    yield from _headers(read, blocks)
    logs, moved = read("logs", blocks), read("token_transfers", blocks)
    if logs is not None and moved is not None:
        yield from _transfers(logs, moved)


def _headers(read: Read, blocks: BlockRange) -> Iterator[tuple[int, str]]:
    for row in read("blocks", blocks) or ():
        try:
            found = protobuf.block_id(row["block_number"], _header(row)).hex()
        except ValueError as error:
            yield row["block_number"], f"the header cannot be hashed: {error}"
            continue
        if found != row["block_hash"]:
            said = row["block_hash"]
            yield row["block_number"], f"block_hash is {said}, but the header gives {found}"


def _transfers(logs: Sequence[Row], moved: Sequence[Row]) -> Iterator[tuple[int, str]]:
    """Transfers by event that are not what their logs say; how many there are is recounted."""
    by_place = {(log["block_number"], log["log_index"]): log for log in logs}
    for row in moved:
        if row["log_index"] is None:
            continue
        log = by_place.get((row["block_number"], row["log_index"]))
        if log is None or _transfer(log) != tuple(row[name] for name in _MOVED):
            yield row["block_number"], f"a transfer is not that of its log {row['log_index']}"


def _transfer(log: Row) -> tuple[object, ...]:
    """What the event of a TRC-20 or a TRC-721 token moves; empty of any other."""
    if log["topic0"] != TRANSFER:
        return ()
    sides = [of_log(log[name][-40:]) for name in ("topic1", "topic2")]
    amounts = (
        ("trc20", None, int(log["data"], 16))
        if log["topic3"] is None
        else ("trc721", int(log["topic3"], 16), 1)
    )
    return (log["transaction_hash"], log["transaction_index"], log["address"], *sides, *amounts)


def _header(row: Row) -> bytes:
    witness = row["witness_address"]
    return protobuf.header(
        timestamp=row["block_timestamp"],
        root=_bytes(row["transactions_root"]) or None,
        parent=_bytes(row["parent_hash"]),
        number=row["block_number"],
        # The genesis block's is no address and stands there in hex.
        witness=_bytes(hexadecimal(witness) if (witness or "").startswith("T") else witness)
        or None,
        version=row["block_version"],
        witness_id=row["witness_id"],
        state_root=_bytes(row["account_state_root"]) or None,
    )


def _bytes(text: str | None) -> bytes:
    return bytes.fromhex(text or "")
