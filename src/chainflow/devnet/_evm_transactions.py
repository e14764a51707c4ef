"""Transactions and their receipts, as a node shows them and as the chain hashes them.

Hashes and roots are the true ones of what is shown. Signatures are not: r and s are random, so no
sender can be recovered from them. The hash of zkSync's type 0x71 is not made as there.

Source: EIP-2718, 1559, 2930, 4844, 7702; CIP-64; OP stack specification, deposits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from eth_hash.auto import keccak
from rlp.codec import encode_raw

from chainflow.devnet import _evm_events as events
from chainflow.devnet._trie import bloom, minimal

if TYPE_CHECKING:
    import random

ZERO_ADDRESS = bytes(20)
BLOB_GAS = 1 << 17
_CIP64 = 0x7B


@dataclass(slots=True)
class Transaction:
    """One transaction and what became of it.

    Attributes:
        sender: Shown as `from`.
        deed: Target, value, input, gas and events.
        encoded: What transactionsRoot holds; the hash is its keccak unless given.
        shown: The fields beyond those every transaction has.
        receipt_shown: The same for its receipt.
        receipt_tail: What follows the logs in the receipt's encoding.
        rooted: Whether the block's roots and bloom know it.
    """

    type: int
    sender: bytes
    nonce: int
    price: int
    deed: events.Deed
    encoded: bytes
    hash: bytes
    status: int = 1
    shown: dict[str, Any] = field(default_factory=dict)
    receipt_shown: dict[str, Any] = field(default_factory=dict)
    receipt_tail: tuple[bytes, ...] = ()
    rooted: bool = True
    cumulative: int = 0

    @property
    def events(self) -> tuple[events.Event, ...]:
        """Its logs; none if it failed."""
        return self.deed.events if self.status else ()

    def bloom(self) -> int:
        """Bits of its logs."""
        return bloom(item for event in self.events for item in (event.address, *event.topics))

    def encoded_receipt(self) -> bytes:
        """What receiptsRoot holds."""
        logs = [[event.address, list(event.topics), event.data] for event in self.events]
        body = [
            minimal(self.status),
            minimal(self.cumulative),
            self.bloom().to_bytes(256, "big"),
            logs,
            *self.receipt_tail,
        ]
        return _typed(self.type, body)


def signed(
    rng: random.Random,
    *,
    type_: int,
    chain_id: int,
    base_fee: int,
    tip: int,
    sender: bytes,
    deed: events.Deed,
) -> Transaction:
    """A user's transaction of one of the types 0 to 4, 0x7b (Celo) or 0x71 (zkSync)."""
    nonce = rng.randrange(100_000)
    limit = base_fee * 2 + tip
    r, s, parity = rng.getrandbits(255) + 1, rng.getrandbits(254) + 1, rng.randrange(2)
    v = parity + (0 if type_ else 35 + 2 * chain_id)
    shown: dict[str, Any] = {"chainId": hex(chain_id)}
    call: list[Any] = [deed.to or b"", minimal(deed.value), deed.input]
    if type_ < 2:
        fees = [minimal(base_fee + tip)]
    else:
        fees = [minimal(tip), minimal(limit)]
        shown |= {"maxFeePerGas": hex(limit), "maxPriorityFeePerGas": hex(tip)}
    fields: list[Any] = [minimal(nonce), *fees, minimal(deed.gas), *call]
    if type_:
        fields = [minimal(chain_id), *fields, *_more(rng, type_, chain_id, shown)]
        shown["yParity"] = hex(parity)
    shown |= {"v": hex(v), "r": hex(r), "s": hex(s)}
    encoded = _typed(type_, [*fields, minimal(v), minimal(r), minimal(s)])
    made = Transaction(
        type=type_,
        sender=sender,
        nonce=nonce,
        price=base_fee + tip,
        deed=deed,
        encoded=encoded,
        hash=keccak(encoded),
        status=int(rng.random() > 0.02),
        shown=shown,
    )
    if type_ == _CIP64:
        made.receipt_tail = (minimal(base_fee),)
        made.receipt_shown = {"baseFee": hex(base_fee)}
    return made


def unsigned(
    type_: int,
    fields: list[Any],
    *,
    sender: bytes,
    deed: events.Deed,
    nonce: int = 0,
    price: int = 0,
) -> Transaction:
    """A transaction that the chain itself puts into a block, with the encoding of its kind."""
    encoded = _typed(type_, fields)
    shown = {"v": "0x0", "r": "0x0", "s": "0x0"}
    return Transaction(type_, sender, nonce, price, deed, encoded, keccak(encoded), shown=shown)


def _more(rng: random.Random, type_: int, chain_id: int, shown: dict[str, Any]) -> list[Any]:
    """What a typed transaction's encoding has after its input; told in `shown` too."""
    address = rng.randbytes(20)
    keys = [rng.randbytes(32) for _ in range(rng.randrange(3))]
    listed = type_ == 1 or rng.random() < 0.05
    access = [[address, keys]] if listed else []
    named = {"address": hexed(address), "storageKeys": [hexed(key) for key in keys]}
    shown["accessList"] = [named] if listed else []
    if type_ == 3:
        hashes = [b"\x01" + rng.randbytes(31) for _ in range(rng.randrange(1, 5))]
        shown |= {"maxFeePerBlobGas": hex(10**9), "blobVersionedHashes": [hexed(h) for h in hashes]}
        return [access, minimal(10**9), hashes]
    if type_ == 4:
        r, s = rng.getrandbits(255) + 1, rng.getrandbits(254) + 1
        names = ("chainId", "address", "nonce", "yParity", "r", "s")
        given = (hex(chain_id), hexed(address), "0x7", "0x1", hex(r), hex(s))
        shown["authorizationList"] = [dict(zip(names, given, strict=True))]
        return [access, [[minimal(chain_id), address, b"\x07", b"\x01", minimal(r), minimal(s)]]]
    if type_ == _CIP64:
        shown["feeCurrency"] = hexed(address)
        return [access, address]
    return [access]


def _typed(type_: int, fields: list[Any]) -> bytes:
    encoded: bytes = encode_raw(fields)
    return bytes([type_]) + encoded if type_ else encoded


def hexed(given: bytes | None) -> str | None:
    """Bytes as a node writes them."""
    return None if given is None else "0x" + given.hex()
