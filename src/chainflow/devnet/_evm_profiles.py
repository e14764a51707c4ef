"""What the generated blocks of each EVM chain look like: ids, contracts, limits, transaction types.

Source: Circle's list of USDC contracts and the bridges' own; limits and fees as recorded in
2025 and 2026.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Stack = Literal["mainnet", "op", "nitro", "bor", "parlia", "coreth", "opera", "sonic", "era"]
_GWEI = 10**9
_ETHEREUM_TYPES = {0: 27, 1: 3, 2: 66, 3: 3, 4: 1}
_PLAIN_TYPES = {0: 40, 2: 60}


@dataclass(frozen=True, slots=True)
class Profile:
    """How one chain's blocks differ from another's.

    `types` weighs the transaction types; `final_minutes` is how long the chain takes to call a
    block final; `first` is where the simulation starts if no recorded block of it is shipped.
    """

    name: str
    chain_id: int
    stack: Stack
    usdc: str
    first: int = 1_000_000
    types: Mapping[int, int] = field(default_factory=lambda: _PLAIN_TYPES)
    base_fee: int = _GWEI // 100
    gas_limit: int = 45_000_000
    final_minutes: float = 14.0


_PROFILES = (
    Profile(
        "ethereum",
        1,
        "mainnet",
        "a0b86991c6218b36c1d19d4a2e9eb0ce3606eb48",
        types=_ETHEREUM_TYPES,
        base_fee=9 * _GWEI,
        gas_limit=60_000_000,
    ),
    Profile(
        "optimism",
        10,
        "op",
        "0b2c639c533813f4aa9d7837caf62653d097ff85",
        first=150_000_000,
        base_fee=1_161,
        gas_limit=40_000_000,
    ),
    Profile(
        "base",
        8453,
        "op",
        "833589fcd6edb6e08f4c7c32d4f71b54bda02913",
        first=52_000_000,
        base_fee=5_000_000,
        gas_limit=400_000_000,
    ),
    Profile(
        "mantle",
        5000,
        "op",
        "09bc4e0d864854c6afb6eb9a9cdf58ac190d0df9",
        first=95_000_000,
        base_fee=20_000_000,
        gas_limit=200_000_000,
    ),
    Profile(
        "celo",
        42220,
        "op",
        "ceba9300f2b948710d2653dd7b07f33a8b32118c",
        first=52_000_000,
        types={0: 20, 2: 45, 0x7B: 35},
        base_fee=25 * _GWEI,
        gas_limit=30_000_000,
    ),
    Profile(
        "arbitrum",
        42161,
        "nitro",
        "af88d065e77c8cc2239327c5edb3a432268e5831",
        gas_limit=1 << 50,
    ),
    Profile(
        "polygon",
        137,
        "bor",
        "3c499c542cef5e3811e1192ce70d8cc03d5c3359",
        base_fee=30 * _GWEI,
        final_minutes=0.1,
    ),
    Profile(
        "bnb",
        56,
        "parlia",
        "8ac76a51cc950d9822d68b83fe1ad97b32cd580d",
        first=78_000_000,
        types={0: 50, 1: 2, 2: 46, 3: 2},
        base_fee=0,
        gas_limit=75_000_000,
        final_minutes=0.02,
    ),
    Profile(
        "avalanche",
        43114,
        "coreth",
        "b97ef9ef8734c71904d8002f8b6bc66dd9c48a6e",
        first=73_000_000,
        final_minutes=0.0,
    ),
    Profile(
        "fantom",
        250,
        "opera",
        "04068da6c83afcfa0e13ba15a6696662335d5b75",
        base_fee=34 * _GWEI,
        gas_limit=(1 << 48) - 1,
        final_minutes=0.0,
    ),
    Profile(
        "sonic",
        146,
        "sonic",
        "29219dd400f2bf60e5a23d13be72b486d4038894",
        base_fee=50 * _GWEI,
        gas_limit=10**9,
        final_minutes=0.0,
    ),
    Profile(
        "zksync",
        324,
        "era",
        "1d17cbcf0d6d143135ae902365d2e5e2a16538d4",
        first=66_000_000,
        types={0: 15, 2: 60, 0x71: 25},
        base_fee=45_250_000,
        gas_limit=(1 << 32) - 1,
    ),
)


def profile(chain_id: int, name: str = "") -> Profile:
    """The chain's profile; for an id not listed, that of a plain post-Cancun chain of that name."""
    unlisted = Profile(name, chain_id, "mainnet", f"{chain_id:040x}", types=_ETHEREUM_TYPES)
    return next((known for known in _PROFILES if known.chain_id == chain_id), unlisted)
