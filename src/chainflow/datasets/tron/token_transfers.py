"""One row per token moved: TRX and TRC-10 by the chain itself, TRC-20 and TRC-721 by their events.

A transaction that failed, or an internal one that was rejected, moved nothing; nor does a move of
nothing make a row. TRX and TRC-10 move with a transfer, with the call or making of a smart
contract, and with the calls it makes (`call`, `create`, `suicide`); freezing, rewards, fees and the
chain's own exchange are no transfers (docs/decisions/0083). An event has exactly the shape of its
standard, as on EVM chains.

Source: tronprotocol/tips, TIP-20 and TIP-721; java-tron, actuator and vm.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import pyarrow as pa

from chainflow.datasets import _transfers
from chainflow.datasets._columns import table
from chainflow.datasets._rows import pc
from chainflow.datasets.tron import _address
from chainflow.datasets.tron._rows import (
    READERS,
    filled,
    joined,
    of_transactions,
    printable,
    succeeded,
    sun_paid,
    topics,
)
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chainflow.datasets._rows import Array
    from chainflow.datasets.tron._rows import Said
    from chainflow.types import RawBlock

# keccak-256 of Transfer(address,address,uint256).
TRANSFER = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
TRX = "TRX"
_WORD = 64  # characters of an ABI word
_PADDING = 24 * "0"  # what an address in a word begins with
_MOVING_NOTES = pa.array([word.encode().hex() for word in ("call", "create", "suicide")])
_CALLING = pa.array(["TriggerSmartContract", "CreateSmartContract"])

KEY = ("block_number", "transaction_index", "transfer_index")
COLUMNS = _transfers.columns("block_number", KEY)

# `row` is that of the transaction; addresses are in hex, `token` as the table has it.
_TYPES: dict[str, pa.DataType] = {
    "row": pa.int64(),
    "log_index": pa.int64(),
    "standard": pa.string(),
    "token": pa.string(),
    "sender": pa.string(),
    "receiver": pa.string(),
    "token_id": pa.string(),
    "value": pa.string(),
}
_MOVED = pa.schema(_TYPES)


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The transfers of each block: a transaction's own, those inside it, those of its events."""
    sent, said = joined(blocks, "transactions")
    every = pa.concat_tables([*_own(said), _inside(blocks), _events(blocks)])
    every = every.filter(succeeded(said).take(every["row"])).combine_chunks()
    # What stands in one transaction stays in the order of these parts.
    every = every.take(pc.sort_indices(every["row"]))
    moved: Said = {name: every[name].combine_chunks() for name in every.column_names}
    values = {
        "transaction_hash": said["tx_id"].take(moved["row"]),
        "transaction_index": said["place"].take(moved["row"]),
        "log_index": moved["log_index"],
        "transfer_index": _counted(moved["row"]),
        "token_address": moved["token"],
        "token_standard": moved["standard"],
        "operator_address": pa.nulls(len(every), pa.string()),
        "from_address": _address.each(moved["sender"]),
        "to_address": _address.each(moved["receiver"]),
        "token_id": moved["token_id"],
        "value": moved["value"],
    }
    found = sent.take(moved["row"].to_pylist())
    return table("token_transfers", COLUMNS, found, values, READERS)


def _counted(rows: Array) -> Array:
    """The place of each among those of its row."""
    counts = pc.value_counts(rows).field("counts").to_pylist()
    return pa.array(chain.from_iterable(map(range, counts)), pa.int64())


def _own(said: Said) -> tuple[pa.Table, pa.Table]:
    """What the transactions themselves send along: TRX, and tokens."""
    kind, amount = said["contract.type"], said["value.amount"]
    calls = pc.is_in(kind, _CALLING)
    called = pc.coalesce(filled(said["value.contract_address"]), said["info.contract_address"])
    receiver = pc.if_else(calls, called, said["value.to_address"])
    name = _address.spelled(filled(said["value.asset_name"]), printable)
    number = said["value.token_id"].cast(pa.string())
    none = pa.scalar(None, pa.int64())
    transfers = pc.if_else(pc.equal(kind, "TransferContract"), amount, none)
    named = pc.and_(pc.equal(kind, "TransferAssetContract"), pc.is_valid(name))
    rows = pa.array(range(len(kind)), pa.int64())
    sides = (rows, said["value.owner_address"], receiver)
    return (
        _native(*sides, pc.if_else(calls, sun_paid(said), transfers), pa.nulls(len(kind))),
        _native(
            *sides,
            pc.if_else(calls, said["value.call_token_value"], pc.if_else(named, amount, none)),
            pc.if_else(calls, pc.if_else(pc.equal(number, "0"), "", number), name),
        ),
    )


def _inside(blocks: Sequence[RawBlock]) -> pa.Table:
    """What contracts sent along with the calls they made."""
    found, said = joined(blocks, "calls")
    moving = pc.and_not(pc.is_in(said["note"], _MOVING_NOTES), said["rejected"])
    calls = pc.list_parent_indices(said["moved.call_value"])
    moved = _native(
        of_transactions(found, said).take(calls),
        said["caller_address"].take(calls),
        said["transfer_to_address"].take(calls),
        pc.if_else(moving.take(calls), said["moved.call_value"].flatten(), None),
        said["moved.token_id"].flatten(),
    )
    return moved


def _native(rows: Array, sender: Array, receiver: Array, amount: Array, token: Array) -> pa.Table:
    """What the chain itself moves, where it is more than nothing."""
    named = filled(token.cast(pa.string()))
    moved = {
        "row": rows,
        "log_index": pa.nulls(len(rows), pa.int64()),
        "standard": pc.if_else(pc.is_valid(named), "trc10", "trx"),
        "token": pc.coalesce(named, TRX),
        "sender": sender,
        "receiver": receiver,
        "token_id": pa.nulls(len(rows), pa.string()),
        "value": amount.cast(pa.string()),
    }
    return pa.table(moved, _MOVED).filter(pc.fill_null(pc.greater(amount, 0), False))


def _events(blocks: Sequence[RawBlock]) -> pa.Table:
    """TRC-20 and TRC-721 share the event; TRC-721 indexes its third parameter."""
    found, said = joined(blocks, "logs")
    topic0, sender, receiver, third = topics(said).values()
    size = pc.binary_length(said["data"])
    addresses = pc.and_(pc.starts_with(sender, _PADDING), pc.starts_with(receiver, _PADDING))
    trc721 = pc.and_(pc.is_valid(third), pc.equal(size, 0))
    trc20 = pc.and_(pc.is_null(third), pc.equal(size, _WORD))
    fits = pc.and_(pc.equal(topic0, TRANSFER), pc.and_(addresses, pc.or_(trc721, trc20)))
    rows = pc.indices_nonzero(pc.fill_null(fits, False))
    is_721 = trc721.take(rows)
    ids = _decimals(third.take(rows))
    moved = {
        "row": of_transactions(found, said).take(rows),
        "log_index": said["place"].take(rows),
        "standard": pc.if_else(is_721, "trc721", "trc20"),
        "token": _address.spelled(said["address"].take(rows), _address.of_log),
        "sender": _of_topic(sender.take(rows)),
        "receiver": _of_topic(receiver.take(rows)),
        "token_id": ids,
        "value": pc.if_else(is_721, "1", _decimals(filled(said["data"].take(rows)))),
    }
    return pa.table(moved, _MOVED)


def _of_topic(words: Array) -> Array:
    """The hex of addresses in topics, as elsewhere."""
    return pc.utf8_replace_slice(words, 0, len(_PADDING), _address.PREFIX)


def _decimals(words: Array) -> Array:
    """Decimal text of words of hex; null where there is none."""
    return pa.array(
        [None if word is None else str(int(word, 16)) for word in words.to_pylist()], pa.string()
    )


DATASET = Dataset(
    name="token_transfers",
    family="tron",
    height_column="block_number",
    columns=COLUMNS,
    key=KEY,
    decode=decode,
)
