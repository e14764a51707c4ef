"""Transactions of generated Cosmos blocks, and what executing each made happen.

Source: cosmos/cosmos-sdk, proto/cosmos/tx/v1beta1 and x/bank/types/events.go; circlefin/noble-cctp,
proto/circle/cctp/v1/events.proto.
"""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chainflow.clients._cosmos_hashes import chunk, number, some

if TYPE_CHECKING:
    import random

    from chainflow.devnet._cosmos_profiles import Profile

Event = tuple[str, tuple[tuple[str, str], ...]]
_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_NOBLE_DOMAIN, _ETHEREUM_DOMAIN = 4, 0


@dataclass(frozen=True, slots=True)
class Done:
    """A transaction of a block, and its result."""

    raw: bytes
    events: list[Event]
    code: int = 0
    data: bytes = b""
    log: str = ""
    gas_wanted: int = 0
    gas_used: int = 0

    @property
    def codespace(self) -> str:
        """Whose code it is."""
        return "sdk" if self.code else ""


def address(prefix: str, raw: bytes) -> str:
    """A bech32 address.

    Source: BIP-173.
    """
    bits = "".join(f"{byte:08b}" for byte in raw)
    words = [int(bits[i : i + 5].ljust(5, "0"), 2) for i in range(0, len(bits), 5)]
    spread = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    check = _polymod([*spread, *words, 0, 0, 0, 0, 0, 0]) ^ 1
    words += [check >> 5 * (5 - i) & 31 for i in range(6)]
    return prefix + "1" + "".join(_ALPHABET[word] for word in words)


def cast(profile: Profile, rng: random.Random) -> list[str]:
    """Addresses that appear again and again; the first one collects the fees."""
    return [address(profile.prefix, rng.randbytes(20)) for _ in range(40)]


def moved(sender: str, receiver: str, coins: str) -> list[Event]:
    """What the bank module says when coins are moved."""
    return [
        ("coin_spent", (("spender", sender), ("amount", coins))),
        ("coin_received", (("receiver", receiver), ("amount", coins))),
        ("transfer", (("recipient", receiver), ("sender", sender), ("amount", coins))),
        ("message", (("sender", sender),)),
    ]


def sent(profile: Profile, rng: random.Random, people: list[str]) -> Done:
    """A MsgSend: one coin or two; one in twelve fails after its fee was paid."""
    sender, receiver = rng.sample(people[1:], 2)
    coins = [(profile.usdc, rng.randrange(1, 10 ** rng.randrange(1, 12)))]
    if rng.random() < 0.2 and profile.other != profile.usdc:
        coins.append((profile.other, rng.randrange(1, 10**20)))
    amounts = [some(1, denom.encode()) + chunk(2, b"%d" % amount) for denom, amount in coins]
    message = chunk(1, sender.encode()) + chunk(2, receiver.encode())
    message += b"".join(chunk(3, amount) for amount in amounts)
    url = "/cosmos.bank.v1beta1.MsgSend"
    memo = rng.choice(("", "", "invoice 7", "grüße"))
    text = ",".join(f"{amount}{denom}" for denom, amount in coins)
    events = [*_acting(url, "bank", sender), *moved(sender, receiver, text)]
    return _signed(profile, rng, people, (url, message, sender, memo), events)


def burned(profile: Profile, rng: random.Random, people: list[str], nonce: int) -> Done:
    """A MsgDepositForBurn of Circle's bridge, from Noble to Ethereum."""
    sender, module = rng.choice(people[1:]), people[0]
    amount = rng.randrange(1, 10**12)
    recipient, messenger = bytes(12) + rng.randbytes(20), bytes(12) + rng.randbytes(20)
    url = "/circle.cctp.v1.MsgDepositForBurn"
    body = b"".join(
        (
            chunk(1, sender.encode()),
            chunk(2, b"%d" % amount),
            number(3, _ETHEREUM_DOMAIN),
            chunk(4, recipient),
            chunk(5, profile.usdc.encode()),
        )
    )
    inner = bytes(4) + bytes(12) + rng.randbytes(20) + recipient
    inner += amount.to_bytes(32, "big") + bytes(12) + rng.randbytes(20)
    said = _message(_NOBLE_DOMAIN, _ETHEREUM_DOMAIN, nonce, messenger, inner)
    events = [
        *_acting(url, "cctp", sender),
        *moved(sender, module, f"{amount}{profile.usdc}"),
        ("coin_spent", (("spender", module), ("amount", f"{amount}{profile.usdc}"))),
        ("burn", (("burner", module), ("amount", f"{amount}{profile.usdc}"))),
        _typed("circle.cctp.v1.MessageSent", message=said),
        _typed(
            "circle.cctp.v1.DepositForBurn",
            amount=str(amount),
            burn_token=profile.usdc,
            depositor=sender,
            destination_caller=b"",
            destination_domain=_ETHEREUM_DOMAIN,
            destination_token_messenger=messenger,
            mint_recipient=recipient,
            nonce=str(nonce),
        ),
    ]
    return _signed(profile, rng, people, (url, body, sender, ""), events)


def minted(profile: Profile, rng: random.Random, people: list[str], nonce: int) -> Done:
    """A MsgReceiveMessage of Circle's bridge, from Ethereum to Noble."""
    sender, module, receiver = people[1], people[0], rng.choice(people[2:])
    amount = rng.randrange(1, 10**12)
    coins = f"{amount}{profile.usdc}"
    remote, recipient = bytes(12) + rng.randbytes(20), bytes(12) + rng.randbytes(20)
    inner = bytes(4) + bytes(12) + rng.randbytes(20) + recipient
    inner += amount.to_bytes(32, "big") + bytes(12) + rng.randbytes(20)
    said = _message(_ETHEREUM_DOMAIN, _NOBLE_DOMAIN, nonce, remote, inner)
    url = "/circle.cctp.v1.MsgReceiveMessage"
    body = chunk(1, sender.encode()) + chunk(2, said) + chunk(3, rng.randbytes(130))
    events = [
        *_acting(url, "cctp", sender),
        ("coin_received", (("receiver", module), ("amount", coins))),
        ("coinbase", (("minter", module), ("amount", coins))),
        *moved(module, receiver, coins),
        _typed(
            "circle.cctp.v1.MintAndWithdraw",
            amount=str(amount),
            mint_recipient=recipient,
            mint_token=profile.usdc,
        ),
        _typed(
            "circle.cctp.v1.MessageReceived",
            caller=sender,
            message_body=inner,
            nonce=str(nonce),
            sender=remote,
            source_domain=_ETHEREUM_DOMAIN,
        ),
    ]
    return _signed(profile, rng, people, (url, body, sender, ""), events)


def vote_extension(rng: random.Random) -> Done:
    """What some chains put first in a block: compressed bytes that are no transaction."""
    return Done(
        raw=b"\x28\xb5\x2f\xfd" + rng.randbytes(rng.randrange(40, 400)),
        events=[],
        code=2,
        log="errUnknownField: tx parse error",
    )


def _signed(
    profile: Profile,
    rng: random.Random,
    people: list[str],
    message: tuple[str, bytes, str, str],
    events: list[Event],
) -> Done:
    """The transaction around one message: its fee, its signature, and whether it succeeds."""
    url, body, sender, memo = message
    limit = rng.randrange(80_000, 400_000)
    fee = b"%d" % (limit // 40)
    coin = chunk(1, profile.fee.encode()) + chunk(2, fee)
    signature = rng.randbytes(64)
    whole = b"".join(
        (
            chunk(1, chunk(1, chunk(1, url.encode()) + chunk(2, body)) + some(2, memo.encode())),
            chunk(2, chunk(2, chunk(1, coin) + number(2, limit))),
            chunk(3, signature),
        )
    )
    paid = fee.decode() + profile.fee
    ante: list[Event] = [
        *moved(sender, people[0], paid),
        ("tx", (("fee", paid), ("fee_payer", sender))),
        ("tx", (("acc_seq", f"{sender}/{rng.randrange(10**4)}"),)),
        ("tx", (("signature", b64encode(signature).decode()),)),
    ]
    used = limit * rng.randrange(40, 95) // 100
    if rng.random() < 1 / 12:
        log = "failed to execute message; message index: 0: insufficient funds"
        return Done(whole, ante, code=5, log=log, gas_wanted=limit, gas_used=used)
    answer = chunk(2, chunk(1, url.encode() + b"Response"))
    return Done(whole, [*ante, *events], data=answer, gas_wanted=limit, gas_used=used)


def _message(source: int, destination: int, nonce: int, sender: bytes, body: bytes) -> bytes:
    """A message of the bridge, version 1, which whoever likes may carry over."""
    domains = source.to_bytes(4, "big") + destination.to_bytes(4, "big")
    recipient = b"\x5e" * 32
    return bytes(4) + domains + nonce.to_bytes(8, "big") + sender + recipient + bytes(32) + body


def _acting(url: str, module: str, sender: str) -> list[Event]:
    return [("message", (("action", url), ("sender", sender), ("module", module)))]


def _typed(kind: str, **fields: str | int | bytes) -> Event:
    """An event made of a protobuf message: each value is JSON, bytes are base64 in it."""
    shown = {
        name: b64encode(value).decode() if isinstance(value, bytes) else value
        for name, value in fields.items()
    }
    return kind, tuple((name, json.dumps(value)) for name, value in shown.items())


def _polymod(words: list[int]) -> int:
    check = 1
    for word in words:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ word
        for i, factor in enumerate(_GENERATOR):
            check ^= factor if top >> i & 1 else 0
    return check
