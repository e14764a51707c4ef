"""What blocks hold, as rows: their transactions, the receipts of these, their logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from chainflow.datasets import _rows
from chainflow.wire.evm_columns import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chainflow.datasets._rows import Array, Rows
    from chainflow.types import RawBlock

Said = dict[str, Any]
"""The node's text by attribute of `wire.evm`'s struct, an array each."""


def joined(
    blocks: Sequence[RawBlock], what: Literal["transactions", "receipts", "logs"]
) -> tuple[Rows[int], Said]:
    """Everything of a kind that the blocks hold: whose it is, and what the node says of it."""
    return _rows.joined(blocks, [getattr(block.payload, what) for block in blocks], SCHEMAS[what])


def block_timestamps(found: Rows[Any]) -> Array:
    """The node's timestamp of the block of every row, as hex text."""
    times = pa.array([block.payload.block.timestamp for block in found.blocks], pa.string())
    return times.take(pa.array(found.owners, pa.int64()))
