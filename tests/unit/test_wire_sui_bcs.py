"""BCS: its primitives, Move's types, digests and base58."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainflow.devnet import _sui_bcs as written
from chainflow.devnet._sui_scene import type_tag
from chainflow.errors import MalformedAnswer
from chainflow.wire import _base58 as base58
from chainflow.wire._sui_bcs import Reader, digest, digests, type_end, type_text
from tests import sui_json

# From MystenLabs/sui-rust-sdk, type_tag/serialization.rs: a type, and its bytes.
TYPE_TEXT = f"0x{1:064x}::Foo::Bar<bool,u8,u64,u128,address,signer,u16,u32,u256,vector<address>>"
TYPE_BYTES = bytes([7, *[0] * 31, 1, 3, 70, 111, 111, 3, 66, 97, 114, 10, 0, 1, 2, 3, 4, 5, 8, 9])
TYPE_BYTES += bytes([10, 6, 4])

names = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,12}", fullmatch=True)
addresses = st.integers(0, 2**256 - 1).map(lambda number: f"0x{number:064x}")
types = st.recursive(
    st.sampled_from(["bool", "u8", "u64", "u128", "address", "signer", "u16", "u32", "u256"]),
    lambda inner: st.one_of(
        inner.map(lambda one: {"vector": one}),
        st.builds(
            lambda address, module, name, parameters: type_tag(address, module, name, *parameters),
            addresses,
            names,
            names,
            st.lists(inner, max_size=3),
        ),
    ),
    max_leaves=6,
)


def test_recorded_type_is_read() -> None:
    """The fixture of Sui's own library."""
    reader = Reader(TYPE_BYTES)
    assert reader.type_tag() == TYPE_TEXT
    reader.finish()


@given(types)
def test_every_type_is_read_back(value: object) -> None:
    """What is written of a type reads as its canonical text, from which it is made again."""
    reader = Reader(written.encode("type", value))
    text = reader.type_tag()
    reader.finish()
    assert written.encode("type", sui_json.kind(text)) == written.encode("type", value)


@given(types, st.binary(max_size=5), st.binary(max_size=5))
def test_type_ends_where_its_bytes_end(value: object, before: bytes, after: bytes) -> None:
    """Whatever stands around it; those bytes alone give its text."""
    raw = written.encode("type", value)
    end = type_end(before + raw + after, len(before))
    assert end == len(before) + len(raw)
    assert type_text(raw) == Reader(raw).type_tag()


@pytest.mark.parametrize("size", [127, 128, 200])
def test_long_names_of_a_type_are_read(size: int) -> None:
    """Their length takes two bytes."""
    raw = written.encode("type", type_tag("0x2", "m" * size, "N" * size, "u8"))
    assert type_end(raw + b"\xff", 0) == len(raw)
    assert type_text(raw) == f"0x{2:064x}::{'m' * size}::{'N' * size}<u8>"


@given(st.integers(0, 2**32 - 1))
def test_every_length_is_read_back(number: int) -> None:
    """ULEB128 of up to 32 bits."""
    reader = Reader(written.uleb(number))
    assert reader.length() == number
    reader.finish()


@pytest.mark.parametrize("number", [2**32, 2**35, 2**64])
def test_length_beyond_32_bits_is_refused(number: int) -> None:
    """A length never makes a number that BCS does not have."""
    with pytest.raises(MalformedAnswer, match="32 bits"):
        Reader(written.uleb(number)).length()


@pytest.mark.parametrize(
    "bad",
    [
        b"",  # nothing
        b"\x0b",  # a variant there is not
        b"\x07" + bytes(31),  # an address cut short
        b"\x07" + bytes(32) + b"\x01\n\x01a\x00",  # a name with a line break
        b"\x07" + bytes(32) + b"\x01\xe9\x01a\x00",  # a name that is not ASCII
        b"\x06" * 40 + b"\x00",  # too deep
        (b"\x07" + bytes(32) + b"\x01a\x01b\x01") * 40 + b"\x00",  # too deep, of structs
    ],
)
def test_what_is_no_type_is_refused(bad: bytes) -> None:
    """No text comes of it, and no endless work."""
    with pytest.raises(MalformedAnswer):
        Reader(bad).type_tag()
    with pytest.raises(MalformedAnswer):
        type_text(bad)


def test_reading_beyond_the_end_is_refused() -> None:
    """Nothing is read as if there were zeros after the end."""
    with pytest.raises(MalformedAnswer, match="BCS ends at byte 7"):
        Reader(bytes(7)).u64()


def test_bytes_after_a_value_are_refused() -> None:
    """A value is all there is."""
    with pytest.raises(MalformedAnswer, match="1 bytes after"):
        Reader(b"\x00").finish()


def test_option_is_there_or_not() -> None:
    """One byte says it; another byte is wrong."""
    assert Reader(b"\x01").option()
    assert not Reader(b"\x00").option()
    with pytest.raises(MalformedAnswer, match="expected 0 or 1"):
        Reader(b"\x02").option()


@pytest.mark.parametrize("size", [0, 31, 33])
def test_digest_has_32_bytes(size: int) -> None:
    """Its length stands before it and is 32."""
    with pytest.raises(MalformedAnswer, match="a digest of 32 bytes"):
        Reader(bytes([size]) + bytes(40)).digest()


def test_digest_is_salted_with_the_name_of_its_type() -> None:
    """Blake2b of the name, two colons and the bytes."""
    expected = hashlib.blake2b(b"Object::abc", digest_size=32).digest()
    assert digest(b"Object", b"abc") == expected
    assert digests(b"Object", [b"abc", b"", b"abc"]) == [
        expected,
        digest(b"Object", b""),
        expected,
    ]


@given(st.binary(max_size=40))
def test_base58_comes_back(raw: bytes) -> None:
    """Leading zeros and all."""
    assert base58.decode(base58.encode(raw)) == raw


def test_base58_of_mainnet() -> None:
    """The digest that mainnet's short id 35834a8a is the beginning of."""
    chain_id = "4btiuiMPvEENsttpZC7CZ53DruC3MAgfznDbASZ7DR6S"
    raw = base58.decode(chain_id)
    assert raw[:4].hex() == "35834a8a"
    assert base58.encode(raw) == chain_id


def test_base58_knows_its_letters() -> None:
    """Zero, capital O and I, and small l are none."""
    for letter in "0OIl":
        with pytest.raises(ValueError, match="not base58"):
            base58.decode(f"1{letter}")
