"""The root of the trie that maps each value's index to the value, as blocks hold them.

Its shape depends on the count alone, so it is worked out once a count; what is left per block is
one hash a value and one a branch. A general trie (PyPI `trie`, against which the tests hold this)
keeps nodes for later look-ups and takes thirty times as long.

Source: Ethereum Yellow Paper, appendix D.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, takewhile
from typing import TYPE_CHECKING

from chainflow.clients import _evm_rlp as rlp
from chainflow.clients._keccak import keccak

if TYPE_CHECKING:
    from collections.abc import Sequence

EMPTY_ROOT = keccak(b"\x80")


@dataclass(frozen=True, slots=True)
class _Leaf:
    path: bytes
    index: int

    def encoded(self, values: Sequence[bytes]) -> bytes:
        value = values[self.index]
        prefix = rlp.bytes_prefix(value)
        size = len(self.path) + len(prefix) + len(value)
        return b"%b%b%b%b" % (rlp.list_prefix(size), self.path, prefix, value)


@dataclass(frozen=True, slots=True)
class _Extension:
    path: bytes
    below: _Branch

    def encoded(self, values: Sequence[bytes]) -> bytes:
        return rlp.join((self.path, _reference(self.below, values)))


@dataclass(frozen=True, slots=True)
class _Branch:
    below: tuple[_Node | None, ...]

    def encoded(self, values: Sequence[bytes]) -> bytes:
        parts = [b"\x80" if one is None else _reference(one, values) for one in self.below]
        # No index's key is the beginning of another's, so no branch holds a value of its own.
        return rlp.join((*parts, b"\x80"))


_Node = _Leaf | _Extension | _Branch


def root(values: Sequence[bytes]) -> bytes:
    """Root over the values in their order."""
    return keccak(_shape(len(values)).encoded(values)) if values else EMPTY_ROOT


def _reference(node: _Node, values: Sequence[bytes]) -> bytes:
    encoded = node.encoded(values)
    return encoded if len(encoded) < 32 else b"\xa0" + keccak(encoded)


@lru_cache(maxsize=512)
def _shape(count: int) -> _Node:
    keys = (rlp.encoded(rlp.number(hex(index))).hex() for index in range(count))
    return _node(sorted(zip(keys, range(count), strict=True)), 0)


def _node(items: list[tuple[str, int]], depth: int) -> _Node:
    """The node over sorted (nibbles as hex text, index) pairs that agree in their first `depth`."""
    if len(items) == 1:
        nibbles, index = items[0]
        return _Leaf(_path(nibbles[depth:], leaf=True), index)
    ends = zip(items[0][0], items[-1][0], strict=False)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], ends))
    below: list[_Node | None] = [None] * 16
    for nibble, some in groupby(items, key=lambda one: one[0][shared]):
        below[int(nibble, 16)] = _node(list(some), shared + 1)
    branch = _Branch(tuple(below))
    if shared == depth:
        return branch
    return _Extension(_path(items[0][0][depth:shared], leaf=False), branch)


def _path(nibbles: str, *, leaf: bool) -> bytes:
    """The nibbles with their flag, as an item."""
    flag = 2 * leaf + len(nibbles) % 2
    given = bytes.fromhex(f"{flag}{nibbles}" if len(nibbles) % 2 else f"{flag}0{nibbles}")
    return rlp.bytes_prefix(given) + given
