"""One generated Cosmos block and its results, hashed by CometBFT's rules.

All a header holds is right by them but the hashes of what is not shown (validators, parameters,
state) and that of the block's pieces: they are random, and stay the same where they would.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from chainflow.clients import _cosmos_hashes as hashes
from chainflow.clients._cosmos_hashes import chunk, number, some
from chainflow.devnet import _cosmos_transactions as transactions
from chainflow.wire.cosmos import Header, TxResult

if TYPE_CHECKING:
    import random

    from chainflow.devnet._cosmos_profiles import Dialect, Profile
    from chainflow.devnet._cosmos_transactions import Done, Event

Json = dict[str, Any]
_VALIDATORS = 4
_BILLION = 10**9


@dataclass(frozen=True, slots=True)
class Link:
    """What the next block says of one: its id, and the hash of its results."""

    hash: bytes
    parts_hash: bytes
    results_hash: bytes

    @property
    def id(self) -> Json:
        """As the node writes it."""
        return _block_id(self.hash, self.parts_hash)


BEFORE_ALL = Link(b"", b"", hashes.merkle(()))
"""What the first block of a chain follows."""


@dataclass(frozen=True, slots=True)
class Made:
    """A block as the node answers it, its results, and what the next block says of it."""

    block: bytes
    results: bytes
    link: Link


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block is being made: everything that its content depends on."""

    profile: Profile
    people: list[str]
    rng: random.Random
    dialect: Dialect
    height: int
    nanoseconds: int
    below: Link


def make(place: Place, count: int) -> Made:
    """A block of about `count` transactions."""
    done = _transactions(place, count)
    header, commit = _header(place, [one.raw for one in done])
    found = msgspec.convert(header, Header)
    results = [_result(one, place.dialect) for one in done]
    link = Link(
        hash=hashes.header_hash(found),
        parts_hash=place.rng.randbytes(32),
        results_hash=hashes.results_hash([msgspec.convert(one, TxResult) for one in results]),
    )
    block = {
        "header": header,
        "data": {"txs": [b64encode(one.raw).decode() for one in done]},
        "evidence": {"evidence": []},
        "last_commit": commit,
    }
    return Made(
        block=msgspec.json.encode({"block_id": link.id, "block": block}),
        results=msgspec.json.encode(_results(place, results)),
        link=link,
    )


def _transactions(place: Place, count: int) -> list[Done]:
    rng, profile, people = place.rng, place.profile, place.people
    done = [transactions.vote_extension(rng)] if profile.vote_extensions else []
    for _ in range(rng.randrange(count // 2, count + count // 2 + 1)):
        if profile.cctp and rng.random() < 0.2:
            nonce = place.height * 100 + len(done)
            bridged = rng.choice((transactions.burned, transactions.minted))
            done.append(bridged(profile, rng, people, nonce))
        else:
            done.append(transactions.sent(profile, rng, people))
    return done


def _header(place: Place, raw: list[bytes]) -> tuple[Json, Json]:
    """The header, and the commit of the block below that it names."""
    commit, commit_hash = _commit(place)
    # Of the chain, not of the block: validators and parameters do not change here.
    steady = _steady(place.profile.network)
    header = {
        "version": {"block": "11"},
        "chain_id": place.profile.network,
        "height": str(place.height),
        "time": _time(place.nanoseconds),
        "last_block_id": place.below.id,
        "last_commit_hash": commit_hash.hex().upper(),
        "data_hash": hashes.data_hash(raw).hex().upper(),
        "validators_hash": steady("validators"),
        "next_validators_hash": steady("validators"),
        "consensus_hash": steady("consensus"),
        "app_hash": place.rng.randbytes(32).hex().upper(),
        "last_results_hash": place.below.results_hash.hex().upper(),
        "evidence_hash": hashes.merkle(()).hex().upper(),
        "proposer_address": steady(f"validator {place.height % _VALIDATORS}")[:40],
    }
    return header, commit


def _commit(place: Place) -> tuple[Json, bytes]:
    """The signatures under the block below, and their hash."""
    if not place.below.hash:
        empty = {"height": "0", "round": 0, "block_id": place.below.id, "signatures": []}
        return empty, hashes.merkle(())
    shown, leaves = [], []
    for i in range(_VALIDATORS):
        address = _steady(place.profile.network)(f"validator {i}")[:40]
        when = place.nanoseconds - place.rng.randrange(10**8)
        signature = place.rng.randbytes(64)
        shown.append(
            {
                "block_id_flag": 2,
                "validator_address": address,
                "timestamp": _time(when),
                "signature": b64encode(signature).decode(),
            }
        )
        seconds, rest = divmod(when, _BILLION)
        leaves.append(
            number(1, 2)
            + some(2, bytes.fromhex(address))
            + chunk(3, number(1, seconds) + number(2, rest))
            + some(4, signature)
        )
    below = {"height": str(place.height - 1), "round": 0, "block_id": place.below.id}
    return {**below, "signatures": shown}, hashes.merkle(leaves)


def _result(done: Done, dialect: Dialect) -> Json:
    return {
        "code": done.code,
        "data": b64encode(done.data).decode() if done.data else None,
        "log": done.log,
        "info": "",
        "gas_wanted": str(done.gas_wanted),
        "gas_used": str(done.gas_used),
        "events": [_event(one, dialect, index=True) for one in done.events],
        "codespace": done.codespace,
    }


def _results(place: Place, results: list[Json]) -> Json:
    """The answer in the node's dialect, with what happened before and after the transactions."""
    collector, rewards = place.people[0], place.people[1]
    amount = f"{place.rng.randrange(1, 10**6)}{place.profile.fee}"
    begin = transactions.moved(collector, rewards, amount)
    begin.append(("rewards", (("amount", f"{amount[:3]}.5{place.profile.fee}"),)))
    end: list[Event] = [("epoch", (("number", str(place.height // 100)),))]
    shown: Json = {"height": str(place.height), "txs_results": results or None}
    if place.dialect == "0.38":
        both = [*_during("BeginBlock", begin), *_during("EndBlock", end)]
        shown["finalize_block_events"] = [_event(one, "0.38", index=False) for one in both]
        shown["app_hash"] = b64encode(place.rng.randbytes(32)).decode()
        if place.profile.vote_extensions:
            # Seen on dYdX: an event that has only attributes.
            shown["finalize_block_events"].append({"attributes": [{"key": "k", "value": "v"}]})
    else:
        shown["begin_block_events"] = [_event(one, place.dialect, index=True) for one in begin]
        shown["end_block_events"] = [_event(one, place.dialect, index=True) for one in end] or None
    return {**shown, "validator_updates": None, "consensus_param_updates": None}


def _during(mode: str, events: list[Event]) -> list[Event]:
    return [(kind, (*pairs, ("mode", mode))) for kind, pairs in events]


def _event(event: Event, dialect: Dialect, *, index: bool) -> Json:
    """An event in a dialect; `index` is left out where false, as nodes do in blocks' own events."""
    kind, pairs = event
    flag = {"index": True} if index else {}
    if dialect == "0.34":
        pairs = tuple((_base64(key), _base64(value)) for key, value in pairs)
    return {
        "type": kind,
        "attributes": [{"key": key, "value": value, **flag} for key, value in pairs],
    }


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def _block_id(hash_: bytes, parts_hash: bytes) -> Json:
    parts = {"total": 1 if parts_hash else 0, "hash": parts_hash.hex().upper()}
    return {"hash": hash_.hex().upper(), "parts": parts}


def _steady(network: str) -> Any:  # noqa: ANN401 - a function
    return lambda what: hashes.merkle([f"{network} {what}".encode()]).hex().upper()


def _time(nanoseconds: int) -> str:
    """RFC 3339 in UTC, without zeros at the end, as Go writes it."""
    seconds, rest = divmod(nanoseconds, _BILLION)
    fraction = f".{rest:09d}".rstrip("0").rstrip(".")
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"
