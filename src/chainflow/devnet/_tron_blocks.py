"""One generated Tron block and its infos, as a full node prints them.

Ids, the transactions' root and the block's id are the true ones of what is shown. Signatures and
the producers' are random bytes, so no signer can be recovered from them.

Source: tronprotocol/java-tron, core/Tron.proto and core/contract/*.proto.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from chainflow.devnet import _tron_contracts as contracts
from chainflow.wire import _tron_protobuf as protobuf

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from chainflow.devnet._tron_contracts import Cast, Deed

_VERSION = 34
_EMPTY = 0.05  # of the blocks hold no transaction
_RESULTS = {"SUCCESS": 1, "REVERT": 2, "OUT_OF_ENERGY": 10}


class Made(NamedTuple):
    """A block's id, and the JSON of the block and of its infos."""

    hash: bytes
    block: bytes
    infos: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block stands, and what it is made of."""

    cast: Cast
    rng: random.Random
    height: int
    time_ms: int
    parent: bytes


class _Transaction(NamedTuple):
    shown: dict[str, Any]
    info: dict[str, Any]
    leaf: bytes


def make(place: Place, transactions: int) -> Made:
    """The block at a place, with about that many transactions; now and then it is empty."""
    rng = place.rng
    count = 0 if rng.random() < _EMPTY else max(1, round(rng.gauss(transactions, transactions / 5)))
    made = [_transaction(place, contracts.deed(rng, place.cast)) for _ in range(count)]
    root = protobuf.merkle_root([one.leaf for one in made])
    witness = place.cast.witnesses[place.height % len(place.cast.witnesses)]
    header = protobuf.header(
        timestamp=place.time_ms,
        root=root,
        parent=place.parent,
        number=place.height,
        witness=witness,
        version=_VERSION,
    )
    id_ = protobuf.block_id(place.height, header)
    shown: dict[str, Any] = {
        "blockID": id_.hex(),
        "block_header": {
            "raw_data": {
                "number": place.height,
                "txTrieRoot": root.hex(),
                "witness_address": witness.hex(),
                "parentHash": place.parent.hex(),
                "version": _VERSION,
                "timestamp": place.time_ms,
            },
            "witness_signature": rng.randbytes(65).hex(),
        },
    }
    if made:
        shown["transactions"] = [one.shown for one in made]
    infos = msgspec.json.encode([one.info for one in made])
    return Made(id_, msgspec.json.encode(shown), infos)


def genesis() -> Made:
    """Block 0 of Tron's main network, put together from the configuration that all nodes have.

    Source: tronprotocol/java-tron, framework/src/main/resources/config.conf and
    BlockUtil.newGenesisBlockCapsule; its id is known to be ...2b6653dc.
    """
    parent = "e58f33f9baf9305dc6f82b9f1934ea8f0ade2defb951258d50167028c780351f"
    witness = (
        b"A new system must allow existing systems to be linked together without requiring any "
        b"central control or coordination"
    )
    made = [_allotted(account, amount) for account, amount in contracts.GENESIS]
    root = protobuf.merkle_root([leaf for _, leaf in made])
    header = protobuf.header(
        timestamp=0,
        root=root,
        parent=bytes.fromhex(parent),
        number=0,
        witness=witness,
        version=None,
    )
    id_ = protobuf.block_id(0, header)
    raw_data = {"txTrieRoot": root.hex(), "witness_address": witness.hex(), "parentHash": parent}
    shown = {
        "blockID": id_.hex(),
        "block_header": {"raw_data": raw_data},
        "transactions": [one for one, _ in made],
    }
    return Made(id_, msgspec.json.encode(shown), b"{}")


def _allotted(account: bytes, amount: int) -> tuple[dict[str, Any], bytes]:
    """A transaction of the genesis block, shown and as the root has it: unsigned, no result."""
    owner = b"0x000000000000000000000"
    shown: dict[str, Any] = {"owner_address": owner.hex(), "to_address": account.hex()}
    value = protobuf.message((1, owner), (2, account), (3, amount or None))
    if amount:
        shown["amount"] = amount
    raw, raw_shown = _raw("TransferContract", value, shown, ())
    return _signed(raw, raw_shown, {}), protobuf.transaction(raw, (), ())


def _transaction(place: Place, deed: Deed) -> _Transaction:
    rng = place.rng
    reference = (place.height - 1).to_bytes(8, "big")[6:]
    fields: list[tuple[int, str, int | bytes | None]] = [
        (1, "ref_block_bytes", reference),
        (4, "ref_block_hash", place.parent[8:16]),
        (8, "expiration", place.time_ms + 57_000),
        (10, "data", deed.memo or None),
        (14, "timestamp", place.time_ms - rng.randrange(500, 3_500)),
        (18, "fee_limit", deed.fee_limit or None),
    ]
    raw, raw_shown = _raw(deed.type, deed.encoded, deed.shown, fields)
    signature = rng.randbytes(65)
    result = protobuf.message((3, _RESULTS[deed.result]))
    rest = {"ret": [{"contractRet": deed.result}], "signature": [signature.hex()]}
    shown = _signed(raw, raw_shown, rest)
    info = {
        "id": shown["txID"],
        "blockNumber": place.height,
        "blockTimeStamp": place.time_ms,
        **deed.info,
    }
    return _Transaction(shown, info, protobuf.transaction(raw, [signature], [result]))


def _raw(
    kind: str,
    value: bytes,
    shown: dict[str, Any],
    fields: Sequence[tuple[int, str, int | bytes | None]],
) -> tuple[bytes, dict[str, Any]]:
    """The message that is signed, and what a node shows of it."""
    url = f"type.googleapis.com/protocol.{kind}"
    parameter = protobuf.message((1, url.encode()), (2, value))
    contract = protobuf.message((1, contracts.TYPES[kind] or None), (2, parameter))
    numbered = [(number, given) for number, _, given in fields]
    raw = protobuf.message(*sorted([*numbered, (11, contract)], key=lambda field: field[0]))
    told = {
        name: given.hex() if isinstance(given, bytes) else given
        for _, name, given in fields
        if given is not None
    }
    contract_shown = {"parameter": {"value": shown, "type_url": url}, "type": kind}
    return raw, {"contract": [contract_shown], **told}


def _signed(raw: bytes, raw_shown: dict[str, Any], rest: dict[str, Any]) -> dict[str, Any]:
    id_ = sha256(raw).hexdigest()
    return {**rest, "txID": id_, "raw_data": raw_shown, "raw_data_hex": raw.hex()}
