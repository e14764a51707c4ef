"""One row per transaction, with what its receipt says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa

from chainflow.datasets._columns import columns, computed, field, read, table
from chainflow.datasets._extra import contradictions, extras, objects
from chainflow.datasets.evm._hex import READERS
from chainflow.datasets.evm._rows import block_timestamps, receipts, transactions
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from chainflow.datasets._columns import Values
    from chainflow.datasets._rows import Rows
    from chainflow.types import RawBlock
    from chainflow.wire.evm import Receipt, Transaction

_WORD = 2 + 64  # characters of 32 bytes
_NESTED = ("blob_versioned_hashes", "access_list", "authorization_list")
_TRANSACTION = (
    field("transaction_hash", "text", "hash", required=True),
    field("transaction_index", "bigint", required=True),
    field("nonce", "numeric"),
    field("from_address", "text", "from_"),
    field("to_address", "text", "to"),
    field("value", "numeric"),
    field("gas", "numeric"),
    field("gas_price", "numeric"),
    field("input", "text"),
    field("transaction_type", "bigint", "type"),
    field("chain_id", "numeric"),
    field("max_fee_per_gas", "numeric"),
    field("max_priority_fee_per_gas", "numeric"),
    field("max_fee_per_blob_gas", "numeric"),
    *(computed(name, "jsonb") for name in _NESTED),
    field("v", "numeric"),
    computed("r", "text"),
    computed("s", "text"),
    field("y_parity", "numeric"),
    field("source_hash", "text"),
    field("mint", "numeric"),
    field("is_system_tx", "boolean"),
    field("fee_currency", "text"),
)
_RECEIPT = (
    field("receipt_cumulative_gas_used", "numeric", "cumulative_gas_used"),
    field("receipt_gas_used", "numeric", "gas_used"),
    field("receipt_contract_address", "text", "contract_address"),
    field("receipt_root", "text", "root"),
    field("receipt_status", "bigint", "status"),
    field("receipt_effective_gas_price", "numeric", "effective_gas_price"),
    field("receipt_blob_gas_used", "numeric", "blob_gas_used"),
    field("receipt_blob_gas_price", "numeric", "blob_gas_price"),
    field("receipt_l1_fee", "numeric", "l1_fee"),
    field("receipt_l1_gas_used", "numeric", "l1_gas_used"),
    field("receipt_l1_gas_price", "numeric", "l1_gas_price"),
    computed("receipt_l1_fee_scalar", "text"),  # a decimal: "0.684"
    field("receipt_l1_base_fee_scalar", "numeric", "l1_base_fee_scalar"),
    field("receipt_l1_blob_base_fee", "numeric", "l1_blob_base_fee"),
    field("receipt_l1_blob_base_fee_scalar", "numeric", "l1_blob_base_fee_scalar"),
    field("receipt_l1_block_number", "bigint", "l1_block_number"),
    field("receipt_gas_used_for_l1", "numeric", "gas_used_for_l1"),
    field("receipt_deposit_nonce", "numeric", "deposit_nonce"),
    field("receipt_deposit_receipt_version", "numeric", "deposit_receipt_version"),
)
COLUMNS = columns("block_number", (*_TRANSACTION, *_RECEIPT, computed("extra", "jsonb")))

# What a receipt says again of its transaction, by column: kept only where it says something else.
_REPEATED = {
    "transaction_index": "transactionIndex",
    "transaction_type": "type",
    "from_address": "from",
    "to_address": "to",
}


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The transactions of each block, in its order.

    Raises:
        MalformedAnswer: A quantity is none, or does not fit its column; a transaction or receipt
            belongs to another block.
    """
    sent = transactions(blocks)
    paired = receipts(blocks)
    said = read(_TRANSACTION, sent.items)
    values: dict[str, Values] = {
        **said,
        **read(_RECEIPT, paired),
        **{name: _json([getattr(t, name) for t in sent.items]) for name in _NESTED},
        "r": _words([t.r for t in sent.items]),
        "s": _words([t.s for t in sent.items]),
        "receipt_l1_fee_scalar": pa.array([r.l1_fee_scalar for r in paired], pa.string()),
        "extra": _extra(sent, paired, said),
    }
    return table("transactions", COLUMNS, sent, values, READERS)


def _json(given: Iterable[msgspec.Raw]) -> list[str | None]:
    """The node's JSON as text; None where it gave nothing, or null."""
    texts = [bytes(raw) for raw in given]
    return [None if text in (b"", b"null") else text.decode() for text in texts]


def _words(halves: Iterable[str | None]) -> list[str | None]:
    """Halves of signatures as 32 bytes: some nodes leave out leading zeros, some do not."""
    return [
        half if half is None or len(half) >= _WORD or not half.startswith("0x") else _padded(half)
        for half in halves
    ]


def _padded(half: str) -> str:
    return f"0x{half[2:]:0>64}"


def _extra(
    sent: Rows[Transaction], paired: Sequence[Receipt], said: Mapping[str, Sequence[str | None]]
) -> list[str | None]:
    """What the node says of transaction and receipt that no column keeps."""
    again = read([f for f in _TRANSACTION if f.column.name in _REPEATED], paired)
    of_receipts = {
        _REPEATED[name]: contradictions(words, said[name]) for name, words in again.items()
    }
    times = contradictions([t.block_timestamp for t in sent.items], block_timestamps(sent))
    parts = {
        "transaction": objects(extras([t.extra for t in sent.items], {"blockTimestamp": times})),
        "receipt": objects(extras([r.extra for r in paired], of_receipts)),
    }
    return extras([None] * len(sent), parts)


DATASET = Dataset(
    name="transactions",
    family="evm",
    height_column="block_number",
    columns=COLUMNS,
    key=("block_number", "transaction_index"),
    decode=decode,
)
