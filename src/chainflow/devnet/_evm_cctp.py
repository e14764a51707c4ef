"""Burns and mints of Circle's protocol that fit together across the simulated EVM chains.

Every few seconds a transfer leaves one chain, and a little later reaches another. Which and how
much follows from its number alone, so each chain tells its own side without knowing the others.

Source: circlefin/evm-cctp-contracts; the contracts are those of chainflow.store.known.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from eth_hash.auto import keccak

from chainflow.devnet._evm_events import TRANSFER, Deed, Event, padded, word
from chainflow.devnet._evm_profiles import profile
from chainflow.store import known

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chainflow.devnet._evm_profiles import Profile

_PERIOD, _DELAY = 5, 15  # seconds from one to the next, and from burn to mint
_FINALITY = 1_000
_SENT = keccak(b"MessageSent(bytes)")
_BURN = {
    1: keccak(
        b"DepositForBurn(uint64,address,uint256,address,bytes32,uint32,bytes32,bytes32)",
    ),
    2: keccak(
        b"DepositForBurn(address,uint256,address,bytes32,uint32,bytes32,bytes32,uint256,uint32,bytes)"
    ),
}
_MINT = {
    1: keccak(b"MintAndWithdraw(address,uint256,address)"),
    2: keccak(b"MintAndWithdraw(address,uint256,address,uint256)"),
}
_RECEIVED = {
    1: keccak(b"MessageReceived(address,uint32,uint64,bytes32,bytes)"),
    2: keccak(b"MessageReceived(address,uint32,bytes32,bytes32,uint32,bytes)"),
}
_NOBODY = bytes(32)


@dataclass(frozen=True, slots=True)
class _Contracts:
    """Of one chain and version."""

    chain_id: int
    domain: int
    messenger: bytes
    transmitter: bytes


@dataclass(frozen=True, slots=True)
class _Transfer:
    """One transfer from `source` to `target`."""

    number: int
    version: int
    source: _Contracts
    target: _Contracts
    depositor: bytes
    recipient: bytes
    amount: int
    fee: int

    def body(self, burn_token: bytes, *, attested: bool) -> bytes:
        """The burn message; Circle fills in the fee and the expiry."""
        parties = padded(burn_token) + padded(self.recipient) + word(self.amount)
        start = (self.version - 1).to_bytes(4, "big") + parties + padded(self.depositor)
        if self.version == 1:
            return start
        filled = word(self.fee) + word(self.number) if attested else bytes(64)
        return start + word(2 * self.fee) + filled

    def message(self, body: bytes) -> bytes:
        """The message as it is sent; only version 1 numbers it then."""
        first = self.version == 1
        domains = (self.version - 1, self.source.domain, self.target.domain)
        return b"".join(
            (
                *(domain.to_bytes(4, "big") for domain in domains),
                self.number.to_bytes(8, "big") if first else bytes(32),
                padded(self.source.messenger),
                padded(self.target.messenger),
                _NOBODY,
                b"" if first else _FINALITY.to_bytes(4, "big") + bytes(4),
                body,
            )
        )


def deeds(chain: Profile, seed: int, after: float, until: float) -> Iterator[tuple[bytes, Deed]]:
    """Senders and deeds of a chain's block whose time is `until`, the one below having `after`."""
    usdc = bytes.fromhex(chain.usdc)
    for number in _numbers(after, until):
        transfer = _transfer(number, seed)
        if transfer.source.chain_id == chain.chain_id:
            yield transfer.depositor, _burned(transfer, usdc)
    for number in _numbers(after - _DELAY, until - _DELAY):
        transfer = _transfer(number, seed)
        if transfer.target.chain_id == chain.chain_id:
            yield transfer.recipient, _minted(transfer, usdc)


def _numbers(after: float, until: float) -> range:
    return range(math.floor(after / _PERIOD) + 1, math.floor(until / _PERIOD) + 1)


@cache
def _contracts(version: int) -> tuple[_Contracts, ...]:
    return tuple(
        _Contracts(
            chain_id=int(row["chain_id"]),
            domain=int(row["domain"]),
            messenger=bytes.fromhex(row["token_messenger"][2:]),
            transmitter=bytes.fromhex(row["message_transmitter"][2:]),
        )
        for row in known.rows("cctp_contract")
        if row["family"] == "evm" and row["cctp_version"] == str(version)
    )


def _transfer(number: int, seed: int) -> _Transfer:
    rng = random.Random(f"cctp/{seed}/{number}")  # noqa: S311 - a simulation
    version = 1 + number % 2
    source, target = rng.sample(_contracts(version), 2)
    return _Transfer(
        number=number,
        version=version,
        source=source,
        target=target,
        depositor=rng.randbytes(20),
        recipient=rng.randbytes(20),
        amount=rng.randrange(10**6, 10**12),
        fee=0 if version == 1 else rng.randrange(1, 1_000),
    )


def _burned(transfer: _Transfer, usdc: bytes) -> Deed:
    depositor, source = padded(transfer.depositor), transfer.source
    message = transfer.message(transfer.body(usdc, attested=False))
    words = [word(transfer.amount), padded(transfer.recipient), word(transfer.target.domain)]
    words += [padded(transfer.target.messenger), _NOBODY]
    if transfer.version == 1:
        topics = (word(transfer.number), padded(usdc), depositor)
    else:
        topics = (padded(usdc), depositor, word(_FINALITY))
        words += [word(2 * transfer.fee), word(7 * 32), _dynamic(b"")]
    events = (
        Event(usdc, (TRANSFER, depositor, _NOBODY), word(transfer.amount)),
        Event(source.transmitter, (_SENT,), word(32) + _dynamic(message)),
        Event(source.messenger, (_BURN[transfer.version], *topics), b"".join(words)),
    )
    return _deed(source.messenger, b"".join(words[:3]), events)


def _minted(transfer: _Transfer, usdc: bytes) -> Deed:
    recipient, target, fee = padded(transfer.recipient), transfer.target, transfer.fee
    burn_token = bytes.fromhex(profile(transfer.source.chain_id).usdc)
    body = transfer.body(burn_token, attested=True)
    nonce = word(transfer.number) if transfer.version == 1 else keccak(word(transfer.number))
    got = word(transfer.amount - fee)
    received: tuple[bytes, ...] = (_RECEIVED[transfer.version], recipient, nonce)
    if transfer.version == 2:
        received += (word(_FINALITY),)
    sender = word(transfer.source.domain) + padded(transfer.source.messenger)
    events = (
        Event(usdc, (TRANSFER, _NOBODY, recipient), got),
        Event(
            target.messenger,
            (_MINT[transfer.version], recipient, padded(usdc)),
            got + (word(fee) if transfer.version == 2 else b""),
        ),
        Event(target.transmitter, received, sender + word(96) + _dynamic(body)),
    )
    return _deed(target.transmitter, body, events)


def _deed(to: bytes, said: bytes, events: tuple[Event, ...]) -> Deed:
    return Deed(to, 0, keccak(to)[:4] + said, 300_000, 160_000, events)


def _dynamic(raw: bytes) -> bytes:
    return word(len(raw)) + raw.ljust(-(-len(raw) // 32) * 32, b"\0")
