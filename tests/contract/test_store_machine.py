"""Planner and store under any interleaving of merge, retry, gap, backfill, reorg and rewind."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial

import hypothesis
import psycopg2
import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy.engine import Connection, Engine

from chainflow import checks, heights, plan
from chainflow.errors import CheckFailed
from chainflow.store import batch, rewind
from chainflow.types import BlockRange
from tests import small, soak

STOP = 40
CHAIN = replace(small.CHAIN, start=10, task_minutes=1.0, max_tasks_per_run=3)
NAMES = tuple(dataset.name for dataset in small.ALL)
HEIGHTS = st.integers(0, STOP - 1)
SIZES = st.integers(1, 12)
WANTED = st.sampled_from([NAMES, NAMES, ("blocks",), ("blocks", "logs"), ("transactions",)])


class Broken(Exception):
    """A run that ends in the middle of a merge."""


class Line(RuleBasedStateMachine):
    """A node whose chain may fork, a store, and what must be in it: a fork's word by height."""

    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self.chain = CHAIN
        self.forks = ["a"] * STOP
        self.made = 0
        self.merged: dict[str, dict[int, str]] = {name: {} for name in NAMES}
        self.last = (BlockRange(CHAIN.start, CHAIN.start + 1), NAMES)
        _forget(self.engine)

    @rule(low=HEIGHTS, size=SIZES, names=WANTED)
    def merge(self, low: int, size: int, names: tuple[str, ...]) -> None:
        """Any range, merged before or not, of some datasets."""
        self.last = (BlockRange(low, min(low + size, STOP)), names)
        self._merge(*self.last)

    @rule()
    def retry(self) -> None:
        """The last one again, as a zombie or a second attempt would."""
        self._merge(*self.last)

    @rule(low=HEIGHTS, size=SIZES, lost=HEIGHTS)
    def merge_that_lacks_a_block(self, low: int, size: int, lost: int) -> None:
        """A check refuses it, and nothing changes."""
        blocks = BlockRange(low, min(low + size, STOP))
        rows = self._rows(blocks)
        del rows["blocks"][lost % len(blocks)]
        try:
            self._put(blocks, NAMES, rows)
        except CheckFailed:
            return
        raise AssertionError("a block is missing and nobody saw it")

    @rule(low=HEIGHTS, size=SIZES)
    def merge_that_breaks(self, low: int, size: int) -> None:
        """Its rows are in the tables and then its process is gone."""
        blocks = BlockRange(low, min(low + size, STOP))

        def end(_: Connection) -> None:
            raise Broken

        with suppress(Broken):
            batch.merge(self.engine, self._slice(blocks, NAMES), end, seconds=0.1, run_id="test")

    @rule(at=st.integers(1, STOP - 1))
    def fork(self, at: int) -> None:
        """The node's chain has other blocks from a height on."""
        self.made += 1
        self.forks[at:] = [f"{self.made:x}f"] * (STOP - at)

    @rule(start=st.integers(0, 20))
    def move_start(self, start: int) -> None:
        """The registry's start goes down, for a backfill, or up."""
        self.chain = replace(self.chain, start=start)
        heights.register(self.engine, [self.chain])

    @rule()
    def rewind(self) -> None:
        """What no longer is the node's chain is removed from the lowest such height on."""
        stale = self._stale("blocks")
        if not stale:
            return
        start = min(stale)
        reorg = rewind.Reorg(
            start,
            small.block_hash(start, self.merged["blocks"][start]),
            small.block_hash(start, self.forks[start]),
        )
        for _ in range(2):  # the second time it is done already
            rewind.rewind(
                self.engine, self.chain, reorg, height_column="block_number", run_id="test"
            )
        for there in self.merged.values():
            for height in [height for height in there if height >= start]:
                del there[height]

    @rule(stop=st.integers(1, STOP))
    def run(self, stop: int) -> None:
        """What the planner asks for, up to a target."""
        gaps = heights.gaps(self.engine, self.chain, stop)
        batches = plan.plan(self.chain, gaps, rate=6.0, costs=None)
        assert len(batches) <= self.chain.max_tasks_per_run
        taken: set[tuple[str, int]] = set()
        for one in batches:
            wanted = {(name, height) for name in one.datasets for height in one.blocks}
            missing = {
                (name, height) for name in one.datasets for gap in gaps[name] for height in gap
            }
            assert wanted <= missing
            assert not wanted & taken
            taken |= wanted
        assert batches or not any(gaps.values())
        for one in batches:
            self._merge(one.blocks, one.datasets)

    @invariant()
    def tables_hold_what_was_merged(self) -> None:
        """Each merged height once, of the branch it was merged of, and no other."""
        for dataset in small.ALL:
            found = small.ask(
                self.engine,
                f"SELECT block_number, block_hash FROM tinychain.{dataset.name} ORDER BY 1, 2",
            )
            count = (lambda _: 1) if dataset.name == "blocks" else (lambda height: height % 3)
            assert found == [
                (height, small.block_hash(height, fork))
                for height, fork in sorted(self.merged[dataset.name].items())
                for _ in range(count(height))
            ]

    @invariant()
    def progress_is_what_was_merged(self) -> None:
        """The store's ranges are the merged heights, and the watermark never steps over a gap."""
        missing = heights.gaps(self.engine, self.chain, STOP)
        marks = []
        for name, there in self.merged.items():
            expected = [h for h in range(self.chain.start, STOP) if h not in there]
            assert [height for gap in missing[name] for height in gap] == expected
            marks.append(min(expected, default=STOP) - 1)
        # Above STOP there is nothing, so a stream without a gap has its watermark there.
        low = min(marks)
        found = heights.watermark(self.engine, self.chain)
        assert found == (low if low >= self.chain.start else None)

    def teardown(self) -> None:
        """Runs and rewinds that nobody disturbs end with the node's chain, whole and sound."""
        for _ in range(2 * STOP):
            self.rewind()
            self.run(STOP)
            if not any(heights.gaps(self.engine, self.chain, STOP).values()):
                break
        whole = BlockRange(self.chain.start, STOP)
        assert all(height in there for there in self.merged.values() for height in whole)
        self.tables_hold_what_was_merged()
        if not any(map(self._stale, NAMES)):
            assert checks.audit(self.engine, self.chain, small.ALL, BlockRange(0, STOP)) == []

    def _merge(self, blocks: BlockRange, names: tuple[str, ...]) -> None:
        """Merge the node's rows; refused only where merged ones beside are of another branch.

        With blocks where there are none yet: a reorg is seen by them alone.
        """
        if not self.merged["blocks"].keys() >= set(blocks):
            names = NAMES
        try:
            self._put(blocks, names, self._rows(blocks))
        except CheckFailed:
            around = range(blocks.start - 1, blocks.stop + 1)
            assert any(height in self._stale(name) for name in NAMES for height in around)
            return
        for name in names:
            self.merged[name].update({height: self.forks[height] for height in blocks})

    def _put(
        self, blocks: BlockRange, names: tuple[str, ...], rows: dict[str, list[small.Row]]
    ) -> None:
        slice_ = self._slice(blocks, names, rows)

        def check(connection: Connection) -> None:
            if findings := checks.arrived(connection, slice_):
                raise CheckFailed(self.chain.name, blocks, findings)

        batch.merge(self.engine, slice_, check, seconds=0.1, run_id="test")

    def _slice(
        self,
        blocks: BlockRange,
        names: tuple[str, ...],
        rows: dict[str, list[small.Row]] | None = None,
    ) -> batch.Slice:
        wanted = tuple(dataset for dataset in small.ALL if dataset.name in names)
        given = self._rows(blocks) if rows is None else rows
        return small.slice_(self.engine, blocks, given, chain=self.chain, datasets=wanted)

    def _rows(self, blocks: BlockRange) -> dict[str, list[small.Row]]:
        """What the node has of a range, linked across its forks."""
        found: dict[str, list[small.Row]] = {}
        for height in blocks:
            alone = small.rows(BlockRange(height, height + 1), self.forks[height])
            below = self.forks[height - 1] if height else "a"
            alone["blocks"][0]["parent_hash"] = small.block_hash(height - 1, below)
            for name, rows in alone.items():
                found.setdefault(name, []).extend(rows)
        return found

    def _stale(self, name: str) -> set[int]:
        """Merged heights that the node has another block of now."""
        return {h for h, fork in self.merged[name].items() if fork != self.forks[h]}


def _forget(engine: Engine) -> None:
    small.do(engine, "TRUNCATE tinychain.blocks, tinychain.transactions, tinychain.logs")
    for control in ("progress", "merge_log", "reorg", "chain"):
        small.do(engine, f"DELETE FROM chainflow.{control}")


def test_any_interleaving_keeps_the_promises(database_url: str) -> None:
    """Watermark never above a gap, no height twice, nothing above a rewind; and it always ends."""
    # One connection for all: as many as there are steps would take most of the time.
    connect = partial(psycopg2.connect, database_url)
    engine = sa.create_engine("postgresql+psycopg2://", creator=connect, pool_size=1)
    small.merge(engine, 0, 1)  # the tables
    run_state_machine_as_test(
        type("Here", (Line,), {"engine": engine}),
        settings=hypothesis.settings(
            max_examples=soak.times(25, 1000),
            stateful_step_count=soak.times(15, 50),
            deadline=None,
            # The steps that fail are few enough to read; fewer would take minutes to find.
            phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        ),
    )
    engine.dispose()
