"""What CometBFT hashes: a header, a block's transactions, their results; and how.

Messages are protobuf with fields in ascending order and zero values left out; lists are hashed as
the Merkle tree of RFC 6962, its leaves being such messages.

Source: cometbft/cometbft, types/block.go (Header.Hash), types/tx.go, types/results.go,
crypto/merkle; proven on recorded blocks in tests/contract/test_recorded_cosmos.py.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

from chainflow.errors import MalformedAnswer
from chainflow.wire.cosmos import integer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chainflow.wire.cosmos import BlockId, Header, TxResult

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z", flags=re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UINT64 = 2**64 - 1
_KEPT_HEADS = 4_096


def varint(number: int) -> bytes:
    """A number in base 128, as protobuf has it; a negative one in ten bytes."""
    number &= _UINT64
    if number < 0x80:
        return bytes((number,))
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def number(field: int, value: int) -> bytes:
    """A field with a number; nothing for 0."""
    return _head(field << 3) + varint(value) if value else b""


def chunk(field: int, value: bytes) -> bytes:
    """A field with bytes, text or a message, empty or not."""
    return _head(field << 3 | 2, len(value)) + value


@lru_cache(_KEPT_HEADS)
def _head(*numbers: int) -> bytes:
    """What stands before a value: its key, and its size if it has one."""
    return b"".join(map(varint, numbers))


def some(field: int, value: bytes) -> bytes:
    """A field with bytes or text; nothing for empty ones."""
    return chunk(field, value) if value else b""


def merkle(leaves: Iterable[bytes]) -> bytes:
    """The root of a tree; of no leaves, the hash of nothing."""
    level = [sha256(b"\0" + leaf).digest() for leaf in leaves]
    if not level:
        return sha256(b"").digest()
    while len(level) > 1:
        pairs = range(0, len(level) - 1, 2)
        above = [sha256(b"\1" + level[i] + level[i + 1]).digest() for i in pairs]
        level = above + level[len(level) & ~1 :]
    return level[0]


def header_hash(header: Header) -> bytes:
    """The hash that makes a header a block's.

    Raises:
        MalformedAnswer: A field is not the hex, time or number that it should be.
    """
    versions = (header.version.block, header.version.app)
    block, app = (_uint64(text, "version") for text in versions)
    hashes = (
        header.last_commit_hash,
        header.data_hash,
        header.validators_hash,
        header.next_validators_hash,
        header.consensus_hash,
        header.app_hash,
        header.last_results_hash,
        header.evidence_hash,
        header.proposer_address,
    )
    seconds, nanoseconds = instant(header.time)
    return merkle(
        (
            number(1, block) + number(2, app),
            some(1, header.chain_id.encode()),
            number(1, integer(header.height, "height")),
            number(1, seconds) + number(2, nanoseconds),
            _block_id(header.last_block_id),
            *(some(1, unhex(text)) for text in hashes),
        )
    )


def data_hash(transactions: Iterable[bytes]) -> bytes:
    """The hash of a block's transactions."""
    return merkle(sha256(one).digest() for one in transactions)


def results_hash(results: Sequence[TxResult]) -> bytes:
    """What the next header calls `last_results_hash`: of code, data and gas, not of events or log.

    Raises:
        MalformedAnswer: A result's gas is no number.
    """
    return merkle(
        number(1, one.code)
        + some(2, one.data or b"")
        + number(5, integer(one.gas_wanted, "gas_wanted", least=-(2**63)))
        + number(6, integer(one.gas_used, "gas_used", least=-(2**63)))
        for one in results
    )


def instant(text: str) -> tuple[int, int]:
    """Unix seconds, and nanoseconds beyond them, of a node's time in UTC.

    Raises:
        MalformedAnswer: It is no such time.
    """
    try:
        if found := _TIME.fullmatch(text):
            *parts, fraction = found.groups("")
            when = datetime(*map(int, parts), tzinfo=UTC)  # type: ignore[misc,arg-type]
            since = when - _EPOCH
            return since.days * 86400 + since.seconds, int(fraction.ljust(9, "0"))
    except ValueError:
        pass
    raise MalformedAnswer(f"{text[:40]!r} is not a time in UTC with at most nanoseconds")


def unhex(text: str) -> bytes:
    """The bytes that hex stands for.

    Raises:
        MalformedAnswer: It is no hex.
    """
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if 2 * len(found) != len(text):  # fromhex lets spaces pass
        raise MalformedAnswer(f"{text[:80]!r} is not hex")
    return found


def _block_id(id_: BlockId) -> bytes:
    parts = number(1, id_.parts.total) + some(2, unhex(id_.parts.hash))
    return some(1, unhex(id_.hash)) + chunk(2, parts)


def _uint64(text: str, what: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= 20 and int(text) <= _UINT64:
        return int(text)
    raise MalformedAnswer(f"{what} is {text[:40]!r}, not a number of 64 bits")
