"""What the transactions of a generated block do: whom they call, and which logs that leaves.

A crude power law picks the parties, so that few hot tokens take most of the traffic; the mix is a
mainnet day's: a fifth plain transfers, a third ERC-20 transfers, a third swaps of many logs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eth_hash.auto import keccak

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

TRANSFER = keccak(b"Transfer(address,address,uint256)")
_APPROVAL = keccak(b"Approval(address,address,uint256)")
_SINGLE = keccak(b"TransferSingle(address,address,address,uint256,uint256)")
_BATCH = keccak(b"TransferBatch(address,address,address,uint256[],uint256[])")
_SWAP2 = keccak(b"Swap(address,uint256,uint256,uint256,uint256,address)")
_SYNC = keccak(b"Sync(uint112,uint112)")
_SWAP3 = keccak(b"Swap(address,address,int256,int256,uint160,uint128,int24)")
_MAXIMUM = (1 << 256) - 1


@dataclass(frozen=True, slots=True)
class Event:
    """A log before it has a place."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Deed:
    """What one transaction asks for and what comes of it; `to` None creates a contract."""

    to: bytes | None
    value: int
    input: bytes
    gas: int
    gas_used: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Cast:
    """The addresses of one chain, the busiest first."""

    usdc: bytes
    people: Sequence[bytes]
    tokens: Sequence[bytes]
    collections: Sequence[bytes]
    pools: Sequence[bytes]
    routers: Sequence[bytes]


def cast(rng: random.Random, usdc: bytes) -> Cast:
    """Invented addresses, and the chain's own USDC."""

    def some(count: int) -> list[bytes]:
        return [rng.randbytes(20) for _ in range(count)]

    return Cast(usdc, some(2000), some(300), some(100), some(400), some(30))


def word(number: int) -> bytes:
    """The number as an ABI word."""
    return number.to_bytes(32, "big")


def padded(address: bytes) -> bytes:
    """The address as an ABI word or an indexed topic."""
    return address.rjust(32, b"\0")


def pick(rng: random.Random, some: Sequence[bytes]) -> bytes:
    """One of them, the first ones much more often."""
    return some[int(len(some) * rng.random() ** 3)]


def deed(rng: random.Random, cast: Cast, sender: bytes) -> Deed:
    """Something that a sender does."""
    return rng.choices(_KINDS, _WEIGHTS)[0](rng, cast, sender)


def _amount(rng: random.Random) -> int:
    dice = rng.random()
    if dice < 0.5:
        return rng.randrange(1, 10**10)
    if dice < 0.98:
        return rng.randrange(1, 10**4) * 10**18 + rng.randrange(10**18)
    return _MAXIMUM if dice > 0.995 else rng.randrange(1 << 200)


def _plain(rng: random.Random, cast: Cast, _: bytes) -> Deed:
    value = rng.randrange(10**14, 10**19)
    return Deed(pick(rng, cast.people), value, b"", 21_000, 21_000, ())


def _erc20(rng: random.Random, cast: Cast, sender: bytes) -> Deed:
    token = cast.usdc if rng.random() < 0.4 else pick(rng, cast.tokens)
    receiver, amount = pick(rng, cast.people), _amount(rng)
    event = Event(token, (TRANSFER, padded(sender), padded(receiver)), word(amount))
    call = bytes.fromhex("a9059cbb") + padded(receiver) + word(amount)
    return Deed(
        token, 0, call, rng.randrange(60_000, 120_000), rng.randrange(34_000, 58_000), (event,)
    )


def _approval(rng: random.Random, cast: Cast, sender: bytes) -> Deed:
    token, router = pick(rng, cast.tokens), pick(rng, cast.routers)
    event = Event(token, (_APPROVAL, padded(sender), padded(router)), word(_MAXIMUM))
    call = bytes.fromhex("095ea7b3") + padded(router) + word(_MAXIMUM)
    return Deed(token, 0, call, 60_000, 46_000 + rng.randrange(500), (event,))


def _swap(rng: random.Random, cast: Cast, sender: bytes) -> Deed:
    events: list[Event] = []
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
        events += _hop(rng, cast, padded(sender))
    call = rng.randbytes(4) + b"".join(word(rng.randrange(1 << 96)) for _ in range(12))
    value = rng.randrange(10**18) if rng.random() < 0.3 else 0
    gas_used = rng.randrange(110_000, 330_000)
    return Deed(pick(rng, cast.routers), value, call, gas_used * 3 // 2, gas_used, tuple(events))


def _hop(rng: random.Random, cast: Cast, sender: bytes) -> list[Event]:
    pool, router = pick(rng, cast.pools), padded(pick(rng, cast.routers))
    paid, got = rng.randrange(1 << 90), rng.randrange(1 << 90)
    events = [
        Event(pick(rng, cast.tokens), (TRANSFER, sender, padded(pool)), word(paid)),
        Event(pick(rng, cast.tokens), (TRANSFER, padded(pool), sender), word(got)),
    ]
    if rng.random() < 0.5:
        swapped = word(paid) + word(0) + word(0) + word(got)
        events.append(Event(pool, (_SYNC,), word(paid) + word(got)))
        events.append(Event(pool, (_SWAP2, router, sender), swapped))
    else:
        price = word(rng.randrange(1 << 160)) + word(rng.randrange(1 << 110)) + word(72_000)
        swapped = word(paid) + word(_MAXIMUM - got) + price
        events.append(Event(pool, (_SWAP3, router, sender), swapped))
    return events


def _erc721(rng: random.Random, cast: Cast, sender: bytes) -> Deed:
    collection, seller = pick(rng, cast.collections), pick(rng, cast.people)
    events = tuple(
        Event(
            collection,
            (TRANSFER, padded(seller), padded(sender), word(rng.randrange(20_000))),
            b"",
        )
        for _ in range(rng.choice((1, 1, 2, 3)))
    )
    call = rng.randbytes(4) + events[0].topics[3] + padded(sender)
    return Deed(collection, 0, call, 200_000, rng.randrange(60_000, 160_000), events)


def _erc1155(rng: random.Random, cast: Cast, sender: bytes) -> Deed:
    collection = pick(rng, cast.collections)
    parties = (padded(sender), padded(sender), padded(pick(rng, cast.people)))
    if rng.random() < 0.5:
        event = Event(collection, (_SINGLE, *parties), word(rng.randrange(1 << 128)) + word(1))
    else:
        count = rng.randrange(4)
        numbers = [word(count), *(word(rng.randrange(1 << 64)) for _ in range(count))]
        arrays = word(64) + word(96 + 32 * count) + b"".join(numbers * 2)
        event = Event(collection, (_BATCH, *parties), arrays)
    return Deed(collection, 0, rng.randbytes(164), 150_000, rng.randrange(50_000, 90_000), (event,))


def _unnamed(rng: random.Random, cast: Cast, _: bytes) -> Deed:
    """A contract whose events nobody knows, one of them without any topic."""
    contract = pick(rng, cast.routers)
    events = tuple(
        Event(contract, tuple(rng.randbytes(32) for _ in range(topics)), rng.randbytes(32 * topics))
        for topics in range(rng.randrange(5))
    )
    return Deed(contract, 0, rng.randbytes(68), 300_000, rng.randrange(25_000, 250_000), events)


def _creation(rng: random.Random, _: Cast, __: bytes) -> Deed:
    code = rng.randbytes(rng.randrange(600, 3_000))
    return Deed(None, 0, code, 3_000_000, rng.randrange(500_000, 1_500_000), ())


_KINDS: tuple[Callable[[random.Random, Cast, bytes], Deed], ...] = (
    _plain,
    _erc20,
    _approval,
    _swap,
    _erc721,
    _erc1155,
    _unnamed,
    _creation,
)
_WEIGHTS = (22, 32, 5, 29, 3, 2, 5, 1)
