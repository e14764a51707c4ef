"""Rows of EVM chains, put together to blocks again and proven as blocks from a node are."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from chainflow.clients import _evm_headers as headers
from chainflow.clients import _evm_rlp as rlp
from chainflow.clients._evm_proof import Proof
from chainflow.clients._evm_unproven import UNPROVEN
from chainflow.clients._keccak import keccak
from chainflow.errors import MalformedAnswer
from chainflow.wire import evm as wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from chainflow.audit._rehashed import Again, Read, Row
    from chainflow.types import BlockRange, Chain

_RENAMED = {
    "hash": "transaction_hash",
    "from_": "from_address",
    "to": "to_address",
    "type": "transaction_type",
}
# Where a receipt's price and the address of what was created follow as Ethereum has it.
_ETHEREUM = frozenset({1, 17_000, 560_048, 11_155_111})
_TABLES = ("transactions", "logs", "withdrawals")
_NESTED = ("blob_versioned_hashes", "access_list", "authorization_list")
_TOPICS = ("topic0", "topic1", "topic2", "topic3")
_W = TypeVar("_W", bound=wire.Wire)
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


def rehash(chain: Chain) -> Again:
    """What proves the chain's rows: all that `verify` proves of its blocks."""
    return partial(_failing, Proof(chain), chain.chain_id in _ETHEREUM)


def left_out(chain: Chain) -> str:
    """What the chain's own hashes do not cover, or what of them needs tables that are not kept."""
    if chain.verify == "none":
        return "anything: its entry says `verify: none`"
    follow = "" if chain.chain_id in _ETHEREUM else "gas prices paid, contract addresses, "
    parts = [
        f"what no root holds (senders, {follow}an L2's fees, size, total_difficulty, uncles, extra)"
    ]
    if chain.verify == "hashes":
        parts.append("transactions and receipts (`verify: hashes`)")
    if not {"transactions", "logs"} <= {*chain.datasets}:
        parts.append("receipts and logs, without the tables transactions and logs")
    for one in UNPROVEN.get(chain.chain_id, ()):
        below = "" if one.below is None else f" below {one.below}"
        parts.append(f"{', '.join(sorted(one.parts))}{below}: {one.why}")
    return "; ".join(parts)


def _failing(
    proof: Proof, ethereum: bool, read: Read, blocks: BlockRange
) -> Iterator[tuple[int, str]]:
    found = {name: _by_height(read(name, blocks)) for name in _TABLES}
    for height, (row, *others) in (_by_height(read("blocks", blocks)) or {}).items():
        if others:
            continue  # the block stands there twice, and which of them is right is not known
        sent, logs, paid = (
            None if some is None else some.get(height, []) for some in found.values()
        )
        block = _block(row, [_transaction(one, row) for one in sent or ()], paid or ())
        try:
            receipts = None
            if sent is not None and logs is not None and not headers.settles_others(block):
                receipts = _receipts(sent, logs, row)
            proof.check(
                block,
                receipts,
                height,
                transactions=sent is not None,
                withdrawals=paid is not None,
            )
            if ethereum:
                yield from ((height, text) for one in sent or () for text in _follows(one, row))
        except (MalformedAnswer, ValueError) as error:
            # Its beginning is the height, its end advice on a node's answers.
            message = str(error).removeprefix(f"height {height}: ")
            yield height, message.partition("; if every endpoint")[0]


def _follows(row: Row, block: Row) -> Iterator[str]:
    """What of a transaction's receipt does not follow from the transaction, on Ethereum."""
    price, base = row["gas_price"], block["base_fee_per_gas"]
    if row["max_fee_per_gas"] is not None:
        price = min(row["max_fee_per_gas"], base + row["max_priority_fee_per_gas"])
    created = None
    if row["to_address"] is None:
        maker = rlp.item(row["from_address"]) + rlp.number(hex(row["nonce"]))
        created = "0x" + keccak(rlp.encoded(rlp.listed(maker)))[12:].hex()
    for column, found in (
        ("receipt_effective_gas_price", price),
        ("receipt_contract_address", created),
    ):
        if row[column] not in (None, found):
            at = f"transaction {row['transaction_index']}"
            yield f"{at}: {column} is {row[column]}, but {found} follows"


def _by_height(rows: Sequence[Row] | None) -> dict[int, list[Row]] | None:
    """The rows of each height; None of a table that is not kept."""
    if rows is None:
        return None
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row["block_number"], []).append(row)
    return found


def _block(
    row: Row, transactions: list[wire.Transaction], withdrawals: Sequence[Row]
) -> wire.Block:
    return _struct(
        wire.Block,
        row,
        {},
        number=hex(row["block_number"]),
        hash=row["block_hash"],
        timestamp=hex(row["block_timestamp"] // 1000),
        uncles=[],  # their hash stands in the header
        transactions=transactions,
        withdrawals=[
            _struct(wire.Withdrawal, one, {"index": "withdrawal_index"}) for one in withdrawals
        ],
    )


def _transaction(row: Row, block: Row) -> wire.Transaction:
    nested = {name: msgspec.Raw((row[name] or "").encode()) for name in _NESTED}
    extra = _object.decode(row["extra"] or "{}").get("transaction")
    own = {**_place(row, block), **nested, "extra": _text(extra)}
    return _struct(wire.Transaction, row, _RENAMED, **own)


def _receipts(sent: Sequence[Row], logs: Sequence[Row], block: Row) -> list[wire.Receipt]:
    """The receipt of each transaction; a log of none is in none, which its root then tells."""
    by_transaction: defaultdict[int | None, list[Row]] = defaultdict(list)
    for log in logs:
        by_transaction[log["transaction_index"]].append(log)
    return [_receipt(row, by_transaction[row["transaction_index"]], block) for row in sent]


def _receipt(row: Row, logs: Sequence[Row], block: Row) -> wire.Receipt:
    place = _place(row, block)
    extra = _object.decode(row["extra"] or "{}").get("receipt")
    more = {} if extra is None else _object.decode(extra)
    return _struct(
        wire.Receipt,
        row,
        {name: f"receipt_{name}" for name in wire.Receipt.__struct_fields__},
        **place,
        transaction_hash=row["transaction_hash"],
        # Kept only where it is not the transaction's, as some nodes leave out that of type 0.
        type=msgspec.json.decode(more["type"]) if "type" in more else None,
        from_=row["from_address"],
        extra=_text(extra),
        logs=[_log(log, place) for log in logs],
    )


def _log(row: Row, place: dict[str, Any]) -> wire.Log:
    topics = [row[name] for name in _TOPICS if row[name] is not None]
    if len(row["address"]) != wire.ADDRESS or any(len(topic) != wire.WORD for topic in topics):
        raise ValueError(f"log {row['log_index']}: the address or a topic is not of its size")
    return wire.Log(
        **place,
        address=row["address"],
        topics=topics,
        data=row["data"],
        log_index=hex(row["log_index"]),
        transaction_hash=row["transaction_hash"],
    )


def _place(row: Row, block: Row) -> dict[str, Any]:
    return {
        "block_hash": block["block_hash"],
        "block_number": hex(block["block_number"]),
        "transaction_index": hex(row["transaction_index"]),
    }


def _struct(kind: type[_W], row: Row, renamed: Mapping[str, str], **own: Any) -> _W:  # noqa: ANN401 - of any field
    """The struct that a row was read from, with fields of its own making."""
    columns = {name: renamed.get(name, name) for name in kind.__struct_fields__}
    said = {name: _said(row[column]) for name, column in columns.items() if column in row}
    return kind(**{**said, **own})


def _said(cell: object) -> object:
    """A cell as the node said it: numbers as hex."""
    return hex(cell) if isinstance(cell, int) and not isinstance(cell, bool) else cell


def _text(raw: msgspec.Raw | None) -> str | None:
    return None if raw is None else bytes(raw).decode()
