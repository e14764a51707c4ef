"""RLP as hex text, roots and hashes, held against PyPI's `rlp`, `trie` and `eth-hash`."""

from __future__ import annotations

import sys

import pytest
import rlp
from eth_hash.auto import keccak as eth_keccak
from hypothesis import given
from hypothesis import strategies as st

from chainflow.clients import _evm_rlp as ours
from chainflow.clients import _evm_trie, _keccak
from tests import evm_oracle as oracle

HEX = st.binary(max_size=300).map(lambda data: f"0x{data.hex()}")
QUANTITIES = st.integers(0, 2**256 - 1)


@given(HEX)
def test_item_is_rlps_bytes(text: str) -> None:
    """Of any length, in either case."""
    wanted = rlp.encode(bytes.fromhex(text[2:]))
    assert ours.encoded(ours.item(text)) == wanted
    assert ours.encoded(ours.item(f"0x{text[2:].upper()}")) == wanted


@given(QUANTITIES, st.integers(0, 5))
def test_number_is_rlps_integer(number: int, zeros: int) -> None:
    """However many zeros the node puts before it."""
    assert ours.encoded(ours.number(f"0x{'0' * zeros}{number:x}")) == rlp.encode(number)


@given(st.lists(HEX, max_size=30))
def test_listed_is_rlps_list(texts: list[str]) -> None:
    """As text, and as bytes."""
    wanted = rlp.encode([bytes.fromhex(text[2:]) for text in texts])
    items = [ours.item(text) for text in texts]
    assert ours.encoded(ours.listed("".join(items))) == wanted
    assert ours.join(map(ours.encoded, items)) == wanted


@pytest.mark.parametrize("text", ["", "0", "12", "0x1", "0xabc", "1x23", "x", None])
def test_item_refuses_what_is_no_hex_of_bytes(text: str | None) -> None:
    """Nothing is padded, cut or guessed."""
    with pytest.raises(ValueError, match=r"bytes|0x|missing"):
        ours.item(text)


@pytest.mark.parametrize("text", ["", "0x", "7", "1x7", f"0x1{'0' * 64}", f"0x0{'f' * 65}", None])
def test_number_refuses_what_is_no_quantity(text: str | None) -> None:
    """Nor is a number wider than 256 bits one."""
    with pytest.raises(ValueError, match=r"0x|wider|missing"):
        ours.number(text)


@pytest.mark.parametrize("text", ["0x12 345", "0x1  2", "0x\n12", "0x0g", "0xé0"])
def test_encoded_refuses_what_only_looks_like_hex(text: str) -> None:
    """Blanks would shift one field's bytes into the next."""
    with pytest.raises(ValueError, match=r"hex|blanks|bytes"):
        ours.encoded(ours.item(text))


@pytest.mark.parametrize("count", [0, 1, 2, 16, 17, 127, 128, 129, 255, 256, 257, 300])
def test_root_is_that_of_the_trie_package(count: int) -> None:
    """Around every change of shape, for values shorter and longer than a hash."""
    values = [bytes([index % 256]) * (1 + index % 80) for index in range(count)]
    assert f"0x{_evm_trie.root(values).hex()}" == oracle.root(values)


def test_keccak_is_the_same_with_and_without_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no wheel, what web3 brings takes its place."""
    assert _keccak.keccak(b"chainflow") == eth_keccak(b"chainflow")
    monkeypatch.setitem(sys.modules, "sha3", None)
    assert _keccak.fastest()(b"chainflow") == eth_keccak(b"chainflow")
