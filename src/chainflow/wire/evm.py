"""An EVM node's blocks and receipts as structs.

Quantities stay the hex text they came as; datasets turn them into numbers column by column. Fields
that no struct names are kept, as JSON text, in `extra`.

Source: ethereum/execution-apis (Block, Transaction, Receipt, Log); the extras of OP stack, Arbitrum
and Celo nodes as recorded in tests/data/evm.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from chainflow.errors import MalformedAnswer
from chainflow.wire import _extra

ADDRESS, WORD = 42, 66
"""Characters of 20 bytes, and of 32, as hex text."""
Address = Annotated[str, msgspec.Meta(min_length=ADDRESS, max_length=ADDRESS)]
Word = Annotated[str, msgspec.Meta(min_length=WORD, max_length=WORD)]


class Wire(_extra.Wire, rename="camel", kw_only=True):
    """What every struct of this family has: the fields it does not name, as JSON text."""


class Log(Wire, kw_only=True):
    """An event log inside a receipt."""

    address: Address
    topics: list[Word]
    data: str
    log_index: str
    block_hash: str
    block_number: str
    transaction_hash: str | None
    transaction_index: str | None
    block_timestamp: str | None = None
    removed: bool | None = None


class Receipt(Wire, kw_only=True):
    """What executing one transaction did."""

    transaction_hash: str
    transaction_index: str
    block_hash: str
    block_number: str
    from_: str | None = msgspec.field(name="from", default=None)
    to: str | None = None
    cumulative_gas_used: str | None = None
    gas_used: str | None = None
    contract_address: str | None = None
    logs: list[Log]
    logs_bloom: str | None = None
    status: str | None = None
    root: str | None = None
    type: str | None = None
    effective_gas_price: str | None = None
    blob_gas_used: str | None = None
    blob_gas_price: str | None = None
    l1_fee: str | None = None
    l1_gas_used: str | None = None
    l1_gas_price: str | None = None
    l1_fee_scalar: str | None = None
    l1_base_fee_scalar: str | None = None
    l1_blob_base_fee: str | None = None
    l1_blob_base_fee_scalar: str | None = None
    l1_block_number: str | None = None
    gas_used_for_l1: str | None = None
    deposit_nonce: str | None = None
    deposit_receipt_version: str | None = None


class Transaction(Wire, kw_only=True):
    """One transaction of a block; absent fields are None, whatever its type."""

    hash: Word
    transaction_index: str
    block_hash: str
    block_number: str
    from_: str | None = msgspec.field(name="from", default=None)
    to: str | None = None
    nonce: str | None = None
    value: str | None = None
    gas: str | None = None
    gas_price: str | None = None
    input: str | None = None
    type: str | None = None
    chain_id: str | None = None
    max_fee_per_gas: str | None = None
    max_priority_fee_per_gas: str | None = None
    max_fee_per_blob_gas: str | None = None
    blob_versioned_hashes: msgspec.Raw = msgspec.Raw()
    access_list: msgspec.Raw = msgspec.Raw()
    authorization_list: msgspec.Raw = msgspec.Raw()
    v: str | None = None
    r: str | None = None
    s: str | None = None
    y_parity: str | None = None
    block_timestamp: str | None = None
    source_hash: str | None = None
    mint: str | None = None
    is_system_tx: bool | None = None
    fee_currency: str | None = None


class Withdrawal(Wire, kw_only=True):
    """A validator's withdrawal that the block pays out; `amount` is in gwei."""

    index: str
    validator_index: str
    address: str
    amount: str


class Block(Wire, kw_only=True):
    """A block with its full transactions."""

    number: str
    hash: str
    parent_hash: str
    timestamp: str
    nonce: str | None = None
    sha3_uncles: str | None = None
    logs_bloom: str | None = None
    transactions_root: str | None = None
    state_root: str | None = None
    receipts_root: str | None = None
    miner: str | None = None
    mix_hash: str | None = None
    difficulty: str | None = None
    total_difficulty: str | None = None
    size: str | None = None
    extra_data: str | None = None
    gas_limit: str | None = None
    gas_used: str | None = None
    base_fee_per_gas: str | None = None
    withdrawals_root: str | None = None
    blob_gas_used: str | None = None
    excess_blob_gas: str | None = None
    parent_beacon_block_root: str | None = None
    requests_hash: str | None = None
    l1_block_number: str | None = None
    uncles: list[str] = []  # noqa: RUF012 - msgspec copies it
    withdrawals: list[Withdrawal] | None = None
    transactions: list[Transaction]


def decode_block(answer: bytes | msgspec.Raw) -> Block:
    """A block with full transactions.

    Raises:
        MalformedAnswer: Not JSON, or a required field is missing or has another type; the message
            names its path.
    """
    return _extra.decode(Block, answer)


def decode_receipts(answer: bytes | msgspec.Raw) -> list[Receipt]:
    """All receipts of a block, as the node ordered them.

    Raises:
        MalformedAnswer: As `decode_block`.
    """
    return _extra.decode_list(Receipt, answer)


class Answer(msgspec.Struct, gc=False, frozen=True):
    """A call's answer that holds a block, or a block's receipts, and no field unknown to us."""

    id: int
    result: Block | list[Receipt]
    error: None = None


def decode_answers(body: bytes) -> list[Answer] | None:
    """The answers of a batch; None where one is something else, or has a field no struct names."""
    try:
        return _answers.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None


_answers = msgspec.json.Decoder(list[Answer])


def decode_transaction(answer: bytes | msgspec.Raw) -> Transaction:
    """One transaction, as a block holds it or as it is answered alone.

    Raises:
        MalformedAnswer: As `decode_block`.
    """
    return _extra.decode(Transaction, answer)


def quantity(text: str) -> int:
    """The number that a node's hex quantity means.

    Raises:
        MalformedAnswer: It is no `0x` hex number.
    """
    try:
        if text.startswith("0x"):
            return int(text, 16)
    except ValueError:
        pass
    raise MalformedAnswer(f"{text[:80]!r} is not a hex quantity")
