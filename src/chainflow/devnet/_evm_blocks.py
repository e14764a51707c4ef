"""A whole generated block: transactions, roots, header, hash, and a node's two answers for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from eth_hash.auto import keccak
from rlp.codec import encode_raw

from chainflow.devnet import _evm_events, _evm_stacks, _trie
from chainflow.devnet._evm_transactions import Transaction, hexed, signed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chainflow.devnet._evm_place import Place

_NO_UNCLES = keccak(encode_raw([]))
_TIPS = (0, 10**6, 10**8, 10**9)


@dataclass(frozen=True, slots=True)
class Made:
    """A block as served: results of eth_getBlockByNumber(h, true) and eth_getBlockReceipts(h)."""

    hash: bytes
    block: bytes
    receipts: bytes


def make(place: Place, transactions: int) -> Made:
    """The block of a place, with about that many transactions of users."""
    traits = _evm_stacks.of(place.profile.stack)
    made = [*traits.opening(place), *_users(place, transactions), *traits.closing(place)]
    withdrawals = _withdrawals(place, traits.withdrawals)
    header = _header(place, made, withdrawals)
    encoded = encode_raw(
        [value if isinstance(value, bytes) else _trie.minimal(value) for value in header.values()]
    )
    hash_ = traits.hash(place) if traits.hash else keccak(encoded)
    for transaction in made:
        if not transaction.rooted:
            transaction.hash = _evm_stacks.bor_receipt_hash(place.height, hash_)
    size = len(encoded) + sum(len(transaction.encoded) + 3 for transaction in made)
    block = {
        **{name: _quantity(value) for name, value in header.items()},
        **traits.shown(place),
        "hash": hexed(hash_),
        "size": hex(size),
        "uncles": [],
        "transactions": [_transaction(place, hash_, i, tx) for i, tx in enumerate(made)],
    }
    if withdrawals is not None:
        block["withdrawals"] = [
            {name: _quantity(value) for name, value in one.items()} for one in withdrawals
        ]
    receipts = _receipts(place, hash_, made)
    return Made(hash_, msgspec.json.encode(block), msgspec.json.encode(receipts))


def _users(place: Place, count: int) -> list[Transaction]:
    rng, profile = place.rng, place.profile
    made = []
    types = rng.choices(
        tuple(profile.types),
        tuple(profile.types.values()),
        k=max(0, round(rng.gauss(count, count / 5))),
    )
    for type_ in types:
        sender = rng.choice(place.cast.people)
        deed = _evm_events.deed(rng, place.cast, sender)
        if deed.to is None and type_ in (3, 4):
            type_ = 2  # those two cannot create a contract
        made.append(
            signed(
                rng,
                type_=type_,
                chain_id=profile.chain_id,
                base_fee=place.base_fee,
                tip=rng.choice(_TIPS),
                sender=sender,
                deed=deed,
            )
        )
    made += [
        signed(
            rng,
            type_=2,
            chain_id=profile.chain_id,
            base_fee=place.base_fee,
            tip=rng.choice(_TIPS),
            sender=sender,
            deed=deed,
        )
        for sender, deed in place.bridged
    ]
    return made


def _header(
    place: Place, made: Sequence[Transaction], withdrawals: Sequence[dict[str, Any]] | None
) -> dict[str, int | bytes]:
    """The header's fields in the order in which they are hashed; accumulates the gas on the way."""
    gas_used, bits = 0, 0
    rooted = [transaction for transaction in made if transaction.rooted]
    for transaction in rooted:
        gas_used += transaction.deed.gas_used
        bits |= transaction.bloom()
        transaction.cumulative = gas_used
    header: dict[str, int | bytes] = {
        "parentHash": place.parent,
        "sha3Uncles": _NO_UNCLES,
        "miner": _evm_events.pick(place.rng, place.cast.people),
        "stateRoot": place.rng.randbytes(32),
        "transactionsRoot": _trie.root([transaction.encoded for transaction in rooted]),
        "receiptsRoot": _trie.root([transaction.encoded_receipt() for transaction in rooted]),
        "logsBloom": bits.to_bytes(256, "big"),
        "difficulty": 0,
        "number": place.height,
        "gasLimit": place.profile.gas_limit,
        "gasUsed": gas_used,
        "timestamp": place.time,
        "extraData": b"chainflow devnet",
        "mixHash": place.rng.randbytes(32),
        "nonce": bytes(8),
    }
    own = _evm_stacks.of(place.profile.stack).header(place, rooted)
    if "baseFeePerGas" not in own:  # Avalanche hashes it elsewhere
        header["baseFeePerGas"] = place.base_fee
    header |= own
    if withdrawals:
        header["withdrawalsRoot"] = _trie.root(
            [
                encode_raw([v if isinstance(v, bytes) else _trie.minimal(v) for v in one.values()])
                for one in withdrawals
            ]
        )
    return header


def _withdrawals(place: Place, count: int | None) -> list[dict[str, Any]] | None:
    if count is None:
        return None
    return [
        {
            "index": place.height * count + i,
            "validatorIndex": place.rng.randrange(1_000_000),
            "address": _evm_events.pick(place.rng, place.cast.people),
            "amount": place.rng.randrange(15_000_000, 20_000_000),
        }
        for i in range(count)
    ]


def _quantity(value: int | bytes) -> str | None:
    return hex(value) if isinstance(value, int) else hexed(value)


def _transaction(place: Place, block: bytes, index: int, made: Transaction) -> dict[str, Any]:
    return {
        "blockHash": hexed(block),
        "blockNumber": hex(place.height),
        "from": hexed(made.sender),
        "gas": hex(made.deed.gas),
        "gasPrice": hex(made.price),
        "hash": hexed(made.hash),
        "input": hexed(made.deed.input),
        "nonce": hex(made.nonce),
        "to": hexed(made.deed.to),
        "transactionIndex": hex(index),
        "value": hex(made.deed.value),
        "type": hex(made.type),
        **made.shown,
    }


def _receipts(place: Place, block: bytes, made: Sequence[Transaction]) -> list[dict[str, Any]]:
    receipt_of = _evm_stacks.of(place.profile.stack).receipt
    receipts, logs = [], 0
    for index, transaction in enumerate(made):
        where = {
            "blockHash": hexed(block),
            "blockNumber": hex(place.height),
            "transactionHash": hexed(transaction.hash),
            "transactionIndex": hex(index),
        }
        shown = [
            {
                "address": hexed(event.address),
                "topics": [hexed(topic) for topic in event.topics],
                "data": hexed(event.data),
                **where,
                "blockTimestamp": hex(place.time),
                "logIndex": hex(log_index),
                "removed": False,
            }
            for log_index, event in enumerate(transaction.events, logs)
        ]
        logs += len(shown)
        receipts.append(
            {
                **where,
                "from": hexed(transaction.sender),
                "to": hexed(transaction.deed.to),
                "contractAddress": _created(transaction),
                "cumulativeGasUsed": hex(transaction.cumulative),
                "gasUsed": hex(transaction.deed.gas_used),
                "effectiveGasPrice": hex(transaction.price),
                "logs": shown,
                "logsBloom": hexed(transaction.bloom().to_bytes(256, "big")),
                "status": hex(transaction.status),
                "type": hex(transaction.type),
                **transaction.receipt_shown,
                **receipt_of(place, transaction),
            }
        )
    return receipts


def _created(made: Transaction) -> str | None:
    if made.deed.to is not None:
        return None
    return hexed(keccak(encode_raw([made.sender, _trie.minimal(made.nonce)]))[-20:])
