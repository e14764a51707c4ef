"""One row per block: its header, and how many transactions and events it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from chainflow.datasets._columns import columns, computed, field, read, table
from chainflow.datasets._extra import extras, objects
from chainflow.datasets._rows import rows
from chainflow.datasets.cosmos import _rows
from chainflow.datasets.cosmos._text import READERS
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    import msgspec

    from chainflow.datasets._columns import Values
    from chainflow.types import RawBlock
    from chainflow.wire.cosmos_columns import Payload

_HASHES = (
    "last_commit_hash",
    "data_hash",
    "validators_hash",
    "next_validators_hash",
    "consensus_hash",
    "app_hash",
    "last_results_hash",
    "evidence_hash",
    "proposer_address",
)
# `header_time` is the header's own, to the nanosecond; `network` what it calls chain_id.
_FIELDS = (
    computed("parent_hash", "text", required=True),
    field("network", "text", "block.header.chain_id", required=True),
    field("header_time", "text", "block.header.time", required=True),
    field("block_version", "numeric", "block.header.version.block", required=True),
    field("app_version", "numeric", "block.header.version.app", required=True),
    *(computed(name, "text", required=True) for name in _HASHES),
    computed("parts_hash", "text", required=True),
    computed("parts_total", "bigint", required=True),
    computed("parent_parts_hash", "text", required=True),
    computed("parent_parts_total", "bigint", required=True),
    computed("evidence", "jsonb"),
    computed("validator_updates", "jsonb"),
    computed("consensus_param_updates", "jsonb"),
    computed("results_app_hash", "text"),
    computed("transaction_count", "bigint", required=True),
    computed("event_count", "bigint"),
    computed("extra", "jsonb"),
)
COLUMNS = columns("height", _FIELDS)


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The header of each block.

    What only the results tell is null where a block was fetched without them.

    Raises:
        MalformedAnswer: A number is none, or does not fit its column.
    """
    found = rows(blocks, lambda block: [block.payload])
    headers = [payload.block.header for payload in found.items]
    parts = [payload.block_id.parts for payload in found.items]
    below = [header.last_block_id.parts for header in headers]
    results = [payload.results for payload in found.items]
    values: dict[str, Values] = {
        **read(_FIELDS, found.items),
        **{name: [getattr(header, name).upper() for header in headers] for name in _HASHES},
        "parent_hash": [block.parent_hash for block in blocks],
        "parts_hash": [part.hash.upper() for part in parts],
        "parts_total": pa.array([part.total for part in parts], pa.int64()),
        "parent_parts_hash": [part.hash.upper() for part in below],
        "parent_parts_total": pa.array([part.total for part in below], pa.int64()),
        "evidence": [_rows.json(p.block.evidence.evidence or []) for p in found.items],
        "validator_updates": [r and _given(r.validator_updates) for r in results],
        "consensus_param_updates": [r and _given(r.consensus_param_updates) for r in results],
        "results_app_hash": [r and r.app_hash for r in results],
        "transaction_count": pa.array(
            [len(p.block.data.txs or ()) for p in found.items], pa.int64()
        ),
        "event_count": pa.array(
            [None if p.events is None else len(p.events.types) for p in found.items], pa.int64()
        ),
        "extra": _extra(found.items),
    }
    return table("blocks", COLUMNS, found, values, READERS)


def _given(raw: msgspec.Raw) -> str | None:
    """A JSON value as text; None for null."""
    text = bytes(raw).decode()
    return None if text in ("", "null") else text


def _extra(payloads: Sequence[Payload]) -> list[str | None]:
    """What the node says of a block that no column keeps, under the name of the object it is in."""
    parts = {
        "header": [p.block.header.extra for p in payloads],
        "version": [p.block.header.version.extra for p in payloads],
        "last_block_id": [p.block.header.last_block_id.extra for p in payloads],
        "last_parts": [p.block.header.last_block_id.parts.extra for p in payloads],
        "block_id": [p.block_id.extra for p in payloads],
        "parts": [p.block_id.parts.extra for p in payloads],
        "data": [p.block.data.extra for p in payloads],
        "evidence": [p.block.evidence.extra for p in payloads],
        "results": [p.results.extra if p.results else None for p in payloads],
    }
    return extras(
        [p.block.extra for p in payloads], {name: objects(texts) for name, texts in parts.items()}
    )


DATASET = Dataset(
    name="blocks",
    family="cosmos",
    height_column="height",
    columns=COLUMNS,
    key=("height",),
    decode=decode,
)
