"""What the generated blocks of each Cosmos chain look like: ids, addresses, coins, dialects.

Source: cosmos/chain-registry; Circle's list of USDC contracts; ibc-go (denomination traces).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Dialect = Literal["0.34", "0.37", "0.38"]


@dataclass(frozen=True, slots=True)
class Profile:
    """How one chain's blocks differ from another's.

    `fee` is the coin of gas, `usdc` the one most often moved, `other` one that travels with it.
    `dialects` follow each other over the backlog, as if the chain had been upgraded in it. A block
    of a chain with `vote_extensions` begins with one, which is no transaction.
    """

    network: str
    prefix: str
    fee: str
    usdc: str
    other: str
    first: int = 1_000_000
    dialects: tuple[Dialect, ...] = ("0.38",)
    vote_extensions: bool = False
    cctp: bool = False


_PROFILES = (
    Profile(
        "injective-1",
        "inj",
        fee="inj",
        usdc="erc20:0xa00C59fF5a080D2b954d0c75e46E22a0c371235a",
        other="ibc/2CBC2EA121AE42563B08028466F37B600F2D7D4282342DE938283CC3FB2BC00E",
        first=140_000_000,
        dialects=("0.37", "0.38"),
    ),
    Profile(
        "dydx-mainnet-1",
        "dydx",
        fee="adydx",
        usdc="ibc/8E27BA2D5493AF5636760E354E46004562C46AB7EC0CC4C1CA14E9E20E2545B5",
        other="adydx",
        first=75_000_000,
        vote_extensions=True,
    ),
    Profile(
        "noble-1",
        "noble",
        fee="uusdc",
        usdc="uusdc",
        other="ibc/EF48E6B1A1A19F47ECAEA62F5670C37C0580E86A9E88498B7E393EB6F49F33C0",
        first=45_000_000,
        dialects=("0.34", "0.37", "0.38"),
        cctp=True,
    ),
)


def profile(network: str) -> Profile:
    """The chain's profile; for an id not listed, that of a plain chain of that id."""
    unlisted = Profile(network, "cosmos", fee="stake", usdc="uusdc", other="ibc/" + "5C" * 32)
    return next((known for known in _PROFILES if known.network == network), unlisted)
