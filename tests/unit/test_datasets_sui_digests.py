"""Digests as base58, many at once: as one after the other."""

from __future__ import annotations

import random

import pytest

from chainflow.datasets.sui import _digests
from chainflow.wire import _base58 as base58

RANDOM = random.Random("tests/digests")  # noqa: S311 - made up
EDGES = [
    bytes(32),
    bytes(31) + b"\x01",
    b"\x00\x01" + bytes(30),
    b"\x01" + bytes(31),
    bytes(4) + b"\xff" * 28,
    b"\xff" * 32,
    *(power.to_bytes(32, "big") for i in range(44) for power in (58**i - 1, 58**i)),
]


@pytest.mark.parametrize("count", [0, 1, _digests._FEW - 1, _digests._FEW, 3 * _digests._FEW])
def test_digests_are_those_of_one_after_the_other(count: int) -> None:
    """Few are written one by one, many together; zeros before the first digit are ones."""
    values = [*EDGES, *(RANDOM.randbytes(32) for _ in range(count))]
    RANDOM.shuffle(values)
    for some in (values[:count], values):
        assert _digests.digests(some).to_pylist() == [base58.encode(one) for one in some]


@pytest.mark.parametrize("count", [0, 5, 5 * _digests._FEW])
def test_no_digest_is_no_text(count: int) -> None:
    """Each of the others keeps its place."""
    values = [RANDOM.randbytes(32) if RANDOM.random() < 0.5 else None for _ in range(count)]
    expected = [None if one is None else base58.encode(one) for one in values]
    assert _digests.digests(values).to_pylist() == expected
