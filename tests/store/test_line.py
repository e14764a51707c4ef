"""A slice on the line: merged if it is sound; else put aside and told, and nothing is merged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any, cast

import pytest
from sqlalchemy.engine import Engine

from chainflow import datasets as tables_of
from chainflow import line
from chainflow.errors import (
    CheckFailed,
    MalformedAnswer,
    NotYet,
    ReorgDetected,
    RowsRefused,
    Unlinked,
)
from chainflow.store import batch
from chainflow.types import Batch, BlockRange, RawBlock
from tests import evm, small, stored
from tests.store.test_checks import BLOCKS, DAMAGES, told


def merge(engine: Engine, rows: batch.Slice) -> line.Totals:
    """Put one slice through the line."""
    total = line.Totals()
    asyncio.run(line._Line(engine, rows.chain, rows.datasets, "test", None, total).merge(rows))
    return total


def test_sound_slice_is_merged_and_counted(engine: Engine) -> None:
    """Its rows are visible, its totals told, and nothing is left in staging."""
    total = merge(engine, small.slice_(engine, BLOCKS))
    assert (total.blocks, total.size) == (6, 600)
    assert total.rows == {"blocks": 6, "transactions": 6, "logs": 6}
    assert small.heights(engine) == list(BLOCKS)
    assert small.staging(engine) == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_slice_is_put_aside_and_told(engine: Engine, damage: str) -> None:
    """Whatever a check finds in staged rows stops a merge, and is told with where the rows are."""
    do, expected = DAMAGES[damage]
    rows = small.rows(BLOCKS)
    do(rows)
    with pytest.raises(CheckFailed) as failed:
        merge(engine, small.slice_(engine, BLOCKS, rows))
    assert told(list(failed.value.findings)) == expected
    kept = {f"staging.{name}" for name in small.staging(engine)}
    assert {finding.table for finding in failed.value.findings} <= kept
    assert small.heights(engine) == []
    assert small.ask(engine, "SELECT count(*) FROM chainflow.progress") == [0]


def test_block_that_cannot_be_decoded_is_told_with_its_endpoint(engine: Engine) -> None:
    """A number too long for its column, in words of range and host."""
    odd = replace(evm.raw(evm.block(difficulty=hex(2**256))), host="a.example")
    datasets = tables_of.get("evm", ["blocks"])
    given = line._Line(engine, stored.ETHEREUM, datasets, "test", None, line.Totals())
    with pytest.raises(MalformedAnswer, match=r"^ethereum \[1000, 1001\): .* \(from a\.example\)$"):
        given.decode([odd])


def test_blocks_before_a_failed_fetch_are_sliced_all_the_same() -> None:
    """What came is merged; then the error is told."""

    async def blocks() -> AsyncGenerator[RawBlock, None]:
        for height in range(3):
            yield RawBlock(height, "", "", 0, None, 1)
        raise NotYet("no block 3")

    async def work() -> None:
        async for part in line.slices(blocks()):
            found.append([block.height for block in part])

    found: list[list[int]] = []
    with pytest.raises(NotYet, match="no block 3"):
        asyncio.run(work())
    assert found == [[0, 1, 2]]


def test_a_slice_is_on_its_way_before_the_next_is_decoded() -> None:
    """Even if the next is there already: decoding gives nobody else a turn."""
    done: list[str] = []

    class Line:
        witness = None
        datasets = ()

        def decode(self, blocks: list[RawBlock]) -> int:
            done.append(f"decoded {blocks[0].height}")
            return blocks[0].height

        async def merge(self, slice_: int) -> None:
            done.append(f"merging {slice_}")

    class Client:
        async def fetch(self, blocks: BlockRange, _: object) -> AsyncGenerator[RawBlock, None]:
            for height in blocks:
                yield RawBlock(height, "", "", 0, None, line.SLICE_BYTES)

    asyncio.run(line._once(cast("Any", Line()), cast("Any", Client()), Batch(BlockRange(0, 2), ())))
    assert done == ["decoded 0", "merging 0", "decoded 1", "merging 1"]


@pytest.mark.parametrize("beside", [[(5, 10)], [(16, 20)], [(5, 10), (16, 20)]])
def test_slice_of_another_branch_is_told_as_such(
    engine: Engine, beside: list[tuple[int, int]]
) -> None:
    """Only its links to merged blocks are wrong: nothing is kept for a person to look at."""
    for start, stop in beside:
        small.merge(engine, start, stop)
    rows = small.slice_(engine, BLOCKS, small.rows(BLOCKS, fork="b"))
    with pytest.raises(Unlinked, match=r"parent_hash is .* \(from a\.example\): .* two branches"):
        merge(engine, replace(rows, hosts=("a.example",)))
    assert small.staging(engine) == []


def test_slice_of_another_branch_where_blocks_are_final(engine: Engine) -> None:
    """Below it the node broke its word; above it, the rows are put aside."""
    chain = replace(small.CHAIN, finality_tag="finalized")
    rows = small.slice_(engine, BLOCKS, small.rows(BLOCKS, fork="b"), chain=chain)
    small.merge(engine, 16, 20)
    with pytest.raises(CheckFailed, match="linked: 1 failing"):
        merge(engine, rows)
    assert len(small.staging(engine)) == 3
    small.do(engine, "DELETE FROM tinychain.blocks")
    small.merge(engine, 5, 10)
    with pytest.raises(ReorgDetected, match=r"reorganised below height 10 .* though it was final"):
        merge(engine, rows)


def test_slice_that_a_foreign_constraint_refuses_is_told_as_refused(engine: Engine) -> None:
    """Where no check has anything against the rows, the table's own words are told."""
    rows = small.slice_(engine, BlockRange(0, 3))
    small.do(engine, "ALTER TABLE tinychain.blocks ADD CONSTRAINT low CHECK (block_number < 2)")
    with pytest.raises(RowsRefused, match='violates check constraint "low"'):
        merge(engine, rows)
    assert small.staging(engine) == []
    assert small.heights(engine) == []
