"""CometBFT's hashes, held against recorded blocks and against known trees."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise

import msgspec
import pytest

from chainflow.clients import _cosmos_hashes as hashes
from chainflow.errors import MalformedAnswer
from chainflow.wire import cosmos
from tests.cosmos import Recorded, halves, read, recordings

# Of which the results were built by hand.
BLOCKS = [one for one in halves() if one.chain != "injective-1"]


def sha256(data: bytes) -> bytes:
    """SHA-256."""
    return hashlib.sha256(data).digest()


def split_tree(leaves: list[bytes]) -> bytes:
    """The tree of RFC 6962 as its section 2.1 defines it, by splitting."""
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0])
    middle = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1" + split_tree(leaves[:middle]) + split_tree(leaves[middle:]))


@pytest.mark.parametrize("count", range(20))
def test_merkle_is_the_tree_of_rfc_6962(count: int) -> None:
    """Pairing level by level is the same as splitting at the largest power of two."""
    leaves = [bytes([i]) * i for i in range(count)]
    assert hashes.merkle(leaves) == split_tree(leaves)


@pytest.mark.parametrize(
    ("value", "coded"),
    [(0, "00"), (1, "01"), (300, "ac02"), (2**64 - 1, "ff" * 9 + "01"), (-1, "ff" * 9 + "01")],
)
def test_varint_is_protobufs(value: int, coded: str) -> None:
    """Examples of protobuf.dev; negative numbers take ten bytes."""
    assert hashes.varint(value).hex() == coded


@pytest.mark.parametrize("recorded", [*recordings(), *BLOCKS], ids=str)
def test_recorded_headers_hash_to_their_block_ids(recorded: Recorded) -> None:
    """The header's hash and the hash of the transactions are those the chain agreed upon."""
    answer = cosmos.decode_block(json.dumps(recorded.block).encode())
    assert answer.block is not None
    header = answer.block.header
    assert hashes.header_hash(header).hex().upper() == answer.block_id.hash
    found = hashes.data_hash(answer.block.data.txs or ())
    assert found.hex().upper() == header.data_hash


@pytest.mark.parametrize("where", ["gaia-local", "kvstore-v0_34", "kvstore-v0_38"])
def test_recorded_headers_are_linked(where: str) -> None:
    """Ten recorded headers, the newest first, of which each names the one below."""
    metas = read(f"{where}/blockchain_from_1_to_10.json")["block_metas"]
    headers = [msgspec.convert(meta["header"], cosmos.Header) for meta in metas]
    assert [header.height for header in headers] == [str(h) for h in range(10, 0, -1)]
    for above, below in pairwise(headers):
        assert hashes.header_hash(below).hex().upper() == above.last_block_id.hash
        assert above.last_results_hash == hashes.results_hash([]).hex().upper()


@pytest.mark.parametrize("where", ["gaia-local", "kvstore-v0_34", "kvstore-v0_38"])
def test_a_recorded_commit_signs_its_header(where: str) -> None:
    """What the validators signed is the hash of the header beside it."""
    signed = read(f"{where}/commit_at_height_10.json")["signed_header"]
    header = msgspec.convert(signed["header"], cosmos.Header)
    assert hashes.header_hash(header).hex().upper() == signed["commit"]["block_id"]["hash"]


def test_results_hash_is_over_code_data_and_gas() -> None:
    """Fields 1, 2, 5 and 6 of abci.ExecTxResult; log, info, events and codespace are in no hash."""
    one = cosmos.TxResult(
        code=5, data=b"ab", log="x", gas_wanted="300", gas_used="-1", events=[], codespace="sdk"
    )
    nothing = cosmos.TxResult(code=0, data=None, log="y", gas_wanted="0", gas_used="0", events=None)
    leaf = bytes.fromhex("08051202616228ac0230" + "ff" * 9 + "01")
    assert hashes.results_hash([one, nothing]) == split_tree([leaf, b""])


@pytest.mark.parametrize(
    ("text", "seconds", "nanoseconds"),
    [
        ("1970-01-01T00:00:00Z", 0, 0),
        ("2021-12-17T20:27:28.966992937Z", 1639772848, 966992937),
        ("2026-10-06T18:15:17.7Z", 1791310517, 700000000),
        ("0001-01-01T00:00:00Z", -62135596800, 0),
    ],
)
def test_instant_is_exact(text: str, seconds: int, nanoseconds: int) -> None:
    """To the nanosecond, which no float holds."""
    assert hashes.instant(text) == (seconds, nanoseconds)


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026-01-02", "2026-13-01T00:00:00Z", "2026-01-02T03:04:05", "2026-01-02T03:04:60Z"),
        *("2026-01-02T03:04:05+01:00", "2026-01-02T03:04:05.1234567890Z", "x", "1"),
    ],
)
def test_instant_refuses_other_texts(text: str) -> None:
    """Only what a node writes."""
    with pytest.raises(MalformedAnswer, match="not a time"):
        hashes.instant(text)


@pytest.mark.parametrize("text", ["0", "zz", "AB CD", "0x00", "é"])
def test_unhex_refuses_what_is_no_hex(text: str) -> None:
    """Spaces too, which Python lets pass."""
    with pytest.raises(MalformedAnswer, match="not hex"):
        hashes.unhex(text)
