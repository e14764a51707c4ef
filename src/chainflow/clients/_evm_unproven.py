"""The chains whose blocks cannot be proven by what a node shows of them: what of it, and why.

A chain that is not here is proven by Ethereum's rules, with the forms of OP stack, Arbitrum,
Avalanche and Celo besides; if its nodes' blocks fail those, the chain's `verify` must say less.

Source: the recordings in tests/data/evm where one is named; subsquid/squid-sdk,
evm/evm-rpc/src/chain-utils.ts, for chains that are in no registry of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Part = Literal["header", "transactions", "receipts", "bloom"]

# Their state-sync transactions were in no root and no bloom before PIP-74.
STATE_SYNC_CHAINS = frozenset({137, 80002, 109})

# Below it a receipt is hashed with a state root, which not every node keeps.
BYZANTIUM: Mapping[int | str | None, int] = {1: 4_370_000}


@dataclass(frozen=True, slots=True)
class Unproven:
    """Parts of a chain's blocks, up to, not including, height `below`, that prove nothing."""

    parts: frozenset[Part]
    why: str
    below: int | None = None


_ROOTS: frozenset[Part] = frozenset({"transactions", "receipts"})
_OPERA = Unproven(
    frozenset({"header"}),
    "an Opera block's hash is that of a Lachesis event (recorded: fantom 2)",
)
_ERA = Unproven(
    frozenset({"header", "transactions", "receipts", "bloom"}),
    "ZKsync Era hashes no header, all roots are zero, and so is the bloom on some nodes (recorded:"
    " zksync 35533; matter-labs/zksync-era#4580, across-protocol/relayer#1789)",
)
_TEMPO = Unproven(frozenset({"header"}), "Tempo's header holds Ethereum's as a part of its own")
_HYPER = Unproven(
    frozenset({"transactions", "receipts", "bloom"}),
    "HyperEVM's system transactions are outside of roots and bloom",
)

UNPROVEN: Mapping[int | str | None, tuple[Unproven, ...]] = {
    25: (
        Unproven(
            frozenset({"transactions", "receipts", "bloom"}),
            "Cronos' early blocks hold phantom transactions and bits of others' logs",
            below=20_000_000,
        ),
    ),
    42161: (
        Unproven(
            _ROOTS,
            "Arbitrum's classic blocks have roots of another making",
            below=22_207_817,
        ),
    ),
    42220: (
        Unproven(
            frozenset({"header", "transactions", "receipts", "bloom"}),
            "Celo's L1 hashed a header of its own without the seal's aggregate, and a receipt of"
            " the block's own",
            below=31_056_500,
        ),
    ),
    295: (
        Unproven(
            frozenset({"header", "transactions", "receipts", "bloom"}),
            "Hedera's relay makes its blocks up: they have empty roots",
        ),
    ),
    250: (_OPERA,),
    4002: (_OPERA,),
    324: (_ERA,),
    300: (_ERA,),
    998: (_HYPER,),
    999: (_HYPER,),
    4217: (_TEMPO,),
    42429: (_TEMPO,),
    42431: (_TEMPO,),
}
"""By chain id. Avalanche since Helicon is told by its header (`_evm_headers.settles_others`)."""
