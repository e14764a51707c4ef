"""One row per burn or mint of Circle's cross-chain transfer protocol, versions 1 and 2.

Events are known by their topic alone, so anybody's contract may emit them: `address` and
`transmitter_address` say whose they are, and table chainflow.cctp_contract which are Circle's.

Source: circlefin/evm-cctp-contracts (events of TokenMessenger, TokenMessengerV2, MessageTransmitter
and MessageTransmitterV2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from chainflow.datasets import _cctp
from chainflow.datasets._cctp_pairs import pairs
from chainflow.datasets._rows import pc
from chainflow.datasets.evm import _logs
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chainflow.datasets._cctp import Event
    from chainflow.types import RawBlock

    Row = dict[str, Any]

# keccak-256 of the events' signatures, as the functions below read them.
BURN_V1 = "0x2fa9ca894982930190727e75500a97d8dc500233a5065e0f3126c48fbe0343c0"
BURN_V2 = "0x0c8c1cbdc5190613ebd485511d4e2812cfa45eecb79d845893331fedad5130a5"
MINT_V1 = "0x1b2a7ff080b8cb6ff436ce0372e399692bbfb6d4ae5766fd8d58a7b8cc6142e6"
MINT_V2 = "0x50c55e915134d457debfa58eb6f4342956f8b0616d51a89a3659360178e1ab63"
SENT = "0x8c5261668696ce22758910d05bab8f186d6eb247ceac2af2e82c7dc17669b036"
RECEIVED_V1 = "0x58200b4c34ae05ee816d710053fff3fb75af4395915d3d2a771b24aa10e3cc5d"
RECEIVED_V2 = "0xff48c13eda96b1cceacc6b9edeedc9e9db9d6226afbc30146b720c19d3addb1c"

KEY = ("block_number", "log_index")
COLUMNS = _cctp.columns("block_number", KEY)
_TOPICS = ("topic1", "topic2", "topic3")


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The burns and mints of each block, in the order of their logs.

    Raises:
        MalformedAnswer: A log's quantity is none, or does not fit its column; a log stands in
            another block.
    """
    return derive(_logs.table(blocks))


def derive(logs: pa.Table) -> pa.Table:
    """The burns and mints that logs tell of, in their order."""
    rows = pc.indices_nonzero(pc.is_in(logs["topic0"].combine_chunks(), pa.array(list(_EVENTS))))
    known = logs.take(rows).to_pylist()
    made = pairs(
        range(len(known)),
        transaction=lambda at: (known[at]["block_number"], known[at]["transaction_hash"]),
        read=lambda at: _event(at, known[at]),
        strange=(ValueError, IndexError, OverflowError),
    )
    found = logs.take(rows.take(pa.array([at for at, _ in made], pa.int64())))
    said = _cctp.arrays([said for _, said in made])
    return pa.table({c.name: said[c.name] if c.name in said else found[c.name] for c in COLUMNS})


def _event(row: int, log: Row) -> Event | None:
    topics = [bytes.fromhex(log[name][2:]) for name in _TOPICS if log[name]]
    return _EVENTS[log["topic0"]](row, log, topics, bytes.fromhex(log["data"][2:]))


def _burn(row: int, log: Row, topics: Sequence[bytes], data: bytes) -> Event:
    first = log["topic0"] == BURN_V1
    token, depositor = topics[1:3] if first else topics[:2]
    caller = _word(data, 4)
    more = (
        {"message_nonce": str(int.from_bytes(topics[0], "big"))}
        if first
        else {
            "max_fee": int.from_bytes(_word(data, 5), "big"),
            "min_finality_threshold": _uint32(topics[2]),
            "hook_data": _hex(_bytes(data, 6)) if _bytes(data, 6) else None,
        }
    )
    said = {
        "address": log["address"],
        "token_address": _address(token),
        "from_address": _address(depositor),
        "depositor": _hex(depositor),
        "destination_domain": _uint32(_word(data, 2)),
        "message_recipient": _hex(_word(data, 3)),
        "destination_caller": _hex(caller) if any(caller) else None,
        **more,
    }
    amount = int.from_bytes(_word(data, 0), "big")
    return _cctp.burn(row, 1 if first else 2, amount=amount, recipient=_word(data, 1), said=said)


def _mint(row: int, log: Row, topics: Sequence[bytes], data: bytes) -> Event:
    first = log["topic0"] == MINT_V1
    said = {
        "address": log["address"],
        "token_address": _address(topics[1]),
        "to_address": _address(topics[0]),
    }
    return _cctp.mint(
        row,
        1 if first else 2,
        amount=int.from_bytes(_word(data, 0), "big"),
        fee=None if first else int.from_bytes(_word(data, 1), "big"),
        recipient=topics[0],
        said=said,
    )


def _sent(row: int, log: Row, _: Sequence[bytes], data: bytes) -> Event | None:
    return _cctp.sent(row, log["address"], _bytes(data, 0))


def _received(row: int, log: Row, topics: Sequence[bytes], data: bytes) -> Event | None:
    first = log["topic0"] == RECEIVED_V1
    return _cctp.received(
        row,
        log["address"],
        message_body=_bytes(data, 2),
        source_domain=_uint32(_word(data, 0)),
        sender=_word(data, 1),
        nonce=int.from_bytes(topics[1], "big"),
        caller=_address(topics[0]),
        finality=None if first else _uint32(topics[2]),
    )


def _word(data: bytes, place: int) -> bytes:
    """ABI word number `place`."""
    word = data[32 * place : 32 * place + 32]
    if len(word) < 32:
        raise IndexError("the data end before the word")
    return word


def _bytes(data: bytes, place: int) -> bytes:
    """The ABI bytes whose offset stands in word number `place`."""
    start = int.from_bytes(_word(data, place), "big")
    length = int.from_bytes(data[start : start + 32], "big")
    found = data[start + 32 : start + 32 + length]
    if len(found) < length:
        raise IndexError("the data end before the bytes do")
    return found


def _uint32(word: bytes) -> int:
    number = int.from_bytes(word, "big")
    if number >> 32:
        raise OverflowError("no uint32")
    return number


def _address(word: bytes) -> str:
    if any(word[:12]) or len(word) != 32:
        raise ValueError("no address")
    return _hex(word[12:])


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()


_EVENTS: dict[str, Callable[[int, Row, Sequence[bytes], bytes], Event | None]] = {
    BURN_V1: _burn,
    BURN_V2: _burn,
    MINT_V1: _mint,
    MINT_V2: _mint,
    SENT: _sent,
    RECEIVED_V1: _received,
    RECEIVED_V2: _received,
}

DATASET = Dataset(
    name="cctp_messages",
    family="evm",
    height_column="block_number",
    columns=COLUMNS,
    key=KEY,
    decode=decode,
    source="logs",
    derive=derive,
)
