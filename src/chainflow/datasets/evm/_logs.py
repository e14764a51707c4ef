"""The logs of blocks as a table: dataset `logs`, and what other datasets are worked out from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from chainflow.datasets import _columns
from chainflow.datasets._columns import columns, computed, field, read
from chainflow.datasets._extra import contradictions, extras
from chainflow.datasets._place import Place
from chainflow.datasets._rows import pc
from chainflow.datasets.evm._hex import READERS, lower_hex
from chainflow.datasets.evm._rows import block_timestamps, log_indexes, logs
from chainflow.errors import MalformedAnswer
from chainflow.types import Column

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chainflow.datasets._columns import Values
    from chainflow.datasets._rows import Array, Rows
    from chainflow.types import RawBlock
    from chainflow.wire.evm import Log

_TOPICS = ("topic0", "topic1", "topic2", "topic3")
# A log that names no transaction, or the zero hash, is the chain's own (zkSync): kept as it says.
_FIELDS = (
    field("transaction_hash", "text"),
    field("transaction_index", "bigint"),
    computed("log_index", "bigint", required=True),
    field("address", "text", required=True),
    *(computed(name, "text") for name in _TOPICS),
    field("data", "text", required=True),
    computed("extra", "jsonb"),
)
COLUMNS = columns("block_number", _FIELDS)


def table(blocks: Sequence[RawBlock]) -> pa.Table:
    """The logs of each block, in its order.

    Raises:
        MalformedAnswer: A quantity is none, or does not fit its column; a log has more topics than
            the EVM allows, or stands in another block.
    """
    found = logs(blocks)
    indexes = log_indexes(blocks)
    values: dict[str, Values] = {
        **read(_FIELDS, found.items),
        "log_index": indexes,
        **_topics(found),
        "extra": _extra(found, indexes),
    }
    return _columns.table("logs", COLUMNS, found, values, READERS)


def _topics(found: Rows[Log]) -> dict[str, Array]:
    """The four topic columns."""
    topics: Array = pa.array([log.topics for log in found.items], pa.list_(pa.string()))
    counts = pc.list_value_length(topics)
    most = pc.max(counts).as_py() or 0
    if most > len(_TOPICS):
        height = found.height(pc.index(counts, most).as_py())
        raise MalformedAnswer(f"height {height}: logs.topics: expected at most four, got {most}")
    first = topics.offsets[: len(topics)]
    none = pa.scalar(None, pa.int32())
    read: dict[str, Array] = {}
    for place, name in enumerate(_TOPICS):
        there = pc.if_else(pc.greater(counts, place), pc.add(first, place), none)
        text = Place("logs", Column(name, "text"), found)
        read[name] = lower_hex(text, topics.values.take(there))
    return read


def _extra(found: Rows[Log], indexes: Sequence[str]) -> list[str | None]:
    """What the node says of a log that no column keeps."""
    logs = found.items
    unkept: dict[str, Mapping[int, object]] = {
        "logIndex": contradictions([log.log_index for log in logs], indexes),
        "removed": {row: True for row, log in enumerate(logs) if log.removed},
        "blockTimestamp": contradictions(
            [log.block_timestamp for log in logs], block_timestamps(found)
        ),
    }
    return extras([log.extra for log in logs], unkept)
