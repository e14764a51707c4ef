"""Where a generated block is made, and what an EVM stack may have of its own in it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chainflow.devnet import _trie
from chainflow.devnet._evm_transactions import BLOB_GAS, Transaction

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from chainflow.devnet._evm_events import Cast, Deed
    from chainflow.devnet._evm_profiles import Profile

_NO_REQUESTS = hashlib.sha256(b"").digest()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block is being made: everything that its content depends on.

    `bridged` is what Circle's protocol does in it, by sender.
    """

    profile: Profile
    cast: Cast
    rng: random.Random
    height: int
    seconds: float
    parent: bytes
    base_fee: int
    bridged: Sequence[tuple[bytes, Deed]] = ()

    @property
    def time(self) -> int:
        """Its timestamp."""
        return int(self.seconds)

    @property
    def l1_height(self) -> int:
        """Height that Ethereum has about then."""
        return max(0, self.time - 1_500_000_000) // 12


@dataclass(frozen=True, slots=True)
class Traits:
    """One stack's hooks; each default is what a plain post-Cancun chain has."""

    header: Callable[[Place, Sequence[Transaction]], dict[str, int | bytes]]
    opening: Callable[[Place], list[Transaction]] = lambda _: []
    closing: Callable[[Place], list[Transaction]] = lambda _: []
    shown: Callable[[Place], dict[str, Any]] = lambda _: {}
    receipt: Callable[[Place, Transaction], dict[str, Any]] = lambda _, __: {}
    withdrawals: int | None = None
    hash: Callable[[Place], bytes] | None = None


def cancun(place: Place, transactions: Sequence[Transaction]) -> dict[str, int | bytes]:
    """The header fields since Cancun and Prague, in the order in which they are hashed."""
    blobs = sum(len(tx.shown.get("blobVersionedHashes", ())) for tx in transactions)
    return {
        "withdrawalsRoot": _trie.EMPTY_ROOT,
        "blobGasUsed": blobs * BLOB_GAS,
        "excessBlobGas": place.rng.randrange(400) * BLOB_GAS,
        "parentBeaconBlockRoot": place.rng.randbytes(32),
        "requestsHash": _NO_REQUESTS,
    }
