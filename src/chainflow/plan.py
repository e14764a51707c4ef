"""Gaps to batches: how much the next run takes, and in which order; pure.

A batch never leaves its gap, so heights that are merged already are never read twice. No height is
expanded and no gap is read that the run has no task for: 100,000 gaps cost no more than ten.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from chainflow.types import Batch, BlockRange, Chain, Costs, Heights

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

# A run costs Airflow ten to fifteen seconds beside its work: a twentieth of five minutes. A killed
# worker or a deploy loses the slice it was at, no more: each is merged as it comes.
TASK_SECONDS = 300.0
# A task merges slice by slice, so this bounds its traffic and what it writes, not its memory.
TASK_BYTES = 4 * 1024**3
# A block costs at least this; an empty measurement would else ask for every height at once.
_LEAST_SECONDS, _LEAST_BYTES = 1e-6, 1.0


def target(chain: Chain, heights: Heights) -> int | None:
    """Highest height this run may read, inclusive; None while nothing from the start is old enough.

    A chain with a finality tag whose node names no height for it has nothing final yet: the head
    never stands in for it.
    """
    height = heights.finalized if chain.finality_tag else heights.head - chain.confirmations
    return height if height is not None and height >= chain.start else None


def plan(
    chain: Chain,
    gaps: Mapping[str, Sequence[BlockRange]],
    *,
    rate: float,
    costs: Costs | None,
) -> tuple[Batch, ...]:
    """The batches of the next run, the head's first, then from the oldest gap upwards.

    Args:
        chain: Whose `task_minutes` and `max_tasks_per_run` hold.
        gaps: Missing heights by dataset, ascending and disjoint, already cut at the target; of more
            than `most_gaps` the lowest and the highest do.
        rate: Blocks per minute.
        costs: What a block cost lately; None before anything was merged.

    Returns:
        At most `max_tasks_per_run` batches. Where datasets miss the same heights they share a
        batch. With a backfill below, the highest gap gets one task before it; a run of a single
        task gives it to the head as soon as more than one task of chain time is waiting there.
    """
    head = _highest(gaps)
    if head is None:
        return ()
    most = size(chain, rate=rate, costs=costs)
    slots = chain.max_tasks_per_run
    ascending = _cut(_segments(gaps), most)
    oldest = next(ascending)
    backfill = oldest.blocks.stop <= head.blocks.start
    head_first = backfill and (slots > 1 or len(head.blocks) > _following(chain, rate))
    leading = tuple(islice(_cut([head], most), 1 if head_first else 0))
    others = (batch for batch in (oldest, *islice(ascending, slots)) if batch not in leading)
    return leading + tuple(islice(others, slots - len(leading)))


def most_gaps(chain: Chain) -> int:
    """How many gaps of a dataset `plan` may need: the highest, and the lowest, one a batch."""
    return chain.max_tasks_per_run + 2


def segments(gaps: Mapping[str, Sequence[BlockRange]]) -> tuple[Batch, ...]:
    """Every missing height once, from the lowest up; datasets that miss the same share a batch."""
    return tuple(_segments(gaps))


def _following(chain: Chain, rate: float) -> int:
    """Blocks of one task that follows the head: `task_minutes` of chain time."""
    return max(1, round(rate * chain.task_minutes))


def size(chain: Chain, *, rate: float, costs: Costs | None) -> int:
    """Most blocks of one task: the range grows before the number of tasks does."""
    following = _following(chain, rate)
    if costs is None:
        return following
    in_time = TASK_SECONDS / max(costs.seconds_per_block, _LEAST_SECONDS)
    in_bytes = TASK_BYTES / max(costs.bytes_per_block, _LEAST_BYTES)
    return max(1, int(min(max(following, in_time), in_bytes)))


def _cut(segments: Iterable[Batch], size: int) -> Iterator[Batch]:
    for segment in segments:
        for low in range(segment.blocks.start, segment.blocks.stop, size):
            blocks = BlockRange(low, min(low + size, segment.blocks.stop))
            yield Batch(blocks, segment.datasets)


def _segments(gaps: Mapping[str, Sequence[BlockRange]]) -> Iterator[Batch]:
    """The missing heights from the lowest up, cut wherever the datasets that miss them change."""
    at = dict.fromkeys((dataset for dataset, missing in gaps.items() if missing), 0)
    position = 0
    while at:
        starts = {dataset: max(gaps[dataset][i].start, position) for dataset, i in at.items()}
        low = min(starts.values())
        missing = tuple(dataset for dataset, start in starts.items() if start == low)
        stops = [gaps[dataset][at[dataset]].stop for dataset in missing]
        position = min([*stops, *(start for start in starts.values() if start > low)])
        yield Batch(BlockRange(low, position), missing)
        for dataset in missing:
            if gaps[dataset][at[dataset]].stop == position:
                at[dataset] += 1
                if at[dataset] == len(gaps[dataset]):
                    del at[dataset]


def _highest(gaps: Mapping[str, Sequence[BlockRange]]) -> Batch | None:
    """The last of `_segments`, found from above."""
    tops = {dataset: missing[-1] for dataset, missing in gaps.items() if missing}
    if not tops:
        return None
    stop = max(top.stop for top in tops.values())
    missing = tuple(dataset for dataset, top in tops.items() if top.stop == stop)
    bounds = [tops[d].start if d in missing else tops[d].stop for d in tops]
    return Batch(BlockRange(max(bounds), stop), missing)
