"""The stacks of rollups: OP, Arbitrum Nitro, zkSync Era."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eth_hash.auto import keccak

from chainflow.devnet import _trie
from chainflow.devnet._evm_events import Deed, word
from chainflow.devnet._evm_place import Place, Traits, cancun
from chainflow.devnet._evm_transactions import ZERO_ADDRESS, Transaction, hexed, unsigned

if TYPE_CHECKING:
    from collections.abc import Sequence

# OP stack: the deposit that tells L2 of L1 comes first; withdrawalsRoot is a storage root since
# Isthmus, blobGasUsed the data footprint since Jovian.

_DEPOSITOR = bytes.fromhex("deaddeaddeaddeaddeaddeaddeaddeaddead0001")
_L1_BLOCK = bytes.fromhex("4200000000000000000000000000000000000015")
_FEE_VAULT = bytes.fromhex("4200000000000000000000000000000000000011")


def _op_header(place: Place, transactions: Sequence[Transaction]) -> dict[str, int | bytes]:
    return {
        "miner": _FEE_VAULT,
        "extraData": bytes.fromhex("01000000fa000000020000000000000000"),
        **cancun(place, ()),
        "withdrawalsRoot": place.rng.randbytes(32),
        "blobGasUsed": 40_000 * len(transactions),
        "excessBlobGas": 0,
    }


def _deposit(place: Place) -> list[Transaction]:
    source, nonce = place.rng.randbytes(32), place.height + 3
    told = bytes.fromhex("3db6be2b") + word(place.l1_height) + place.rng.randbytes(160)
    deed = Deed(_L1_BLOCK, 0, told, 1_000_000, 46_000, ())
    fields = [source, _DEPOSITOR, _L1_BLOCK, b"", b"", _trie.minimal(deed.gas), b"", told]
    deposit = unsigned(0x7E, fields, sender=_DEPOSITOR, deed=deed, nonce=nonce)
    deposit.shown |= {
        "sourceHash": hexed(source),
        "mint": "0x0",
        "yParity": "0x0",
        "depositReceiptVersion": "0x1",
    }
    deposit.receipt_tail = (_trie.minimal(nonce), b"\x01")
    deposit.receipt_shown = {"depositNonce": hex(nonce), "depositReceiptVersion": "0x1"}
    return [deposit]


def _l1_fees(place: Place, transaction: Transaction) -> dict[str, Any]:
    own = transaction.type == 0x7E
    return {
        "l1Fee": "0x0" if own else hex(16 * len(transaction.encoded) * 10**5 + place.height % 97),
        "l1GasUsed": "0x0" if own else hex(16 * len(transaction.encoded)),
        "l1GasPrice": hex(577_000_000),
        "l1BaseFeeScalar": "0x8dd",
        "l1BlobBaseFee": "0x1",
        "l1BlobBaseFeeScalar": "0x101c12",
        "operatorFeeScalar": "0x0",
        "operatorFeeConstant": "0x0",
        "daFootprintGasScalar": "0x190",
        "blobGasUsed": "0x0" if own else hex(40_000),
    }


# Arbitrum Nitro: each block opens with an internal transaction; sendRoot and the L1 height stand
# twice, inside the hashed extraData and mixHash, and as keys of their own.

_ARBOS = bytes.fromhex("00000000000000000000000000000000000a4b05")
_SEQUENCER = bytes.fromhex("a4b000000000000000000073657175656e636572")


def _sends(place: Place) -> tuple[int, bytes]:
    return place.height // 2_000, keccak(b"sends" + place.height.to_bytes(8, "big"))


def _nitro_header(place: Place, _: Sequence[Transaction]) -> dict[str, int | bytes]:
    count, sent = _sends(place)
    numbers = (count, place.l1_height, 40, 0)
    return {
        "miner": _SEQUENCER,
        "difficulty": 1,
        "extraData": sent,
        "mixHash": b"".join(number.to_bytes(8, "big") for number in numbers),
        "nonce": (place.height // 100).to_bytes(8, "big"),
    }


def _nitro_shown(place: Place) -> dict[str, Any]:
    count, sent = _sends(place)
    return {
        "l1BlockNumber": hex(place.l1_height),
        "sendCount": hex(count),
        "sendRoot": hexed(sent),
    }


def _start_block(place: Place) -> list[Transaction]:
    call = (
        bytes.fromhex("6bf6a42d") + word(0) + word(place.l1_height) + word(place.height) + word(0)
    )
    fields = [_trie.minimal(place.profile.chain_id), call]
    deed = Deed(_ARBOS, 0, call, 0, 0, ())
    opening = unsigned(0x6A, fields, sender=_ARBOS, deed=deed)
    opening.shown["chainId"] = hex(place.profile.chain_id)
    return [opening]


def _l1_gas(place: Place, transaction: Transaction) -> dict[str, Any]:
    return {
        "gasUsedForL1": hex(transaction.deed.gas_used // 20),
        "l1BlockNumber": hex(place.l1_height),
        "timeboosted": False,
    }


# zkSync Era: all roots are zero, and the block's hash is not that of its header.


def _era_header(_: Place, __: Sequence[Transaction]) -> dict[str, int | bytes]:
    names = ("stateRoot", "transactionsRoot", "receiptsRoot", "mixHash")
    return {"miner": ZERO_ADDRESS, "extraData": b"", **dict.fromkeys(names, bytes(32))}


def _era_hash(place: Place) -> bytes:
    return keccak(b"era" + place.parent + place.height.to_bytes(8, "big"))


def _l1_batch(place: Place) -> dict[str, Any]:
    return {
        "l1BatchNumber": hex(place.height // 100),
        "l1BatchTimestamp": hex(place.time - place.time % 100),
        "totalDifficulty": "0x0",
        "sealFields": [],
    }


def _l2_to_l1(place: Place, _: Transaction) -> dict[str, Any]:
    return {"l1BatchNumber": hex(place.height // 100), "l1BatchTxIndex": "0x0", "l2ToL1Logs": []}


OP = Traits(_op_header, opening=_deposit, receipt=_l1_fees, withdrawals=0)
NITRO = Traits(_nitro_header, opening=_start_block, shown=_nitro_shown, receipt=_l1_gas)
ERA = Traits(_era_header, shown=_l1_batch, receipt=_l2_to_l1, hash=_era_hash)
