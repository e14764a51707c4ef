"""One row per transaction, with what its receipt says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainflow.datasets._columns import arrays, columns, computed, field, table
from chainflow.datasets._extra import contradictions, extras, objects, with_unknown
from chainflow.datasets._rows import pc
from chainflow.datasets.evm._hex import READERS
from chainflow.datasets.evm._rows import block_timestamps, joined
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from chainflow.datasets._columns import Values
    from chainflow.datasets._rows import Array
    from chainflow.datasets.evm._rows import Said
    from chainflow.types import RawBlock

_WORD = 2 + 64  # characters of 32 bytes
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
    field("blob_versioned_hashes", "jsonb"),
    field("access_list", "jsonb"),
    field("authorization_list", "jsonb"),
    field("v", "numeric"),
    field("r", "text"),
    field("s", "text"),
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

# What a receipt says again of its transaction, by attribute: kept only where it says otherwise.
_REPEATED = {"transaction_index": "transactionIndex", "type": "type", "from_": "from", "to": "to"}


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The transactions of each block, in its order.

    Raises:
        MalformedAnswer: A quantity is none, or does not fit its column.
    """
    (sent, said), (_, outcomes) = joined(blocks, "transactions"), joined(blocks, "receipts")
    padded = {name: _words(said[name]) for name in ("r", "s")}
    values: dict[str, Values] = {
        **arrays("transactions", _TRANSACTION, sent, {**said, **padded}, READERS),
        **arrays("transactions", _RECEIPT, sent, outcomes, READERS),
        "receipt_l1_fee_scalar": outcomes["l1_fee_scalar"],
        "extra": _extra(said, outcomes, block_timestamps(sent)),
    }
    return table("transactions", COLUMNS, sent, values, READERS)


def _words(halves: Array) -> Array:
    """Halves of signatures as 32 bytes: some nodes leave out leading zeros, some do not."""
    short = pc.and_(pc.less(pc.binary_length(halves), _WORD), pc.starts_with(halves, "0x"))
    digits = pc.binary_replace_slice(halves.filter(short), 0, 2, "")
    padded = pc.binary_join_element_wise("0x", pc.ascii_lpad(digits, 64, "0"), "")
    return pc.replace_with_mask(halves, pc.fill_null(short, False), padded)


def _extra(said: Said, outcomes: Said, times: Array) -> list[str | None]:
    """What the node says of transaction and receipt that no column keeps."""
    of_receipts = {
        word: contradictions(outcomes[name], said[name]) for name, word in _REPEATED.items()
    }
    of_blocks = {"blockTimestamp": contradictions(said["block_timestamp"], times)}
    parts = {
        "transaction": objects(with_unknown(said["extra"], of_blocks)),
        "receipt": objects(with_unknown(outcomes["extra"], of_receipts)),
    }
    return extras([None] * len(times), parts)


DATASET = Dataset(
    name="transactions",
    family="evm",
    height_column="block_number",
    columns=COLUMNS,
    key=("block_number", "transaction_index"),
    decode=decode,
)
