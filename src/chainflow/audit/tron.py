"""Tron's blocks, whose id is the hash of a header that `blocks` holds whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainflow.datasets.tron._address import hexadecimal
from chainflow.wire import _tron_protobuf as protobuf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chainflow.audit._rehashed import Again, Read, Row
    from chainflow.types import BlockRange, Chain


def rehash(chain: Chain) -> Again:
    """What proves the chain's headers."""
    return _failing


def left_out(chain: Chain) -> str:
    """What no hash of stored columns covers."""
    return (
        "transactions, whose bytes are not kept; logs, transfers and internal transactions, which"
        " Tron puts under no hash"
    )


def _failing(read: Read, blocks: BlockRange) -> Iterator[tuple[int, str]]:
    for row in read("blocks", blocks) or ():
        try:
            found = protobuf.block_id(row["block_number"], _header(row)).hex()
        except ValueError as error:
            yield row["block_number"], f"the header cannot be hashed: {error}"
            continue
        if found != row["block_hash"]:
            said = row["block_hash"]
            yield row["block_number"], f"block_hash is {said}, but the header gives {found}"


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
