"""One row per event log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainflow.datasets._columns import columns, computed, field, read, table
from chainflow.datasets._extra import contradictions, extras
from chainflow.datasets.evm._hex import READERS
from chainflow.datasets.evm._rows import block_timestamps, log_indexes, logs
from chainflow.errors import MalformedAnswer
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from chainflow.datasets._rows import Rows
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


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The logs of each block, in its order.

    Raises:
        MalformedAnswer: A quantity is none, or does not fit its column; a log has more topics than
            the EVM allows, or stands in another block.
    """
    found = logs(blocks)
    indexes = log_indexes(blocks)
    values = {
        **read(_FIELDS, found.items),
        "log_index": indexes,
        **_topics(found),
        "extra": _extra(found, indexes),
    }
    return table("logs", COLUMNS, found, values, READERS)


def _topics(found: Rows[Log]) -> dict[str, list[str | None]]:
    """The four topic columns."""
    topics = [log.topics for log in found.items]
    most = max(map(len, topics), default=0)
    if most > len(_TOPICS):
        row = [len(of_log) for of_log in topics].index(most)
        raise MalformedAnswer(
            f"height {found.height(row)}: logs.topics: expected at most four, got {most}"
        )
    return {
        name: [of_log[place] if place < len(of_log) else None for of_log in topics]
        for place, name in enumerate(_TOPICS)
    }


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


DATASET = Dataset(
    name="logs",
    family="evm",
    height_column="block_number",
    columns=COLUMNS,
    key=("block_number", "log_index"),
    decode=decode,
)
