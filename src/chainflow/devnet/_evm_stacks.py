"""What sets each EVM stack's blocks apart: header fields, own transactions, odd JSON keys.

The forms are those of late 2026, as nodes of these chains answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eth_hash.auto import keccak

from chainflow.devnet import _evm_rollups, _trie
from chainflow.devnet._evm_events import Deed, Event, padded, word
from chainflow.devnet._evm_place import Place, Traits, cancun
from chainflow.devnet._evm_transactions import (
    BLOB_GAS,
    ZERO_ADDRESS,
    Transaction,
    signed,
    unsigned,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chainflow.devnet._evm_profiles import Stack

_SPRINT = 16  # Bor commits state syncs in the last block of a sprint
_EPOCH_BLOCKS = 600


def of(stack: Stack) -> Traits:
    """The traits of a stack."""
    return _STACKS[stack]


def _blobs(_: Place, transaction: Transaction) -> dict[str, Any]:
    if hashes := transaction.shown.get("blobVersionedHashes"):
        return {"blobGasUsed": hex(len(hashes) * BLOB_GAS), "blobGasPrice": "0x1"}
    return {}


# Polygon Bor: at a sprint's end comes the state sync, which no root knows.


def _bor_header(place: Place, _: Sequence[Transaction]) -> dict[str, int | bytes]:
    return {
        "miner": ZERO_ADDRESS,
        "difficulty": 1,
        "mixHash": bytes(32),
        "extraData": place.rng.randbytes(97),
    }


def _state_sync(place: Place) -> list[Transaction]:
    if place.height % _SPRINT:
        return []
    bridge = bytes.fromhex("0000000000000000000000000000000000001001")
    topics = (keccak(b"StateCommitted(uint256,bool)"), word(place.height // _SPRINT))
    deed = Deed(ZERO_ADDRESS, 0, b"", 0, 0, (Event(bridge, topics, word(1)),))
    sync = unsigned(0, [], sender=ZERO_ADDRESS, deed=deed)
    sync.rooted = False
    return [sync]


def bor_receipt_hash(height: int, block_hash: bytes) -> bytes:
    """Hash of the state-sync transaction of a block."""
    return keccak(b"matic-bor-receipt-" + height.to_bytes(8, "big") + block_hash)


# BNB Parlia: the validator's own transaction comes last, free, with a gas limit near 2^63.

_VALIDATORS = bytes.fromhex("0000000000000000000000000000000000001000")


def _parlia_header(place: Place, transactions: Sequence[Transaction]) -> dict[str, int | bytes]:
    return {
        "miner": place.cast.people[place.height % 21],
        "difficulty": 2,
        "extraData": place.rng.randbytes(97),
        "mixHash": (int(place.seconds * 1000) % 1000).to_bytes(32, "big"),
        **cancun(place, transactions),
        "excessBlobGas": 0,
        "parentBeaconBlockRoot": bytes(32),
    }


def _validator_deposit(place: Place) -> list[Transaction]:
    validator = place.cast.people[place.height % 21]
    call = bytes.fromhex("f340fa01") + padded(validator)
    deed = Deed(_VALIDATORS, place.rng.randrange(10**15), call, (1 << 63) - 1, 9_000, ())
    chain_id = place.profile.chain_id
    last = signed(
        place.rng, type_=0, chain_id=chain_id, base_fee=0, tip=0, sender=validator, deed=deed
    )
    return [last]


# Avalanche: atomic transactions are hashed apart.


def _coreth_header(place: Place, _: Sequence[Transaction]) -> dict[str, int | bytes]:
    return {
        "miner": bytes.fromhex("0100000000000000000000000000000000000000"),
        "difficulty": 1,
        "mixHash": bytes(32),
        "extraData": place.rng.randbytes(24),
        "extDataHash": _trie.EMPTY_ROOT,
        "baseFeePerGas": place.base_fee,
        "extDataGasUsed": 0,
        "blockGasCost": 0,
        "blobGasUsed": 0,
        "excessBlobGas": 0,
        "parentBeaconBlockRoot": bytes(32),
        "timestampMilliseconds": int(place.seconds * 1000),
        "minDelayExcess": 7_970_124,
    }


# Fantom Opera and Sonic: no miner, an epoch, nanoseconds. Opera's hash is that of a Lachesis event.


def _opera_header(_: Place, __: Sequence[Transaction]) -> dict[str, int | bytes]:
    return {"miner": ZERO_ADDRESS, "mixHash": bytes(32), "extraData": b""}


def _sonic_header(place: Place, _: Sequence[Transaction]) -> dict[str, int | bytes]:
    return {
        "miner": ZERO_ADDRESS,
        "extraData": place.rng.randbytes(12),
        "withdrawalsRoot": _trie.EMPTY_ROOT,
        "blobGasUsed": 0,
        "excessBlobGas": 0,
    }


def _epoch(place: Place) -> dict[str, Any]:
    nanoseconds = int(place.seconds * 1000) * 10**6
    return {
        "epoch": hex(place.height // _EPOCH_BLOCKS),
        "timestampNano": hex(nanoseconds),
        "totalDifficulty": "0x0",
    }


def _event_hash(place: Place) -> bytes:
    """An Opera block's hash: epoch, Lamport time, and the rest of the event's own hash."""
    head = (place.height // _EPOCH_BLOCKS, place.height % _EPOCH_BLOCKS)
    seed = keccak(place.parent + place.height.to_bytes(8, "big"))
    return b"".join(number.to_bytes(4, "big") for number in head) + seed[8:]


_STACKS: dict[Stack, Traits] = {
    "mainnet": Traits(cancun, receipt=_blobs, withdrawals=16),
    "op": _evm_rollups.OP,
    "nitro": _evm_rollups.NITRO,
    "bor": Traits(_bor_header, closing=_state_sync, shown=lambda _: {"totalDifficulty": "0x5b764"}),
    "parlia": Traits(
        _parlia_header,
        closing=_validator_deposit,
        shown=lambda place: {"milliTimestamp": hex(int(place.seconds * 1000))},
        receipt=_blobs,
        withdrawals=0,
    ),
    "coreth": Traits(_coreth_header, shown=lambda _: {"blockExtraData": "0x"}),
    "opera": Traits(_opera_header, shown=_epoch, hash=_event_hash),
    "sonic": Traits(_sonic_header, shown=_epoch),
    "era": _evm_rollups.ERA,
}
