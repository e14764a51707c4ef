"""One row per token moved: TRX and TRC-10 by the chain itself, TRC-20 and TRC-721 by their events.

A transaction that failed, or an internal one that was rejected, moved nothing; nor does a move of
nothing make a row. TRX and TRC-10 move with a transfer, with the call or making of a smart
contract, and with the calls it makes (`call`, `create`, `suicide`); freezing, rewards, fees and the
chain's own exchange are no transfers (docs/decisions/0083). An event has exactly the shape of its
standard, as on EVM chains.

Source: tronprotocol/tips, TIP-20 and TIP-721; java-tron, actuator and vm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from chainflow.datasets import _transfers
from chainflow.datasets._columns import table
from chainflow.datasets.tron import _address
from chainflow.datasets.tron._rows import READERS, Executed, executed, integers, printable
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chainflow.datasets._columns import Values
    from chainflow.types import RawBlock
    from chainflow.wire.tron import Log

# keccak-256 of Transfer(address,address,uint256).
TRANSFER = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
TRX = "TRX"
_WORD = 64  # characters of an ABI word
_PADDING = 24 * "0"  # what an address in a word begins with
_MOVING_NOTES = frozenset(word.encode().hex() for word in ("call", "create", "suicide"))

KEY = ("block_number", "transaction_index", "transfer_index")
COLUMNS = _transfers.columns("block_number", KEY)


class Move(NamedTuple):
    """One transfer; `token_id` and `value` in decimal, addresses in base58."""

    standard: str
    token: str
    sender: str | None
    receiver: str | None
    value: str
    token_id: str | None = None
    log_index: int | None = None


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The transfers of each block: a transaction's own, those inside it, those of its events."""
    found = executed(blocks)
    rows, places, moves = [], [], []
    for row, one in enumerate(found.items):
        for place, move in enumerate(_moves(one)):
            rows.append(row)
            places.append(place)
            moves.append(move)
    moving = found.take(rows)
    standards, tokens, senders, receivers, amounts, ids, logs = (
        zip(*moves, strict=True) if moves else ((),) * 7
    )
    values: dict[str, Values] = {
        "transaction_hash": [one.tx.tx_id for one in moving.items],
        "transaction_index": integers(one.place for one in moving.items),
        "log_index": integers(logs),
        "transfer_index": integers(places),
        "token_address": tokens,
        "token_standard": standards,
        "operator_address": pa.nulls(len(moves), pa.string()),
        "from_address": senders,
        "to_address": receivers,
        "token_id": pa.array(ids, pa.string()),
        "value": pa.array(amounts, pa.string()),
    }
    return table("token_transfers", COLUMNS, moving, values, READERS)


def _moves(one: Executed) -> Iterator[Move]:
    if not one.succeeded:
        return
    yield from _own(one)
    yield from _inside(one)
    for index, log in enumerate(one.info.log, one.first_log):
        if log.topics and log.topics[0] == TRANSFER and (move := _event(log, index)):
            yield move


def _own(one: Executed) -> Iterator[Move]:
    """What the transaction itself sends along."""
    value = one.value
    match one.contract.type:
        case "TransferContract":
            yield from _native(value.owner_address, value.to_address, value.amount)
        case "TransferAssetContract" if value.asset_name:
            token = printable(value.asset_name)
            yield from _native(value.owner_address, value.to_address, value.amount, token)
        case "TriggerSmartContract" | "CreateSmartContract":
            called = value.contract_address or one.info.contract_address
            sun = value.new_contract.call_value if value.new_contract else value.call_value
            yield from _native(value.owner_address, called, sun)
            token = str(value.token_id or "")
            yield from _native(value.owner_address, called, value.call_token_value, token)


def _inside(one: Executed) -> Iterator[Move]:
    """What contracts sent along with the calls they made."""
    for call in one.info.internal_transactions:
        if call.rejected or call.note not in _MOVING_NOTES:
            continue
        for moved in call.call_value_info:
            yield from _native(
                call.caller_address, call.transfer_to_address, moved.call_value, moved.token_id
            )


def _native(
    sender: str | None, receiver: str | None, amount: int | None, token: str = ""
) -> Iterator[Move]:
    if amount is not None and amount > 0:
        standard = "trc10" if token else "trx"
        sender, receiver = _address.each((sender, receiver))
        yield Move(standard, token or TRX, sender, receiver, str(amount))


def _event(log: Log, index: int) -> Move | None:
    """TRC-20 and TRC-721 share the event; TRC-721 indexes its third parameter."""
    if len(log.topics) == 3 and len(log.data) == _WORD:
        standard, token_id, amount = "trc20", None, str(int(log.data, 16))
    elif len(log.topics) == 4 and not log.data:
        standard, token_id, amount = "trc721", str(int(log.topics[3], 16)), "1"
    else:
        return None
    if not all(topic.startswith(_PADDING) for topic in log.topics[1:3]):
        return None
    sender, receiver = (_address.of_log(topic[len(_PADDING) :]) for topic in log.topics[1:3])
    token = _address.of_log(log.address)
    return Move(standard, token, sender, receiver, amount, token_id, index)


DATASET = Dataset(
    name="token_transfers",
    family="tron",
    height_column="block_number",
    columns=COLUMNS,
    key=KEY,
    decode=decode,
)
