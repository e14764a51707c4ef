"""What happens on a simulated Tron: transfers of TRX, TRC-10 and stablecoins, swaps, staking."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chainflow.wire import _tron_protobuf as protobuf

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

TYPES = {
    "TransferContract": 1,
    "TransferAssetContract": 2,
    "VoteWitnessContract": 4,
    "CreateSmartContract": 30,
    "TriggerSmartContract": 31,
    "DelegateResourceContract": 57,
}
USDT = bytes.fromhex("41a614f803b6fd780986a42c78ec9c7f77e6ded13c")
USDC = bytes.fromhex("413487b63d30b5b2c87fb7ffa8bcfade38eaac1abe")
# Who had what in the beginning: Zion, Sun, Blackhole.
GENESIS = (
    (bytes.fromhex("4171b0af54e0a1182a5e0947d6a64f3b22740ef318"), 99_000_000_000_000_000),
    (bytes.fromhex("41ef1bd15b5b657f69611b053a6f4fcd7268a50858"), 0),
    (bytes.fromhex("4177944d19c052b73ee2286823aa83f8138cb7032f"), -(2**63)),
)
_TRANSFER = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
_SWAP = "d78ad95fa46c994b6551d0da85fc275fe613ce37657fb8d5e3d130840159d822"
_ASSETS = ("1002000", "1000016", "1004031")
_FEE_LIMIT = 150_000_000


@dataclass(frozen=True, slots=True)
class Cast:
    """The accounts of one simulated network; addresses of 21 bytes."""

    people: tuple[bytes, ...]
    witnesses: tuple[bytes, ...]
    exchanges: tuple[bytes, ...]


@dataclass(slots=True)
class Deed:
    """What one transaction does: its contract, encoded and shown, and what its info tells."""

    type: str
    encoded: bytes
    shown: dict[str, Any]
    info: dict[str, Any]
    result: str = "SUCCESS"
    fee_limit: int = 0
    memo: bytes = field(default=b"")


def cast(rng: random.Random) -> Cast:
    """Its people, the 27 who make blocks, and some contracts that swap."""

    def some(count: int) -> tuple[bytes, ...]:
        return tuple(b"\x41" + rng.randbytes(20) for _ in range(count))

    return Cast(people=some(400), witnesses=some(27), exchanges=some(4))


def deed(rng: random.Random, cast: Cast) -> Deed:
    """Something that somebody does, about as often as on the main network."""
    return rng.choices(_DOERS, _WEIGHTS)[0](rng, cast)


def _trx(rng: random.Random, cast: Cast) -> Deed:
    sender, receiver = rng.sample(cast.people, 2)
    amount = rng.randrange(1, 10**10)
    encoded = protobuf.message((1, sender), (2, receiver), (3, amount))
    shown = {
        "amount": amount,
        "owner_address": sender.hex(),
        "to_address": receiver.hex(),
    }
    memo = b"thank you" if rng.random() < 0.05 else b""
    return Deed("TransferContract", encoded, shown, _bandwidth(rng), memo=memo)


def _asset(rng: random.Random, cast: Cast) -> Deed:
    sender, receiver = rng.sample(cast.people, 2)
    asset, amount = rng.choice(_ASSETS).encode(), rng.randrange(1, 10**9)
    encoded = protobuf.message((1, asset), (2, sender), (3, receiver), (4, amount))
    shown = {
        "amount": amount,
        "asset_name": asset.hex(),
        "owner_address": sender.hex(),
        "to_address": receiver.hex(),
    }
    return Deed("TransferAssetContract", encoded, shown, _bandwidth(rng))


def _usdt(rng: random.Random, cast: Cast) -> Deed:
    return _token(rng, cast, USDT)


def _usdc(rng: random.Random, cast: Cast) -> Deed:
    return _token(rng, cast, USDC)


def _token(rng: random.Random, cast: Cast, token: bytes) -> Deed:
    """A TRC-20 transfer; one in twenty finds too little energy, or too few tokens."""
    sender, receiver = rng.sample(cast.people, 2)
    amount = rng.randrange(1, 10**11)
    call = bytes.fromhex("a9059cbb") + _word(receiver[1:]) + amount.to_bytes(32, "big")
    done = _call(rng, sender, token, call)
    fate = rng.random()
    if fate < 0.03:
        return _failed(done, "OUT_OF_ENERGY", b"Not enough energy for 'SSTORE' operation executing")
    if fate < 0.05:
        return _failed(done, "REVERT", b"REVERT opcode executed")
    done.info["log"] = [_transferred(token, sender, receiver, amount)]
    return done


def _swap(rng: random.Random, cast: Cast) -> Deed:
    """TRX sent to a contract, which sends USDT to the caller and a part of the TRX on."""
    sender, other = rng.sample(cast.people, 2)
    exchange = rng.choice(cast.exchanges)
    sun, amount = rng.randrange(10**6, 10**10), rng.randrange(10**5, 10**9)
    call = bytes.fromhex("fb3bdb41") + amount.to_bytes(32, "big")
    done = _call(rng, sender, exchange, call, sun)
    event = {
        "address": exchange[1:].hex(),
        "topics": [_SWAP],
        "data": sun.to_bytes(32, "big").hex(),
    }
    done.info["log"] = [_transferred(USDT, exchange, sender, amount), event]
    moved: list[dict[str, Any]] = [{"callValue": sun // 3}]
    if rng.random() < 0.2:
        moved.append({"callValue": rng.randrange(1, 1000), "tokenId": rng.choice(_ASSETS)})
    done.info["internal_transactions"] = [
        _internal(rng, exchange, exchange, [{}]),
        _internal(rng, exchange, other, moved),
        {**_internal(rng, exchange, other, [{"callValue": 7}]), "rejected": True},
    ]
    return done


def _delegate(rng: random.Random, cast: Cast) -> Deed:
    sender, receiver = rng.sample(cast.people, 2)
    balance = rng.randrange(1, 10**10)
    encoded = protobuf.message((1, sender), (2, 1), (3, balance), (4, receiver))
    shown = {
        "balance": balance,
        "resource": "ENERGY",
        "receiver_address": receiver.hex(),
        "owner_address": sender.hex(),
    }
    return Deed("DelegateResourceContract", encoded, shown, _bandwidth(rng))


def _vote(rng: random.Random, cast: Cast) -> Deed:
    sender, witness, votes = rng.choice(cast.people), rng.choice(cast.witnesses), rng.randrange(99)
    vote = protobuf.message((1, witness), (2, votes or None))
    encoded = protobuf.message((1, sender), (2, vote))
    shown = {
        "owner_address": sender.hex(),
        "votes": [{"vote_address": witness.hex(), **({"vote_count": votes} if votes else {})}],
    }
    return Deed("VoteWitnessContract", encoded, shown, _bandwidth(rng))


def _create(rng: random.Random, cast: Cast) -> Deed:
    sender, made = rng.choice(cast.people), b"\x41" + rng.randbytes(20)
    code, sun = rng.randbytes(200), rng.choice((0, 1_000_000))
    contract = protobuf.message((1, sender), (4, code), (5, sun or None), (7, b"Thing"))
    encoded = protobuf.message((1, sender), (2, contract))
    new: dict[str, Any] = {
        "bytecode": code.hex(),
        "name": "Thing",
        "origin_address": sender.hex(),
        **({"call_value": sun} if sun else {}),
    }
    shown = {"owner_address": sender.hex(), "new_contract": new}
    info = {**_energy(rng), "contract_address": made.hex(), "contractResult": [code[:32].hex()]}
    return Deed("CreateSmartContract", encoded, shown, info, fee_limit=_FEE_LIMIT)


def _call(rng: random.Random, sender: bytes, called: bytes, call: bytes, sun: int = 0) -> Deed:
    encoded = protobuf.message((1, sender), (2, called), (3, sun or None), (4, call))
    shown = {
        "data": call.hex(),
        "owner_address": sender.hex(),
        "contract_address": called.hex(),
        **({"call_value": sun} if sun else {}),
    }
    info = {**_energy(rng), "contract_address": called.hex(), "contractResult": ["00" * 32]}
    return Deed("TriggerSmartContract", encoded, shown, info, fee_limit=_FEE_LIMIT)


def _failed(done: Deed, result: str, message: bytes) -> Deed:
    done.result = result
    done.info |= {"result": "FAILED", "resMessage": message.hex(), "contractResult": [""]}
    done.info["receipt"]["result"] = result
    return done


def _bandwidth(rng: random.Random) -> dict[str, Any]:
    """The info of what runs no code: it takes bandwidth alone, free or paid."""
    if rng.random() < 0.5:
        return {"contractResult": [""], "receipt": {"net_usage": 268}}
    return {"fee": 268_000, "contractResult": [""], "receipt": {"net_fee": 268_000}}


def _energy(rng: random.Random) -> dict[str, Any]:
    energy = rng.randrange(14_000, 130_000)
    receipt = {
        "energy_fee": energy * 100,
        "energy_usage_total": energy,
        "net_usage": 345,
        "result": "SUCCESS",
    }
    return {"fee": energy * 100, "receipt": receipt}


def _transferred(token: bytes, sender: bytes, receiver: bytes, amount: int) -> dict[str, Any]:
    topics = [_TRANSFER, _word(sender[1:]).hex(), _word(receiver[1:]).hex()]
    return {
        "address": token[1:].hex(),
        "topics": topics,
        "data": amount.to_bytes(32, "big").hex(),
    }


def _internal(
    rng: random.Random, caller: bytes, called: bytes, moved: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "hash": rng.randbytes(32).hex(),
        "caller_address": caller.hex(),
        "transferTo_address": called.hex(),
        "callValueInfo": moved,
        "note": b"call".hex(),
    }


def _word(address: bytes) -> bytes:
    return bytes(12) + address


_DOINGS: dict[Callable[[random.Random, Cast], Deed], int] = {
    _usdt: 45,
    _trx: 22,
    _delegate: 10,
    _swap: 8,
    _usdc: 6,
    _asset: 4,
    _vote: 4,
    _create: 1,
}
_DOERS, _WEIGHTS = tuple(_DOINGS), tuple(_DOINGS.values())
