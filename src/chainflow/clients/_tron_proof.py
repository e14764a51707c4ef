"""Whether a block and its infos, as a node gave them, are what the chain says they are.

A block's id is the hash of its header, and the header holds the root over its transactions, each
with its signatures and its result: both are computed anew. A transaction's id is the hash of its
`raw_data_hex`; what `raw_data` says beside it is held against it, as far as columns are made of it.
Infos are under no hash: that each belongs to the block and to one of its transactions is all that
can be known (docs/decisions/0081).

Source: tronprotocol/java-tron, BlockCapsule.java, TransactionCapsule.java, core/Tron.proto.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from chainflow.errors import MalformedAnswer, NotYet
from chainflow.wire import _tron_protobuf as protobuf
from chainflow.wire.tron import TransactionInfo, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chainflow.wire.tron import Block, Contract, RawData, RawHeader, Result, Transaction

# Transaction.Result.contractResult and .code, by their numbers.
_CONTRACT_RESULTS = (
    *("DEFAULT", "SUCCESS", "REVERT", "BAD_JUMP_DESTINATION", "OUT_OF_MEMORY"),
    *("PRECOMPILED_CONTRACT", "STACK_TOO_SMALL", "STACK_TOO_LARGE", "ILLEGAL_OPERATION"),
    *("STACK_OVERFLOW", "OUT_OF_ENERGY", "OUT_OF_TIME", "JVM_STACK_OVER_FLOW", "UNKNOWN"),
    *("TRANSFER_FAILED", "INVALID_CODE"),
)
_CODES = ("SUCESS", "FAILED")
_LAST_TIME_MS = 253_402_300_799_999  # in the year 9999
# Where a contract's message has the parameters that become columns, by the contract's type.
_OWNER = {1: "owner_address"}
_CALLED = _OWNER | {2: "contract_address"}
_TOKEN = {5: "call_token_value", 6: "token_id"}
_ASSET = {1: "asset_name", 2: "owner_address", 3: "to_address", 4: "amount"}
_FIELDS: dict[str, dict[int, str]] = {
    "TransferContract": _OWNER | {2: "to_address", 3: "amount"},
    "TransferAssetContract": _ASSET,
    "TriggerSmartContract": _CALLED | _TOKEN | {3: "call_value", 4: "data"},
    "CreateSmartContract": _OWNER | {3: "call_token_value", 4: "token_id"},
    "ParticipateAssetIssueContract": _OWNER | {2: "to_address", 3: "asset_name", 4: "amount"},
    "FreezeBalanceContract": _OWNER | {15: "receiver_address"},
    "UnfreezeBalanceContract": _OWNER | {15: "receiver_address"},
    "DelegateResourceContract": _OWNER | {4: "receiver_address"},
    "UnDelegateResourceContract": _OWNER | {4: "receiver_address"},
    "UpdateSettingContract": _CALLED,
    "UpdateEnergyLimitContract": _CALLED,
    "ClearABIContract": _CALLED,
    "AccountUpdateContract": {2: "owner_address"},
    "SetAccountIdContract": {2: "owner_address"},
    "FreezeBalanceV2Contract": _OWNER,
    "UnfreezeBalanceV2Contract": _OWNER,
    "WithdrawExpireUnfreezeContract": _OWNER,
    "CancelAllUnfreezeV2Contract": _OWNER,
    "WithdrawBalanceContract": _OWNER,
    "VoteWitnessContract": _OWNER,
    "AccountCreateContract": _OWNER,
    "AccountPermissionUpdateContract": _OWNER,
}
_SHARED = frozenset(Value.__struct_fields__) - {"extra", "new_contract"}
_RAW = {1: "ref_block_bytes", 4: "ref_block_hash", 8: "expiration", 10: "data"}
_RAW |= {14: "timestamp", 18: "fee_limit"}


def check_header(block: Block) -> None:
    """Refuse a block whose id is not that of its header.

    Raises:
        MalformedAnswer: What disagrees.
    """
    header = block.header
    if not 0 <= header.timestamp <= _LAST_TIME_MS:
        raise MalformedAnswer(f"a block's time is {header.timestamp} ms")
    if header.number < 0:
        raise MalformedAnswer(f"a block's number is {header.number}")
    found = protobuf.block_id(header.number, _header(header)).hex()
    if found != block.block_id:
        raise MalformedAnswer(
            f"the header's hash gives the id {found}, not {block.block_id}"
            f"{_unknown('header', header.extra)}"
        )


def check_block(block: Block, height: int) -> None:
    """Refuse a block of another height, or one that does not hash to what it says of itself.

    Raises:
        MalformedAnswer: What disagrees, by height and transaction index.
    """
    if block.header.number != height:
        raise MalformedAnswer(f"height {height}: the answer is block {block.header.number}")
    try:
        check_header(block)
        leaves = [_leaf(tx, index) for index, tx in enumerate(block.transactions)]
    except MalformedAnswer as error:
        raise MalformedAnswer(f"height {height}: {error}") from error
    root = protobuf.merkle_root(leaves).hex()
    said = block.header.tx_trie_root or protobuf.NO_ROOT.hex()
    if root != said:
        raise MalformedAnswer(
            f"height {height}: the root over {len(leaves)} transactions is {root}, not {said}"
        )


def matched_infos(block: Block, infos: Sequence[TransactionInfo]) -> list[TransactionInfo]:
    """The infos of a block's transactions, in the order of these.

    Args:
        block: A block that `check_block` let pass.
        infos: What the node says of its height; of the genesis block no node says anything.

    Raises:
        NotYet: The node has the block, and no infos of it yet.
        MalformedAnswer: What disagrees, by height.
    """
    header, sent = block.header, block.transactions
    where = f"height {header.number}"
    if header.number == 0 and not infos:
        return [TransactionInfo(id=tx.tx_id) for tx in sent]
    if sent and not infos:
        raise NotYet(
            f"{where}: no infos for {len(sent)} transactions; a node that keeps no transaction "
            "history never has them"
        )
    by_id = {info.id: info for info in infos}
    if len(infos) != len(sent) or by_id.keys() != {tx.tx_id for tx in sent}:
        raise MalformedAnswer(
            f"{where}: {len(infos)} infos are not those of the {len(sent)} transactions"
        )
    for info in infos:
        if (info.block_number, info.block_timestamp) != (header.number, header.timestamp):
            raise MalformedAnswer(
                f"{where}: the info of {info.id} is of block {info.block_number}, "
                f"time {info.block_timestamp}"
            )
    return [by_id[tx.tx_id] for tx in sent]


def chain_id(genesis: Block) -> int:
    """A network's chain id: the last four bytes of its genesis block's id (TIP-474)."""
    return int(genesis.block_id[-8:], 16)


def _header(header: RawHeader) -> bytes:
    return protobuf.header(
        timestamp=header.timestamp,
        root=_bytes(header.tx_trie_root) or None,
        parent=_bytes(header.parent_hash),
        number=header.number,
        witness=_bytes(header.witness_address) or None,
        version=header.version,
        witness_id=header.witness_id,
        state_root=_bytes(header.account_state_root) or None,
    )


def _leaf(tx: Transaction, index: int) -> bytes:
    """What the block's root holds of a transaction, once its id and `raw_data` are checked."""
    raw = _bytes(tx.raw_data_hex)
    if (found := sha256(raw).hexdigest()) != tx.tx_id:
        raise MalformedAnswer(f"transaction {index}: its hash is {found}, not {tx.tx_id}")
    try:
        wrong = _wrong_field(protobuf.parse(raw), tx.raw_data)
    except ValueError as error:
        raise MalformedAnswer(f"transaction {index}: raw_data_hex: {error}") from error
    if wrong is not None:
        raise MalformedAnswer(f"transaction {index}: {wrong} is not as in raw_data_hex")
    results = [_result(result, index) for result in tx.ret]
    return protobuf.transaction(raw, map(_bytes, tx.signature), results)


def _result(result: Result, index: int) -> bytes:
    code, outcome = result.ret or "SUCESS", result.contract_ret or "DEFAULT"
    if code not in _CODES or outcome not in _CONTRACT_RESULTS:
        raise MalformedAnswer(f"transaction {index}: unknown result {code} {outcome}")
    return protobuf.message(
        (1, result.fee or None),
        (2, _CODES.index(code) or None),
        (3, _CONTRACT_RESULTS.index(outcome) or None),
    )


def _wrong_field(fields: protobuf.Fields, said: RawData) -> str | None:
    """The first field of `raw_data` that says another thing than the message; None is best."""
    contracts = fields.get(11, [])
    if len(contracts) != 1 or len(said.contract) != 1:
        return "the number of contracts, which must be one,"
    if (wrong := _disagreeing(fields, _RAW, said)) is not None:
        return wrong
    (encoded,), (contract,) = contracts, said.contract
    return _wrong_in_contract(protobuf.parse(_message(encoded)), contract)


def _wrong_in_contract(fields: protobuf.Fields, contract: Contract) -> str | None:
    if (_last(fields, 5) or 0) != (contract.permission_id or 0):
        return "Permission_id"
    parameter = protobuf.parse(_message(_last(fields, 2)))
    url = _message(_last(parameter, 1)).decode("utf-8", "replace")
    if url != contract.parameter.type_url:
        return "type_url"
    if not url.endswith(f".{contract.type}"):
        return "type"
    known = _FIELDS.get(contract.type)
    if known is None:
        return None
    return _wrong_parameter(protobuf.parse(_message(_last(parameter, 2))), known, contract)


def _wrong_parameter(
    fields: protobuf.Fields, known: dict[int, str], contract: Contract
) -> str | None:
    said = contract.parameter.value
    if added := [n for n in _SHARED.difference(known.values()) if getattr(said, n) is not None]:
        return min(added)
    if contract.type == "CreateSmartContract":
        made = protobuf.parse(_message(_last(fields, 2)))
        call_value = said.new_contract.call_value if said.new_contract else None
        if (_last(made, 5) or 0) != (call_value or 0):
            return "new_contract.call_value"
    elif said.new_contract is not None:
        return "new_contract"
    return _disagreeing(fields, known, said)


def _disagreeing(fields: protobuf.Fields, known: dict[int, str], said: object) -> str | None:
    """The first of the known fields of which message and struct do not say the same."""
    for number, name in known.items():
        there, here = _last(fields, number), getattr(said, name)
        if isinstance(here, str):
            here = _bytes(here)
        if (there or None) != (here or None):
            return name
    return None


def _last(fields: protobuf.Fields, number: int) -> int | bytes | None:
    """A field's value, the last of several as protobuf has it."""
    return fields[number][-1] if number in fields else None


def _message(value: int | bytes | None) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number stands where a message must")  # noqa: TRY004 - not a type of ours
    return value or b""


def _bytes(text: str | None) -> bytes:
    try:
        return bytes.fromhex(text or "")
    except ValueError as error:
        raise MalformedAnswer(f"{(text or '')[:80]!r} is no whole bytes of hex") from error


def _unknown(what: str, extra: str | None) -> str:
    return f"; the {what} has fields unknown here: {extra[:200]}" if extra else ""
