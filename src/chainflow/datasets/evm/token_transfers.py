"""One row per token moved: ERC-20, ERC-721 and ERC-1155, told apart by the shape of their events.

What does not have exactly the shape of its standard is no transfer here and stays in `logs`:
CryptoKitties' Transfer, which indexes nothing, or a word wider than the address it should hold.

Source: EIP-20, EIP-721, EIP-1155.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from chainflow.datasets import _transfers
from chainflow.datasets._columns import table
from chainflow.datasets.evm._hex import READERS
from chainflow.datasets.evm._rows import log_indexes, logs
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chainflow.types import RawBlock
    from chainflow.wire.evm import Log

# keccak-256 of Transfer(address,address,uint256),
# TransferSingle(address,address,address,uint256,uint256)
# and TransferBatch(address,address,address,uint256[],uint256[]).
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
TRANSFER_SINGLE = "0xc3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62"
TRANSFER_BATCH = "0x4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb"

_WORD = 2 + 64  # characters of an ABI word
_PADDING = "0x" + 24 * "0"  # what an address in a word begins with

KEY = ("block_number", "log_index", "transfer_index")
COLUMNS = _transfers.columns("block_number", KEY)

# Token standard, place in the log; operator, sender, receiver; token id and value as hex.
# A plain tuple: there is one for every second log of a chain.
Transfer = tuple[str, int, str | None, str, str, str | None, str]


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The transfers of each block, in the order of their logs.

    Raises:
        MalformedAnswer: A quantity is none, or does not fit its column; a log stands in another
            block.
    """
    found = logs(blocks)
    indexes = log_indexes(blocks)
    moved = [
        (row, *one)
        for row, log in enumerate(found.items)
        if log.topics and (read := _EVENTS.get(log.topics[0]))
        for one in read(log)
    ]
    rows, standards, places, operators, senders, receivers, ids, values = (
        zip(*moved, strict=True) if moved else ((),) * 8
    )
    moving = found.take(rows)
    return table(
        "token_transfers",
        COLUMNS,
        moving,
        {
            "transaction_hash": [log.transaction_hash for log in moving.items],
            "transaction_index": [log.transaction_index for log in moving.items],
            "log_index": [indexes[row] for row in rows],
            "transfer_index": pa.array(places, pa.int64()),
            "token_address": [log.address for log in moving.items],
            "token_standard": pa.array(standards, pa.string()),
            "operator_address": operators,
            "from_address": senders,
            "to_address": receivers,
            "token_id": ids,
            "value": values,
        },
        READERS,
    )


def _transfer(log: Log) -> Sequence[Transfer]:
    """ERC-20 and ERC-721 share the event; ERC-721 indexes its third parameter."""
    if len(log.topics) == 3 and len(log.data) == _WORD:
        standard, token_id, value = "erc20", None, log.data
    elif len(log.topics) == 4 and len(log.topics[3]) == _WORD and log.data == "0x":
        standard, token_id, value = "erc721", log.topics[3], "0x1"
    else:
        return ()
    sender, receiver = _address(log.topics[1]), _address(log.topics[2])
    if sender is None or receiver is None:
        return ()
    return ((standard, 0, None, sender, receiver, token_id, value),)


def _single(log: Log) -> Sequence[Transfer]:
    if len(log.data) != 2 * _WORD - 2:
        return ()
    return _erc1155(log, [(log.data[:_WORD], "0x" + log.data[_WORD:])])


def _batch(log: Log) -> Sequence[Transfer]:
    # Most blocks have no batch, and every task is a new process: this import costs 0.8 s.
    from eth_abi import abi
    from eth_abi.exceptions import DecodingError

    try:
        ids, values = abi.decode(("uint256[]", "uint256[]"), bytes.fromhex(log.data[2:]))
    except (DecodingError, ValueError, OverflowError):
        return ()  # a contract may emit any bytes it likes under this topic
    if len(ids) != len(values):
        return ()
    return _erc1155(log, [(hex(i), hex(v)) for i, v in zip(ids, values, strict=True)])


def _erc1155(log: Log, moved: Sequence[tuple[str, str]]) -> Sequence[Transfer]:
    if len(log.topics) != 4:
        return ()
    operator, sender, receiver = map(_address, log.topics[1:])
    if operator is None or sender is None or receiver is None:
        return ()
    return [
        ("erc1155", place, operator, sender, receiver, token_id, value)
        for place, (token_id, value) in enumerate(moved)
    ]


def _address(word: str) -> str | None:
    """The address in a topic, or None if the topic holds something wider."""
    if len(word) != _WORD or not word.startswith(_PADDING):
        return None
    return "0x" + word[len(_PADDING) :]


_EVENTS: dict[str, Callable[[Log], Sequence[Transfer]]] = {
    TRANSFER: _transfer,
    TRANSFER_SINGLE: _single,
    TRANSFER_BATCH: _batch,
}

DATASET = Dataset(
    name="token_transfers",
    family="evm",
    height_column="block_number",
    columns=COLUMNS,
    key=KEY,
    decode=decode,
)
