"""Gaps to batches: sizes, order, and what every plan keeps to."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainflow import plan as planning
from chainflow.plan import TASK_BYTES, TASK_SECONDS, plan, target
from chainflow.types import Batch, BlockRange, Chain, Costs, Heights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Gaps = dict[str, list[BlockRange]]


def _chain(
    *, max_tasks_per_run: int = 8, task_minutes: float = 5.0, start: int = 0, tag: str | None = None
) -> Chain:
    return Chain(
        name="ethereum",
        family="evm",
        chain_id=1,
        blocks_per_minute=5.0,
        start=start,
        finality_tag=tag,
        confirmations=0 if tag else 12,
        max_tasks_per_run=max_tasks_per_run,
        task_minutes=task_minutes,
    )


def _gaps(*ranges: tuple[int, int]) -> Gaps:
    return {"blocks": [BlockRange(*both) for both in ranges]}


def _ranges(batches: Sequence[Batch]) -> list[tuple[int, int]]:
    return [(batch.blocks.start, batch.blocks.stop) for batch in batches]


@pytest.mark.parametrize(
    ("tag", "start", "heights", "expected"),
    [
        ("finalized", 0, Heights(100, 36), 36),
        ("finalized", 0, Heights(100, 0), 0),
        ("finalized", 0, Heights(100, None), None),
        ("finalized", 37, Heights(100, 36), None),
        (None, 0, Heights(100, None), 88),
        (None, 0, Heights(12, None), 0),
        (None, 0, Heights(11, None), None),
    ],
)
def test_target_is_the_finalized_height_or_below_the_head(
    tag: str | None, start: int, heights: Heights, expected: int | None
) -> None:
    """None while nothing is old enough; a missing tag is never replaced by the head."""
    assert target(_chain(tag=tag, start=start), heights) == expected


@pytest.mark.parametrize(("rate", "size"), [(238.6, 1193), (555.1, 2776), (5.0, 25), (0.01, 1)])
def test_following_task_covers_its_minutes_of_chain_time(rate: float, size: int) -> None:
    """Blocks per minute times task_minutes, and never less than one block."""
    first, second, *_ = plan(_chain(), _gaps((0, 10 * size)), rate=rate, costs=None)
    assert _ranges([first, second]) == [(0, size), (size, 2 * size)]


def test_range_grows_before_the_number_of_tasks() -> None:
    """Behind by less than one task's budget of time, one task takes it all."""
    costs = Costs(seconds_per_block=0.01, bytes_per_block=1000)
    batches = plan(_chain(), _gaps((50, 9050)), rate=5.0, costs=costs)
    assert _ranges(batches) == [(50, 9050)]


def test_task_takes_no_more_than_its_time() -> None:
    """Further behind, every task is as long as its budget of time, up to the most tasks."""
    size = int(TASK_SECONDS / 0.01)
    costs = Costs(seconds_per_block=0.01, bytes_per_block=1000)
    batches = plan(_chain(max_tasks_per_run=3), _gaps((0, 10**9)), rate=5.0, costs=costs)
    assert _ranges(batches) == [(0, size), (size, 2 * size), (2 * size, 3 * size)]


def test_task_takes_no_more_than_its_bytes() -> None:
    """However quick the node, and also while following the head."""
    costs = Costs(seconds_per_block=1e-9, bytes_per_block=TASK_BYTES / 10)
    assert _ranges(plan(_chain(), _gaps((0, 25)), rate=5.0, costs=costs)) == [
        (0, 10),
        (10, 20),
        (20, 25),
    ]


def test_task_takes_a_block_that_exceeds_every_budget() -> None:
    """One block is the least there is."""
    costs = Costs(seconds_per_block=10 * TASK_SECONDS, bytes_per_block=2.0 * TASK_BYTES)
    assert _ranges(plan(_chain(), _gaps((7, 9)), rate=0.1, costs=costs)) == [(7, 8), (8, 9)]


def test_costs_of_nothing_do_not_ask_for_everything() -> None:
    """A measurement of zero is bounded like any other."""
    (batch, *_) = plan(_chain(), _gaps((0, 2**62)), rate=5.0, costs=Costs(0.0, 0.0))
    assert len(batch.blocks) <= TASK_SECONDS * 1e6


def test_nothing_missing_plans_nothing() -> None:
    """No gap, no task."""
    assert plan(_chain(), {}, rate=5.0, costs=None) == ()
    assert plan(_chain(), {"blocks": []}, rate=5.0, costs=None) == ()


def test_head_gets_the_first_task_before_a_backfill() -> None:
    """The rest go to the oldest gap upwards."""
    gaps = _gaps((0, 1000), (2000, 2010))
    batches = plan(_chain(max_tasks_per_run=3), gaps, rate=5.0, costs=None)
    assert _ranges(batches) == [(2000, 2010), (0, 25), (25, 50)]


def test_head_that_fell_behind_gets_the_tasks_the_backfill_leaves() -> None:
    """Its first task stands first; what remains of it comes after the older gaps, nothing twice."""
    gaps = _gaps((0, 30), (2000, 2060))
    batches = plan(_chain(), gaps, rate=5.0, costs=None)
    assert _ranges(batches) == [(2000, 2025), (0, 25), (25, 30), (2025, 2050), (2050, 2060)]


def test_single_task_serves_head_and_backfill_in_turn() -> None:
    """The head first once more than a task waits there, else the backfill: neither starves."""
    chain = _chain(max_tasks_per_run=1)
    waiting = plan(chain, _gaps((0, 1000), (2000, 2026)), rate=5.0, costs=None)
    assert _ranges(waiting) == [(2000, 2025)]
    followed = plan(chain, _gaps((0, 1000), (2000, 2025)), rate=5.0, costs=None)
    assert _ranges(followed) == [(0, 25)]


def test_datasets_that_miss_the_same_heights_share_a_batch() -> None:
    """A dataset that alone misses a range gets its own batch; no height is fetched twice."""
    gaps = {
        "blocks": [BlockRange(10, 20)],
        "logs": [BlockRange(10, 20)],
        "withdrawals": [BlockRange(0, 15)],
    }
    assert plan(_chain(), gaps, rate=5.0, costs=None) == (
        Batch(BlockRange(15, 20), ("blocks", "logs")),
        Batch(BlockRange(0, 10), ("withdrawals",)),
        Batch(BlockRange(10, 15), ("blocks", "logs", "withdrawals")),
    )


def test_new_dataset_does_not_hold_up_the_head() -> None:
    """Its whole history is a backfill below the head, though it is one gap of its own."""
    new = [BlockRange(0, 100_010)]
    gaps = {"blocks": [BlockRange(100_000, 100_010)], "withdrawals": new}
    first, second, *_ = plan(_chain(), gaps, rate=5.0, costs=None)
    assert first == Batch(BlockRange(100_000, 100_010), ("blocks", "withdrawals"))
    assert second == Batch(BlockRange(0, 25), ("withdrawals",))


@st.composite
def _missing(draw: st.DrawFn) -> list[BlockRange]:
    """Ascending, disjoint ranges that do not touch, as the store gives them."""
    steps = draw(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 60)), max_size=6))
    ranges, at = [], -1
    for skip, length in steps:
        ranges.append(BlockRange(at + skip, at + skip + length))
        at = ranges[-1].stop
    return ranges


GAPS = st.dictionaries(st.sampled_from(["blocks", "logs", "transactions"]), _missing())
COSTS = st.none() | st.builds(
    Costs,
    seconds_per_block=st.floats(0, 500),
    bytes_per_block=st.floats(0, 2.0 * TASK_BYTES),
)
RATE = st.floats(0, 20)


def _missed(gaps: Mapping[str, Sequence[BlockRange]]) -> dict[str, set[int]]:
    return {dataset: {h for blocks in missing for h in blocks} for dataset, missing in gaps.items()}


@given(gaps=GAPS, costs=COSTS, rate=RATE, slots=st.integers(1, 12))
def test_plan_takes_missing_heights_once_and_no_others(
    gaps: Gaps, costs: Costs | None, rate: float, slots: int
) -> None:
    """Batches are inside the gaps, never overlap for a dataset, and are no more than allowed."""
    batches = plan(_chain(max_tasks_per_run=slots), gaps, rate=rate, costs=costs)
    missed = _missed(gaps)
    assert len(batches) <= slots
    assert len({batch.blocks for batch in batches}) == len(batches)
    taken: dict[str, set[int]] = {dataset: set() for dataset in gaps}
    for batch in batches:
        heights = set(batch.blocks)
        assert set(batch.datasets) == {d for d, m in missed.items() if batch.blocks.start in m}
        for dataset in batch.datasets:
            assert heights <= missed[dataset]
            assert not heights & taken[dataset]
            taken[dataset] |= heights


@given(gaps=GAPS, costs=COSTS, rate=RATE, slots=st.integers(1, 4))
def test_plan_needs_no_more_gaps_than_it_says(
    gaps: Gaps, costs: Costs | None, rate: float, slots: int
) -> None:
    """Of many gaps the lowest and the highest give the plan that all give."""
    chain = _chain(max_tasks_per_run=slots)
    lowest = planning.most_gaps(chain) - 1
    few = {dataset: [*some[:lowest], *some[lowest:][-1:]] for dataset, some in gaps.items()}
    assert plan(chain, few, rate=rate, costs=costs) == plan(chain, gaps, rate=rate, costs=costs)


def _highest_run(gaps: Gaps) -> int:
    """First height of the highest run that the same datasets miss."""
    missed = _missed(gaps)
    height = max(set().union(*missed.values()))
    missing = {dataset for dataset, heights in missed.items() if height in heights}
    while {dataset for dataset, heights in missed.items() if height - 1 in heights} == missing:
        height -= 1
    return height


@given(gaps=GAPS, costs=COSTS, rate=RATE, slots=st.integers(2, 12))
def test_plan_starts_at_the_oldest_gap_and_at_the_head(
    gaps: Gaps, costs: Costs | None, rate: float, slots: int
) -> None:
    """Both get a task in every run that has two; between the batches of a gap nothing is left."""
    batches = plan(_chain(max_tasks_per_run=slots), gaps, rate=rate, costs=costs)
    missed = set().union(*_missed(gaps).values())
    if not missed:
        assert not batches
        return
    assert min(missed) in {batch.blocks.start for batch in batches}
    assert _highest_run(gaps) in {batch.blocks.start for batch in batches}
    if len(batches) < slots:
        assert {h for batch in batches for h in batch.blocks} == missed
    upwards = [batch.blocks for batch in batches[1:]]
    assert upwards == sorted(upwards)
    for below, above in pairwise(upwards):
        between = set(range(below.stop, above.start)) & missed
        assert between <= set(batches[0].blocks)


@given(gaps=GAPS, costs=COSTS, rate=RATE)
def test_runs_of_plans_fill_every_gap(gaps: Gaps, costs: Costs | None, rate: float) -> None:
    """Merging what each run takes ends with nothing missing, even one task at a time."""
    left = _missed(gaps)
    chain = _chain(max_tasks_per_run=1)
    for _ in range(sum(map(len, left.values())) + 1):
        for batch in plan(chain, _again(left), rate=rate, costs=costs):
            for dataset in batch.datasets:
                left[dataset] -= set(batch.blocks)
    assert not any(left.values())


def _again(left: Mapping[str, set[int]]) -> Gaps:
    gaps: Gaps = {}
    for dataset, heights in left.items():
        gaps[dataset] = []
        for height in sorted(heights):
            if gaps[dataset] and gaps[dataset][-1].stop == height:
                start = gaps[dataset].pop().start
                gaps[dataset].append(BlockRange(start, height + 1))
            else:
                gaps[dataset].append(BlockRange(height, height + 1))
    return gaps


def test_plan_reads_only_the_gaps_it_has_tasks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred thousand gaps, or a gap of all heights, cost what the tasks cost."""
    made: list[BlockRange] = []

    def making(start: int, stop: int) -> BlockRange:
        made.append(BlockRange(start, stop))
        return made[-1]

    monkeypatch.setattr(planning, "BlockRange", making)
    many = [BlockRange(3 * i, 3 * i + 1) for i in range(100_000)] + [BlockRange(10**6, 2**62)]
    batches = plan(_chain(), {"blocks": many, "logs": many}, rate=5.0, costs=None)
    assert len(batches) == 8
    assert len(made) < 50
