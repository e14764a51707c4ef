"""One row per token moved: ERC-20, ERC-721 and ERC-1155, told apart by the shape of their events.

What does not have exactly the shape of its standard is no transfer here and stays in `logs`:
CryptoKitties' Transfer, which indexes nothing, or a word wider than the address it should hold.

Source: EIP-20, EIP-721, EIP-1155.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from chainflow.datasets import _transfers
from chainflow.datasets._rows import pc
from chainflow.datasets.evm import _logs
from chainflow.datasets.evm._hex import decimals
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from chainflow.datasets._rows import Array
    from chainflow.types import RawBlock

# keccak-256 of Transfer(address,address,uint256),
# TransferSingle(address,address,address,uint256,uint256)
# and TransferBatch(address,address,address,uint256[],uint256[]).
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
TRANSFER_SINGLE = "0xc3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62"
TRANSFER_BATCH = "0x4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb"

_WORD = 2 + 64  # characters of an ABI word
_PADDING = "0x" + 24 * "0"  # what an address in a word begins with
_HEAD_BYTES = 2 * 32  # of two arrays: where each begins

KEY = ("block_number", "log_index", "transfer_index")
COLUMNS = _transfers.columns("block_number", KEY)

_EVENT = ("topic0", "topic1", "topic2", "topic3", "data")
# What an event says of a token moved: the row of its log, then columns; numbers as hex.
_MOVED: dict[str, pa.DataType] = {
    "row": pa.int64(),
    "transfer_index": pa.int64(),
    "token_standard": pa.string(),
    "operator_address": pa.string(),
    "from_address": pa.string(),
    "to_address": pa.string(),
    "token_id": pa.string(),
    "value": pa.string(),
}


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The transfers of each block, in the order of their logs.

    Raises:
        MalformedAnswer: A log's quantity is none, or does not fit its column; a log stands in
            another block.
    """
    return derive(_logs.table(blocks))


def derive(logs: pa.Table) -> pa.Table:
    """The transfers that logs are, in their order."""
    events: dict[str, Array] = {name: logs[name].combine_chunks() for name in _EVENT}
    moved = _one_each(events)
    if several := list(_erc1155(events)):
        moved = pa.concat_tables([moved, pa.Table.from_pylist(several, pa.schema(_MOVED))])
        moved = moved.sort_by([("row", "ascending"), ("transfer_index", "ascending")])
    said = {name: moved[name].combine_chunks() for name in _MOVED}
    found = logs.rename_columns(
        ["token_address" if name == "address" else name for name in logs.column_names]
    )
    values = {
        **said,
        "token_id": decimals(said["token_id"]),
        "value": decimals(said["value"]),
    }
    return pa.table(
        {
            c.name: values[c.name] if c.name in values else found[c.name].take(said["row"])
            for c in COLUMNS
        }
    )


def _one_each(events: Mapping[str, Array]) -> pa.Table:
    """ERC-20 and ERC-721, which share an event; ERC-721 indexes its third parameter."""
    rows = pc.indices_nonzero(pc.equal(events["topic0"], TRANSFER)).cast(pa.int64())
    _, sender, receiver, third, data = (events[name].take(rows) for name in _EVENT)
    erc721 = pc.and_(pc.equal(pc.binary_length(third), _WORD), pc.equal(data, "0x"))
    erc721 = pc.fill_null(erc721, False)
    erc20 = pc.and_(pc.is_null(third), pc.equal(pc.binary_length(data), _WORD))
    addresses = pc.and_(_holds_address(sender), _holds_address(receiver))
    moved = {
        "row": rows,
        "transfer_index": pa.repeat(pa.scalar(0, pa.int64()), len(rows)),
        "token_standard": pc.if_else(erc721, "erc721", "erc20"),
        "operator_address": pa.nulls(len(rows), pa.string()),
        "from_address": _address(sender),
        "to_address": _address(receiver),
        "token_id": pc.if_else(erc721, third, pa.scalar(None, pa.string())),
        "value": pc.if_else(erc721, "0x1", data),
    }
    return pa.table(moved).filter(pc.and_(addresses, pc.or_(erc20, erc721)))


def _erc1155(events: Mapping[str, Array]) -> Iterator[dict[str, Any]]:
    """Rows of _MOVED. These are few, so their tokens are read in Python."""
    rows = pc.indices_nonzero(pc.is_in(events["topic0"], pa.array(list(_TOKENS))))
    kind, operator, sender, receiver, data = (events[name].take(rows) for name in _EVENT)
    fits = pc.and_(_holds_address(sender), _holds_address(receiver))
    found = {
        "row": rows,
        "kind": kind,
        "data": data,
        "operator_address": _address(operator),
        "from_address": _address(sender),
        "to_address": _address(receiver),
    }
    for event in pa.table(found).filter(pc.and_(fits, _holds_address(operator))).to_pylist():
        for place, (token_id, value) in enumerate(_TOKENS[event["kind"]](event["data"])):
            yield {
                **event,
                "transfer_index": place,
                "token_standard": "erc1155",
                "token_id": token_id,
                "value": value,
            }


def _pair(data: str) -> list[tuple[str, str]]:
    """The token id and value of a TransferSingle."""
    return [(data[:_WORD], "0x" + data[_WORD:])] if len(data) == 2 * _WORD - 2 else []


def _pairs(data: str) -> list[tuple[str, str]]:
    """The token ids and values of a TransferBatch: two arrays, read as web3's codec reads them."""
    try:
        ids, values = _array(data, 0), _array(data, 1)
    except ValueError:
        return []  # a contract may emit any bytes it likes under this topic
    return list(zip(ids, values, strict=True)) if len(ids) == len(values) else []


def _array(data: str, place: int) -> list[str]:
    """The words of the uint256[] that the data's head tells of at a place.

    Raises:
        ValueError: It tells of none, or the array does not lie within the data.
    """
    offset = _number(data, 32 * place)
    if offset < _HEAD_BYTES:
        raise ValueError(f"an array inside the head: {offset}")
    count = _number(data, offset)
    start = 2 + 2 * (offset + 32)
    stop = start + 64 * count
    if stop > len(data) or len(data) % 2:
        raise ValueError(f"{count} words do not lie within {len(data) // 2} bytes")
    return ["0x" + data[at : at + 64] for at in range(start, stop, 64)]


def _number(data: str, offset: int) -> int:
    """The uint256 at an offset in bytes."""
    word = data[2 + 2 * offset : 2 + 2 * offset + 64]
    if len(word) < 64:
        raise ValueError(f"no word at {offset}")
    return int(word, 16)


def _holds_address(words: Array) -> Array:
    """Whether a topic holds an address and nothing wider."""
    word = pc.equal(pc.binary_length(words), _WORD)
    return pc.fill_null(pc.and_(word, pc.starts_with(words, _PADDING)), False)


def _address(words: Array) -> Array:
    """The addresses in topics that hold some."""
    return pc.binary_replace_slice(words, 2, len(_PADDING), "")


_TOKENS: dict[str, Callable[[str], list[tuple[str, str]]]] = {
    TRANSFER_SINGLE: _pair,
    TRANSFER_BATCH: _pairs,
}

DATASET = Dataset(
    name="token_transfers",
    family="evm",
    height_column="block_number",
    columns=COLUMNS,
    key=KEY,
    decode=decode,
    source="logs",
    derive=derive,
)
