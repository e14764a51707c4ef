"""Rows of recorded blocks hash again to what the chain said, whatever its form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from chainflow import datasets, lookup
from chainflow.audit import _rehashed, cosmos, evm, left_out, tron
from chainflow.types import BlockRange, Chain, RawBlock
from tests import cosmos as cosmos_blocks
from tests import evm as evm_blocks
from tests import small
from tests import tron as tron_blocks
from tests.unit.test_clients_evm_proof import CHAIN_IDS


def reader(family: str, blocks: Sequence[RawBlock], names: Sequence[str]) -> _rehashed.Read:
    """Reads the rows that the blocks decode to."""
    kept = {d.name: _rehashed.plain(d, d.decode(blocks)) for d in datasets.get(family, names)}

    def read(name: str, wanted: BlockRange) -> list[_rehashed.Row] | None:
        if name not in kept:
            return None
        height = datasets.get(family, ["blocks"])[0].height_column
        return [row for row in kept[name] if row[height] in wanted]

    return read


def failing(again: _rehashed.Again, read: _rehashed.Read, height: int) -> list[tuple[int, str]]:
    """What is wrong at a height."""
    return list(again(read, BlockRange(height, height + 1)))


EVM = ("blocks", "transactions", "logs", "withdrawals")
RECORDED = [one for one in evm_blocks.recordings() if one.receipts is None or one.complete]


@pytest.mark.parametrize("one", RECORDED, ids=str)
def test_rows_of_a_recorded_evm_block_hash_again(one: evm_blocks.Recorded) -> None:
    """Of every chain and fork recorded, the rows are enough to prove the block once more."""
    chain = Chain(one.chain, "evm", CHAIN_IDS[one.chain], 60.0)
    raw = one.raw()
    names = EVM if one.complete else ("blocks", "withdrawals")
    assert failing(evm.rehash(chain), reader("evm", [raw], names), raw.height) == []


@pytest.mark.parametrize("names", [("blocks",), ("blocks", "transactions"), ("blocks", "logs")])
def test_tables_that_are_not_kept_are_not_missed(names: Sequence[str]) -> None:
    """Of a chain with few datasets as much is proven as they hold."""
    raw = evm_blocks.recorded("ethereum", 13998626).raw()
    chain = Chain("ethereum", "evm", 1, 5.0, datasets=tuple(names))
    assert failing(evm.rehash(chain), reader("evm", [raw], names), raw.height) == []
    assert "receipts and logs" in left_out(chain)


def test_left_out_says_what_and_why() -> None:
    """A person reads which parts nothing proves, or that nothing is proven at all."""
    chain = Chain("fantom", "evm", 250, 60.0, datasets=EVM)
    assert "header: an Opera block's hash" in left_out(chain)
    assert "transactions and receipts" in left_out(replace(chain, verify="hashes"))
    assert left_out(replace(chain, verify="none")).startswith("anything")
    assert "family sui" in left_out(replace(chain, family="sui"))


def test_rows_of_recorded_cosmos_blocks_hash_again() -> None:
    """Headers, transactions, and results where the header above is there too."""
    for one in cosmos_blocks.recordings():
        raw = one.raw()
        read = reader("cosmos", [raw], ("blocks", "transactions"))
        assert failing(cosmos.rehash(Chain("a", "cosmos", None, 1.0)), read, raw.height) == []


def test_rows_of_tron_blocks_hash_again() -> None:
    """So does the genesis block, whose witness is no address."""
    again = tron.rehash(Chain("tron", "tron", None, 20.0))
    raw = tron_blocks.recordings().raw()
    assert failing(again, reader("tron", [raw], ("blocks",)), raw.height) == []
    assert (
        failing(again, reader("tron", [tron_blocks.raw(tron_blocks.genesis())], ("blocks",)), 0)
        == []
    )


def test_a_row_without_what_is_required_is_no_row() -> None:
    """Where somebody dropped NOT NULL a null is for the checks to tell, and breaks nothing here."""
    rows = small.table(small.BLOCKS, [{"block_number": 1}, *small.rows(BlockRange(2, 3))["blocks"]])
    assert [row["block_number"] for row in _rehashed.plain(small.BLOCKS, rows)] == [2]


def test_every_family_with_hashes_of_its_own_is_found_by_its_file() -> None:
    """The folder is read; a family without a file is told as such."""
    assert lookup.names("audit") == ("cosmos", "evm", "tron")
