"""Objects, as far as they are coins.

Source: ABNF `object` in MystenLabs/sui-rust-sdk, object.rs; which types have a short form:
sui-types/src/base_types.rs (`MoveObjectType_`).
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct

import msgspec

from chainflow.errors import MalformedAnswer
from chainflow.wire._sui_bcs import Reader, hexadecimal, type_text
from chainflow.wire._sui_effects import owner

SUI = f"0x{2:064x}::sui::SUI"
_MOVE, _PACKAGE = 0, 1
_OTHER, _GAS_COIN, _STAKED, _COIN, _GAS_BALANCE, _BALANCE = range(6)
_COINS = (_GAS_COIN, _COIN)
# A coin is its id and its balance.
_COIN_BYTES = 32 + 8
# How nearly every coin ends, after its type: public transfer and version; the size of its contents,
# the balance among them; an owner of the kinds 0 and 1, which are an address; the digest of the
# transaction before, with its size, and the rebate.
_TAIL = Struct("<9x B 32x Q B 32s B 32x 8x")
_OWNED = (0, 1)
_DIGEST_BYTES = 32
_KEPT_TYPES = 4_096


class Coin(msgspec.Struct, frozen=True, gc=False):
    """A coin object; its owner is an address, or an object that holds it."""

    owner: str
    coin_type: str
    balance: int


def coin(bcs: bytes) -> Coin | None:
    """The coin that an object is; None if it is none, or nobody's own.

    Raises:
        MalformedAnswer: The bytes are no object.
    """
    if len(bcs) <= _TAIL.size:
        return _any_coin(bcs)
    if bcs[0] != _MOVE or bcs[1] not in _COINS:
        return None
    size, balance, kind, holder, digest = _TAIL.unpack_from(bcs, len(bcs) - _TAIL.size)
    if size == _COIN_BYTES and kind in _OWNED and digest == _DIGEST_BYTES:
        # Where all before the tail is a type, the tail is what stands after the type.
        coin_type = _coin_type(bcs[: -_TAIL.size])
        if coin_type:
            return Coin(hexadecimal(holder), coin_type, balance)
    return _any_coin(bcs)


@lru_cache(_KEPT_TYPES)
def _coin_type(head: bytes) -> str | None:
    """The coin's type where a head says it and nothing else."""
    if head[1] == _GAS_COIN:
        return SUI if len(head) == len(b"\x00\x01") else None
    try:
        return type_text(head[2:])
    except MalformedAnswer:
        return None


def _any_coin(bcs: bytes) -> Coin | None:
    """As `coin`, whoever owns it: read from its beginning."""
    reader = Reader(bcs)
    if reader.length() != _MOVE:
        return None
    kind = reader.length()
    if kind not in _COINS:
        return None
    coin_type = SUI if kind == _GAS_COIN else reader.type_tag()
    reader.skip(1 + 8)  # public transfer, version
    contents = reader.octets()
    if len(contents) != _COIN_BYTES:
        raise MalformedAnswer(f"expected a coin of {_COIN_BYTES} bytes, got {len(contents)}")
    holder = owner(reader)
    if holder is None:
        return None
    return Coin(holder, coin_type, int.from_bytes(contents[32:], "little"))


def key(bcs: bytes) -> tuple[bytes, int]:
    """The id and version of an object.

    Raises:
        MalformedAnswer: The bytes are no object, or one of a type unknown to this release.
    """
    reader = Reader(bcs)
    data = reader.length()
    if data == _PACKAGE:
        return reader.take(32), reader.u64()
    kind = reader.length()
    if data != _MOVE or kind > _BALANCE:
        raise MalformedAnswer(f"an object of form {data}, {kind}, unknown to this release")
    if kind == _OTHER:
        reader.struct_tag()
    elif kind in (_COIN, _BALANCE):
        reader.type_tag()
    reader.skip(1)
    version = reader.u64()
    return reader.octets()[:32], version
