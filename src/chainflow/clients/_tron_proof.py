"""Whether a block and its infos, as a node gave them, are what the chain says they are.

A block's id is the hash of its header, and the header holds the root over its transactions, each
with its signatures and its result: both are computed anew. A transaction's id is the hash of its
`raw_data_hex`; what `raw_data` says beside it is held against it, as far as columns are made of it.
Infos are under no hash: that each belongs to the block and to one of its transactions is all that
can be known (docs/decisions/0081).

Source: tronprotocol/java-tron, BlockCapsule.java, TransactionCapsule.java, core/Tron.proto.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from hashlib import sha256
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from chainflow.errors import MalformedAnswer, NotYet
from chainflow.wire import _tron_messages as messages
from chainflow.wire import _tron_protobuf as protobuf
from chainflow.wire.tron import TransactionInfo, Value
from chainflow.wire.tron_columns import sent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chainflow.wire.tron import Block, RawHeader, Result
    from chainflow.wire.tron_columns import Said

# Transaction.Result.contractResult and .code, by their numbers.
_CONTRACT_RESULTS = (
    *("DEFAULT", "SUCCESS", "REVERT", "BAD_JUMP_DESTINATION", "OUT_OF_MEMORY"),
    *("PRECOMPILED_CONTRACT", "STACK_TOO_SMALL", "STACK_TOO_LARGE", "ILLEGAL_OPERATION"),
    *("STACK_OVERFLOW", "OUT_OF_ENERGY", "OUT_OF_TIME", "JVM_STACK_OVER_FLOW", "UNKNOWN"),
    *("TRANSFER_FAILED", "INVALID_CODE"),
)
_CODES = ("SUCESS", "FAILED")
_LAST_TIME_MS = 253_402_300_799_999  # in the year 9999
_PARAMETERS = frozenset(Value.__struct_fields__) - {"extra", "new_contract"}


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


def check_block(block: Block, height: int) -> Said:
    """What a block's transactions say, as `tron_columns.sent` has it, once that is proven.

    Raises:
        MalformedAnswer: The block is of another height, or does not hash to what it says of itself:
            what disagrees, by height and transaction index.
    """
    if block.header.number != height:
        raise MalformedAnswer(f"height {height}: the answer is block {block.header.number}")
    try:
        check_header(block)
        said = sent(block)
        raws = list(map(_bytes, said["raw_data_hex"]))
        _check_ids(raws, said["tx_id"])
        _check_raw_data(raws, said)
        leaves = map(_leaf, range(len(raws)), raws, said["signature"], said["ret"])
        root = protobuf.merkle_root(list(leaves)).hex()
    except MalformedAnswer as error:
        raise MalformedAnswer(f"height {height}: {error}") from error
    wanted = block.header.tx_trie_root or protobuf.NO_ROOT.hex()
    if root != wanted:
        raise MalformedAnswer(
            f"height {height}: the root over {len(raws)} transactions is {root}, not {wanted}"
        )
    return said


def matched_infos(
    block: Block, ids: Sequence[str], infos: Sequence[TransactionInfo]
) -> Sequence[TransactionInfo]:
    """The infos of a block's transactions, in the order of these.

    Args:
        block: A block that `check_block` let pass.
        ids: Those of its transactions.
        infos: What the node says of its height; of the genesis block no node says anything.

    Raises:
        NotYet: The node has the block, and no infos of it yet.
        MalformedAnswer: What disagrees.
    """
    header = block.header
    if header.number == 0 and not infos:
        return [TransactionInfo(id=one) for one in ids]
    if ids and not infos:
        raise NotYet(
            f"height {header.number}: no infos for {len(ids)} transactions; a node that keeps no "
            "transaction history never has them"
        )
    for info in infos:
        if (info.block_number, info.block_timestamp) != (header.number, header.timestamp):
            raise MalformedAnswer(
                f"the info of {info.id[:80]!r} is of block {info.block_number}, "
                f"time {info.block_timestamp}"
            )
    by_id = {info.id: info for info in infos}
    if len(infos) != len(ids) or by_id.keys() != set(ids):
        raise MalformedAnswer(f"{len(infos)} infos are not those of the {len(ids)} transactions")
    return [by_id[one] for one in ids]


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


def _check_ids(raws: Sequence[bytes], ids: Sequence[str]) -> None:
    found = [sha256(raw).hexdigest() for raw in raws]
    for index, (own, said) in enumerate(zip(found, ids, strict=True)):
        if own != said:
            raise MalformedAnswer(f"transaction {index}: its hash is {own}, not {said[:80]}")


def _leaf(index: int, raw: bytes, signatures: Sequence[str], ret: Iterable[Result]) -> bytes:
    """What the block's root holds of a transaction."""
    try:
        results = [_result(one.fee, one.ret, one.contract_ret) for one in ret]
    except MalformedAnswer as error:
        raise MalformedAnswer(f"transaction {index}: {error}") from error
    return protobuf.transaction(raw, map(_bytes, signatures), results)


# Nearly all are one of a handful.
@lru_cache(maxsize=256)
def _result(fee: int | None, code: str | None, outcome: str | None) -> bytes:
    code, outcome = code or "SUCESS", outcome or "DEFAULT"
    if code not in _CODES or outcome not in _CONTRACT_RESULTS:
        raise MalformedAnswer(f"unknown result {code} {outcome}")
    return protobuf.message(
        (1, fee or None),
        (2, _CODES.index(code) or None),
        (3, _CONTRACT_RESULTS.index(outcome) or None),
    )


def _check_raw_data(raws: Sequence[bytes], said: Said) -> None:
    """Refuse `raw_data` that says another thing than the messages; what is hashed is these."""
    every = range(len(raws))
    found = _parsed("Raw", every, raws)
    for index, one in enumerate(found):
        if len(one.contract) != 1:
            raise _unlike(index, "the number of contracts, which must be one,")
    for name in messages.RAW_DATA:
        _demand(every, found, name, said[f"raw_data.{name}"])
    contracts = [one.contract[0] for one in found]
    _demand(every, contracts, "permission_id", said["contract.permission_id"], "Permission_id")
    parameters = [one.parameter for one in contracts]
    _check_types(parameters, said)
    of_kind: dict[str, list[int]] = defaultdict(list)
    for index, kind in enumerate(said["contract.type"]):
        of_kind[kind].append(index)
    for kind in of_kind.keys() & messages.CONTRACTS.keys():
        rows = of_kind[kind]
        values = _parsed(kind, rows, [parameters[index].value for index in rows])
        _check_values(kind, rows, values, said)


def _check_types(parameters: Sequence[Any], said: Said) -> None:
    pairs = zip(said["parameter.type_url"], said["contract.type"], strict=True)
    for index, (parameter, (url, kind)) in enumerate(zip(parameters, pairs, strict=True)):
        if parameter.type_url != url.encode():
            raise _unlike(index, "type_url")
        if not url.endswith(f".{kind}"):
            raise _unlike(index, "type")


def _check_values(kind: str, rows: Sequence[int], values: Sequence[Any], said: Said) -> None:
    """Of contracts of one kind: what columns are made of is in the messages, and nothing else."""
    known = messages.CONTRACTS[kind].keys()
    for name in sorted(_PARAMETERS - known):
        column = said[f"value.{name}"]
        for index in rows:
            if column[index] is not None:
                raise _unlike(index, name)
    for name in known - {"new_contract"}:
        column = said[f"value.{name}"]
        _demand(rows, values, name, [column[index] for index in rows])
    made = said["value.new_contract"]
    if "new_contract" in known:
        paid = [said["new_contract.call_value"][index] for index in rows]
        contracts = [value.new_contract for value in values]
        _demand(rows, contracts, "call_value", paid, "new_contract.call_value")
    elif there := [index for index in rows if made[index]]:
        raise _unlike(there[0], "new_contract")


def _demand(
    rows: Sequence[int], found: Sequence[Any], name: str, said: Sequence[Any], told: str = ""
) -> None:
    """Refuse the first of some rows of which message and JSON do not say the same of a field."""
    there = list(map(attrgetter(name), found))
    if there and isinstance(there[0], bytes):
        there = [one.hex() for one in there]
        here = [one or "" for one in said]
    else:
        here = [one or 0 for one in said]
    if there != here:
        pairs = zip(rows, there, here, strict=True)
        raise _unlike(next(row for row, one, other in pairs if one != other), told or name)


def _parsed(kind: str, rows: Sequence[int], encoded: Iterable[bytes]) -> list[Any]:
    """Messages of a kind, one each of some rows."""
    parse, found = messages.message(kind).FromString, []
    try:
        for one in encoded:
            found.append(parse(one))
    except DecodeError as error:
        index = rows[len(found)]
        raise MalformedAnswer(f"transaction {index}: raw_data_hex: no {kind}: {error}") from error
    return found


def _unlike(index: int, what: str) -> MalformedAnswer:
    return MalformedAnswer(f"transaction {index}: {what} is not as in raw_data_hex")


def _bytes(text: str | None) -> bytes:
    try:
        return bytes.fromhex(text or "")
    except ValueError as error:
        raise MalformedAnswer(f"{(text or '')[:80]!r} is no whole bytes of hex") from error


def _unknown(what: str, extra: str | None) -> str:
    return f"; the {what} has fields unknown here: {extra[:200]}" if extra else ""
