"""A Tron full node's blocks and transaction infos as structs.

They are protobuf messages printed as JSON: a field that has its default (0, empty) is absent, bytes
are lower-case hex without a prefix, and every number fits 64 bits. Addresses are 21 bytes beginning
with 41, but for those of logs, which lack it. Fields that no struct names are kept, as JSON text,
in `extra`.

Whatever is hex by its meaning is known to be hex: of a header once it is decoded, of the many
transactions and infos once they are columns (`tron_columns`), as a pattern costs a call of Python's
`re` a text.

Source: tronprotocol/java-tron, protocol/src/main/protos/core/Tron.proto and Util.java (which prints
the contracts); tests/data/tron.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, field

from chainflow.wire._extra import Wire, decode, decode_list, strict

Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
HeaderHex = Annotated[str, Meta(pattern=r"^[0-9a-f]*\Z")]
HeaderHash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
# What these must be is asked of a whole column.
Hex = Annotated[str, Meta(description="hex")]
Hash = Annotated[str, Meta(description="64 digits of hex")]
LogAddress = Annotated[str, Meta(description="40 digits of hex")]
# Names of enums and of TRC-10 tokens.
Word = Annotated[str, Meta(description="printable ASCII")]
# The machine has instructions for four.
Topics = Annotated[list[Hash], Meta(max_length=4)]


class Log(Wire, kw_only=True):
    """An event log; Tron gives it no index."""

    address: LogAddress
    topics: Topics = field(default_factory=list)
    data: Hex = ""


class CallValue(Wire, kw_only=True):
    """What a call inside the machine moved: sun, or units of the TRC-10 token named."""

    call_value: Int64 = field(name="callValue", default=0)
    token_id: Word = field(name="tokenId", default="")


class InternalTransaction(Wire, kw_only=True):
    """A call that a contract made; `note` is the hex of its kind."""

    hash: Hash
    caller_address: Hex = ""
    transfer_to_address: Hex = field(name="transferTo_address", default="")
    call_value_info: list[CallValue] = field(name="callValueInfo", default_factory=list)
    note: Hex = ""
    rejected: bool = False


class Receipt(Wire, kw_only=True):
    """The resources that a transaction took; fees are in sun."""

    energy_usage: Int64 | None = None
    energy_fee: Int64 | None = None
    origin_energy_usage: Int64 | None = None
    energy_usage_total: Int64 | None = None
    net_usage: Int64 | None = None
    net_fee: Int64 | None = None
    result: Word | None = None
    energy_penalty_total: Int64 | None = None


class TransactionInfo(Wire, kw_only=True):
    """What executing one transaction did."""

    id: Hash
    block_number: Int64 = field(name="blockNumber", default=0)
    block_timestamp: Int64 = field(name="blockTimeStamp", default=0)
    fee: Int64 | None = None
    contract_result: list[Hex] = field(name="contractResult", default_factory=list)
    contract_address: Hex | None = None
    receipt: Receipt = field(default_factory=Receipt)
    log: list[Log] = field(default_factory=list)
    result: Word | None = None
    res_message: Hex | None = field(name="resMessage", default=None)
    withdraw_amount: Int64 | None = None
    unfreeze_amount: Int64 | None = None
    withdraw_expire_amount: Int64 | None = None
    internal_transactions: list[InternalTransaction] = field(default_factory=list)


class Result(Wire, kw_only=True):
    """How a transaction ended, as the block itself has it."""

    fee: Int64 | None = None
    ret: Word | None = None
    contract_ret: Word | None = field(name="contractRet", default=None)


class NewContract(Wire, kw_only=True):
    """The smart contract that a CreateSmartContract makes."""

    call_value: Int64 | None = None


class Value(Wire, kw_only=True):
    """A contract's parameters, those that several kinds of contract share."""

    owner_address: Hex | None = None
    to_address: Hex | None = None
    contract_address: Hex | None = None
    receiver_address: Hex | None = None
    amount: Int64 | None = None
    asset_name: Hex | None = None
    call_value: Int64 | None = None
    call_token_value: Int64 | None = None
    token_id: Int64 | None = None
    data: Hex | None = None
    new_contract: NewContract | None = None


class Parameter(Wire, kw_only=True):
    """A contract's parameters, and the name of their message."""

    # A `Value`; read apart, as some kind of contract with other parameters is in every block.
    value: msgspec.Raw
    type_url: Word


class Contract(Wire, kw_only=True):
    """What a transaction does; Tron's word for a kind of operation, smart or not."""

    type: Word
    parameter: Parameter
    permission_id: Int64 | None = field(name="Permission_id", default=None)


class RawData(Wire, kw_only=True):
    """What the sender signed; times are Unix milliseconds by the sender's own clock."""

    contract: list[Contract] = field(default_factory=list)
    ref_block_bytes: Hex | None = None
    ref_block_hash: Hex | None = None
    expiration: Int64 | None = None
    timestamp: Int64 | None = None
    fee_limit: Int64 | None = None
    data: Hex | None = None


class Transaction(Wire, kw_only=True):
    """One transaction of a block; `raw_data_hex` is the message that `raw_data` tells of."""

    tx_id: Hash = field(name="txID")
    raw_data: RawData
    raw_data_hex: Hex
    signature: list[Hex] = field(default_factory=list)
    ret: list[Result] = field(default_factory=list)
    contract_address: Hex | None = None


class RawHeader(Wire, kw_only=True):
    """What a block's id is the hash of."""

    number: Int64 = 0
    tx_trie_root: HeaderHash | None = field(name="txTrieRoot", default=None)
    witness_address: HeaderHex | None = None
    parent_hash: HeaderHash = field(name="parentHash")
    version: Int64 | None = None
    timestamp: Int64 = 0
    witness_id: Int64 | None = None
    account_state_root: HeaderHex | None = field(name="accountStateRoot", default=None)


class Header(Wire, kw_only=True):
    """A block's header and its producer's signature."""

    raw_data: RawHeader
    witness_signature: HeaderHex | None = None


class Block(Wire, kw_only=True):
    """A block; an empty one has no transactions."""

    block_id: HeaderHash = field(name="blockID")
    block_header: Header
    transactions: list[Transaction] = field(default_factory=list)

    @property
    def header(self) -> RawHeader:
        """What its id is the hash of."""
        return self.block_header.raw_data


class _Headed(msgspec.Struct):
    blockID: msgspec.Raw  # noqa: N815 - the node's word
    block_header: msgspec.Raw


class _Blocks(msgspec.Struct):
    block: list[msgspec.Raw] = []


_headed = msgspec.json.Decoder(_Headed)
_blocks = msgspec.json.Decoder(_Blocks)


def decode_block(answer: bytes | msgspec.Raw) -> Block:
    """A block with its transactions.

    Raises:
        MalformedAnswer: Not JSON, or a field is missing, of another type or not what it must be;
            the message names its path.
    """
    return decode(Block, answer)


def decode_header(answer: bytes | msgspec.Raw) -> Block:
    """A block without its transactions, whatever it holds; raises as `decode_block`."""
    return decode(Block, msgspec.json.encode(strict(_headed, answer)))


def decode_infos(answer: bytes | msgspec.Raw) -> list[TransactionInfo]:
    """The infos of a block's transactions; raises as `decode_block`.

    For a height at which it knows of none, a node says `[]` or `{}`.
    """
    if bytes(answer[:40]).strip() == b"{}":
        return []
    return decode_list(TransactionInfo, answer)


def blocks(answer: bytes) -> list[msgspec.Raw]:
    """The blocks of a list, each for `decode_block`; raises as that."""
    return strict(_blocks, answer).block
