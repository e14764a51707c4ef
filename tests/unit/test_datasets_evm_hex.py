"""Hex text to columns: every number exact, everything else refused by height and column."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainflow.datasets import _columns
from chainflow.datasets._rows import block_columns, rows
from chainflow.datasets.evm import blocks, transactions
from chainflow.datasets.evm._hex import READERS
from chainflow.errors import MalformedAnswer
from chainflow.types import Column
from tests import evm

BLOCK = evm.raw(evm.block())
UINT256 = st.one_of(
    st.integers(0, 2**256 - 1),
    st.integers(0, 256).map(lambda bits: max(2**bits - 1, 0)),
    st.integers(0, 255).map(lambda bits: 2**bits),
)
PADDING = st.integers(0, 70)


def column(kind: str, *texts: str | None) -> pa.Array[Any]:
    """Texts through a column `x` of dataset `sample`, a row a text, all of height 1000."""
    made = Column("x", kind)  # type: ignore[arg-type]  # the kinds of this file are the real ones
    table = _columns.table(
        "sample",
        [*block_columns("block_number"), made],
        rows([BLOCK], lambda _: list(texts)),
        {"x": texts},
        READERS,
    )
    return table["x"].combine_chunks()


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.tuples(UINT256, PADDING)), min_size=1))
def test_numeric_is_exact(numbers: list[tuple[int, int] | None]) -> None:
    """Any uint256, zero-padded or not, in any company, comes out as its own decimal digits."""
    texts = [None if n is None else f"0x{n[0]:0{n[1]}x}" for n in numbers]
    exact = [None if n is None else str(n[0]) for n in numbers]
    assert column("numeric", *texts).to_pylist() == exact


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 2**63 - 1), PADDING)), min_size=1))
def test_bigint_is_exact(numbers: list[tuple[int, int] | None]) -> None:
    """Any number below 2^63, zero-padded or not, comes out as itself."""
    texts = [None if n is None else f"0x{n[0]:0{n[1]}X}" for n in numbers]
    assert column("bigint", *texts).to_pylist() == [None if n is None else n[0] for n in numbers]


@settings(deadline=None)
@given(st.integers(2**63, 2**256 - 1))
def test_bigint_never_wraps(number: int) -> None:
    """A number that int64 cannot hold is refused, whatever its low bits are."""
    with pytest.raises(MalformedAnswer, match=r"height 1000: sample\.x: .* at most 63 bits"):
        column("bigint", "0x1", hex(number))


@settings(deadline=None)
@given(st.integers(2**256, 2**300))
def test_numeric_refuses_more_than_256_bits(number: int) -> None:
    """No chain has such a number, and the column could not hold all of them."""
    with pytest.raises(MalformedAnswer, match=r"height 1000: sample\.x: .* at most 256 bits"):
        column("numeric", hex(number))


NO_QUANTITY = [
    *(
        "0xzz",
        "0x",
        "",
        "x",
        "12",
        "-0x1",
        "0x-1",
        "+0x1",
        "0x_1",
        "0x1_0",
        " 0x1",
        "0x1 ",
        "0x1\n",
    ),
    *("0X1", "0x1.5", "1e5", "null", "0x\u0661", "0x1\x00", "0x" + 70 * "0" + "g"),
]


@pytest.mark.parametrize("kind", ["bigint", "numeric"])
@pytest.mark.parametrize("text", NO_QUANTITY)
def test_quantity_that_is_none_is_refused(kind: str, text: str) -> None:
    """What is not 0x and hex digits is never read as a number: alone, or among good ones."""
    for company in ([], ["0x1"], [hex(2**200)] if kind == "numeric" else [hex(2**62)]):
        with pytest.raises(
            MalformedAnswer, match=r"height 1000: sample\.x: expected a hex quantity"
        ):
            column(kind, *company, text, None)


@settings(deadline=None)
@given(st.text(max_size=20))
def test_any_text_is_a_quantity_or_refused(text: str) -> None:
    """A text becomes the number it says, or an error; nothing in between."""
    digits = text.removeprefix("0x")
    if text != digits and digits and set(digits) <= set("0123456789abcdefABCDEF"):
        assert column("numeric", text).to_pylist() == [str(int(digits, 16))]
    else:
        with pytest.raises(MalformedAnswer):
            column("numeric", text)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_text_is_lower_case_hex(content: bytes) -> None:
    """Bytes of any length come out in lower case."""
    assert column("text", "0x" + content.hex().upper(), None).to_pylist() == [
        "0x" + content.hex(),
        None,
    ]


@pytest.mark.parametrize("text", ["", "x", "abc", "0xzz", "0x0x", "0x12 ", "0x\x00", "0x\u00e9"])
def test_text_that_is_no_hex_is_refused(text: str) -> None:
    """Hashes, addresses and bytes are hex, and nothing that PostgreSQL refuses."""
    with pytest.raises(MalformedAnswer, match=r"height 1000: sample\.x: expected hex, got"):
        column("text", "0x12", text)


@pytest.mark.parametrize("text", ["a\x00b", "\x00", "\\\x00"])
def test_json_that_postgresql_cannot_hold_is_refused(text: str) -> None:
    """A U+0000 in a nested field is named here rather than by COPY."""
    with pytest.raises(MalformedAnswer, match="without U"):
        column("jsonb", json.dumps({"field": text}))


@pytest.mark.parametrize("text", ["\\u0000", "a\\\\u0000", "u0000"])
def test_json_that_only_spells_a_null_is_kept(text: str) -> None:
    """A backslash, a u and four zeros are harmless text."""
    given_json = json.dumps({"field": text})
    assert column("jsonb", given_json, None).to_pylist() == [given_json, None]


def test_error_names_the_height_of_the_bad_row() -> None:
    """Among many blocks, it is the one at fault that is told."""
    good = evm.raw(evm.block(evm.transaction()))
    bad = evm.raw(evm.block(evm.transaction(blockNumber="0x3e9", gasPrice="0xzz"), number="0x3e9"))
    with pytest.raises(MalformedAnswer, match=r"height 1001: transactions\.gas_price: .* '0xzz'"):
        transactions.decode([good, bad])


def test_long_garbage_is_cut_in_the_error() -> None:
    """An error stays readable, whatever a node sends."""
    with pytest.raises(MalformedAnswer) as caught:
        column("numeric", "0x" + 5000 * "g")
    assert len(str(caught.value)) < 250


def test_time_beyond_the_year_9999_is_refused() -> None:
    """A chain that counts milliseconds where others count seconds is told, not stored."""
    with pytest.raises(MalformedAnswer, match=r"height 1000: block_timestamp: .* year 10000"):
        blocks.decode([evm.raw(evm.block(timestamp=hex(1_700_000_000_000)))])
