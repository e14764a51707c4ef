"""A receipt as its chain encodes it, and the bloom of its logs.

Source: EIP-2718, EIP-658; OP stack specification, deposits; CIP-66; Ethereum Yellow Paper, 4.3.1.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

import msgspec

from chainflow.clients import _evm_rlp as rlp
from chainflow.clients._evm_rlp import item, listed, number
from chainflow.clients._evm_transactions import DEPOSIT
from chainflow.clients._keccak import keccak

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chainflow.wire.evm import Log, Receipt

_CIP64 = 0x7B


class _Extra(msgspec.Struct, rename="camel"):
    base_fee: str | None = None


_extra = msgspec.json.Decoder(_Extra)


def rebuilt(receipt: Receipt, kind: int) -> str:
    """What receiptsRoot holds of it, as hex text.

    Raises:
        ValueError: A field is missing, or not hex.
        msgspec.DecodeError: A field of its type is of another form.
    """
    outcome = number(receipt.status) if receipt.root is None else _outcome(receipt)
    logs_bloom = receipt.logs_bloom or f"0x{bloom(words_of(receipt.logs)):0512x}"
    body = listed(
        f"{outcome}{number(receipt.cumulative_gas_used)}{item(logs_bloom)}"
        f"{_logs(receipt.logs)}{_tail(receipt, kind)}"
    )
    return f"{kind:02x}{body}" if kind else body


def bloom(words: set[str]) -> int:
    """The 2048 bits that addresses and topics set, as one number.

    Raises:
        ValueError: An address or topic is not hex.
    """
    if len(_BITS) > _MOST_BITS:
        _BITS.clear()
    for word in words.difference(_BITS):
        _BITS[word] = _bits_of(word)
    return reduce(or_, map(_BITS.__getitem__, words), 0)


def words_of(logs: Iterable[Log]) -> set[str]:
    """What the bloom of logs is of: their addresses and topics."""
    every = list(logs)
    words = {log.address for log in every}
    words.update(*[log.topics for log in every])
    return words


# Hot contracts and event signatures come again from block to block.
_BITS: dict[str, int] = {}
_MOST_BITS = 1 << 14


def _bits_of(word: str) -> int:
    """The three bits, or fewer, of one address or topic."""
    pairs = int.from_bytes(keccak(rlp.encoded(word.removeprefix("0x")))[:6], "big")
    return 1 << (pairs >> 32 & 2047) | 1 << (pairs >> 16 & 2047) | 1 << (pairs & 2047)


def _outcome(receipt: Receipt) -> str:
    """The state root where there is one, as before Byzantium; some nodes show an empty one."""
    if receipt.status is None or receipt.root is None:
        return item(receipt.root)
    return number(receipt.status)


def _logs(logs: list[Log]) -> str:
    return listed("".join([_log(log.address, log.topics, log.data) for log in logs]))


# What stands before 20 bytes, before 32, and before a list of so many topics.
_ADDRESS, _WORD = "94", "a0"
_MOST_TOPICS = 4
_TOPICS = [rlp.list_prefix(33 * count).hex() for count in range(_MOST_TOPICS + 1)]


def _log(address: str, topics: list[str], data: str) -> str:
    """A log, whose address and topics are of one size each, as `wire.evm.Log` has it."""
    if len(topics) > _MOST_TOPICS:
        raise ValueError(f"{len(topics)} topics, more than the EVM allows")
    words = "".join(topics).replace("0x", _WORD)
    return listed(f"{_ADDRESS}{address[2:]}{_TOPICS[len(topics)]}{words}{item(data)}")


def _tail(receipt: Receipt, kind: int) -> str:
    """What two types have after their logs."""
    if kind == DEPOSIT and receipt.deposit_receipt_version is not None:
        return f"{number(receipt.deposit_nonce)}{number(receipt.deposit_receipt_version)}"
    if kind == _CIP64 and receipt.extra is not None:
        base_fee = _extra.decode(receipt.extra).base_fee
        return "" if base_fee is None else number(base_fee)
    return ""
