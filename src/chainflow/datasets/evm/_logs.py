"""The logs of blocks as a table: dataset `logs`, and what other datasets are worked out from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from chainflow.datasets import _columns
from chainflow.datasets._columns import columns, computed, field
from chainflow.datasets._extra import contradictions, with_unknown
from chainflow.datasets._place import Place
from chainflow.datasets._rows import pc
from chainflow.datasets.evm._hex import READERS, lower_hex
from chainflow.datasets.evm._rows import block_timestamps, joined
from chainflow.errors import MalformedAnswer
from chainflow.types import Column

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chainflow.datasets._columns import Values
    from chainflow.datasets._rows import Array, Rows
    from chainflow.datasets.evm._rows import Said
    from chainflow.types import RawBlock

_TOPICS = ("topic0", "topic1", "topic2", "topic3")
# A log that names no transaction, or the zero hash, is the chain's own (zkSync): kept as it says.
_FIELDS = (
    field("transaction_hash", "text"),
    field("transaction_index", "bigint"),
    field("log_index", "bigint", "place", required=True),
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
            the EVM allows.
    """
    found, said = joined(blocks, "logs")
    values: dict[str, Values] = {
        **_columns.arrays("logs", _FIELDS, found, said, READERS),
        **_topics(found, said["topics"]),
        "extra": _extra(said, block_timestamps(found)),
    }
    return _columns.table("logs", COLUMNS, found, values, READERS)


def _topics(found: Rows[int], topics: Array) -> dict[str, Array]:
    """The four topic columns."""
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


def _extra(said: Said, times: Array) -> list[str | None]:
    """What the node says of a log that no column keeps."""
    removed = pc.indices_nonzero(pc.fill_null(said["removed"], False)).to_pylist()
    unkept: dict[str, Mapping[int, object]] = {
        "logIndex": contradictions(said["log_index"], said["place"]),
        "removed": dict.fromkeys(removed, True),
        "blockTimestamp": contradictions(said["block_timestamp"], times),
    }
    return with_unknown(said["extra"], unkept)
