"""Every merged height is looked at within a set number of days, a share a run."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from sqlalchemy.engine import Engine

from chainflow.audit import _parts, _rounds
from chainflow.types import BlockRange, Finding
from tests import small

CHAIN = replace(small.CHAIN, audit_days=10)


def merged(engine: Engine, *ranges: tuple[int, int]) -> None:
    """Let the store say that ranges are merged, whatever rows there are."""
    small.do(engine, "DELETE FROM chainflow.progress")
    told = ", ".join(f"[{low}, {stop})" for low, stop in ranges)
    small.do(
        engine,
        "INSERT INTO chainflow.progress (chain, dataset, start, merged)"
        f" VALUES ('tinychain', 'blocks', 0, '{{{told}}}')",
    )


def look(engine: Engine, blocks: BlockRange, *findings: Finding) -> None:
    """Log that a range was looked at."""
    entry = _rounds.begin(engine, CHAIN, "run", node=False)
    _rounds.looked(engine, CHAIN, entry, _parts.Part(blocks, len(blocks)), findings)


def days_later(engine: Engine, days: float) -> None:
    """Let the round have begun that much earlier."""
    small.do(
        engine, f"UPDATE chainflow.audit SET began_at = began_at - interval '{days * 24} hours'"
    )


def test_share_is_what_a_run_must_take_for_the_round_to_end_in_time(engine: Engine) -> None:
    """Of ten days the first hour takes a 240th; from the lowest height up, over gaps."""
    merged(engine, (0, 100_000), (300_000, 2_600_000))
    assert _rounds.share(engine, CHAIN) == [BlockRange(0, 10_000)]
    look(engine, BlockRange(0, 95_000))
    assert _rounds.share(engine, CHAIN) == [
        BlockRange(95_000, 100_000),
        BlockRange(300_000, 304_605),
    ]


def test_share_grows_where_runs_were_missed(engine: Engine) -> None:
    """Half of the time is over and nothing was looked at: each run takes twice as much."""
    merged(engine, (0, 2_400_000))
    assert _rounds.share(engine, CHAIN) == [BlockRange(0, 10_000)]
    days_later(engine, 5)
    (part,) = _rounds.share(engine, CHAIN)
    assert 20_000 <= len(part) <= 20_002
    days_later(engine, 5)
    assert _rounds.share(engine, CHAIN) == [BlockRange(0, 2_400_000)]


def test_every_height_is_looked_at_within_the_days(engine: Engine) -> None:
    """Run by run through a day and the next, of a chain that grows, no height waits longer."""
    daily = replace(CHAIN, audit_days=1)
    seen: dict[int, list[int]] = {height: [] for height in (0, 20_000, 45_000, 59_999)}
    for run in range(2 * 24 + 2):
        merged(engine, (0, 60_000 + 100 * run))
        for part in _rounds.share(engine, daily):
            look(engine, part)
            for height in seen:
                seen[height] += [run] if height in part else []
        days_later(engine, 1 / 24)
    for runs in seen.values():
        assert len(runs) >= 2
        assert all(after - before <= 24 for before, after in pairwise(runs))


def test_a_round_that_ended_early_waits_for_its_days(engine: Engine) -> None:
    """A small chain is looked at at once, then new heights only, then all of it again."""
    merged(engine, (0, 500))
    assert _rounds.share(engine, CHAIN) == [BlockRange(0, 500)]
    look(engine, BlockRange(0, 500))
    assert _rounds.share(engine, CHAIN) == []
    merged(engine, (0, 510))
    assert _rounds.share(engine, CHAIN) == [BlockRange(500, 510)]
    look(engine, BlockRange(500, 510))
    days_later(engine, 9.9)
    assert _rounds.share(engine, CHAIN) == []
    days_later(engine, 0.2)
    assert _rounds.share(engine, CHAIN) == [BlockRange(0, 510)]


def test_heights_that_nobody_looked_at_in_time_are_told(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """Not those that came since the last run, and no longer once they were looked at."""
    merged(engine, (0, 50_000))
    look(engine, BlockRange(0, 20_000))
    assert _rounds.overdue(engine, CHAIN) == 0
    days_later(engine, 10)
    assert _rounds.overdue(engine, CHAIN) == 30_000
    assert _rounds.overdue(engine, replace(CHAIN, audit_days=0)) == 0
    assert _rounds.share(engine, CHAIN) == [BlockRange(20_000, 50_000)]
    assert caplog.messages == ["audit overdue chain=tinychain heights=30000 days=10"]
    look(engine, BlockRange(20_000, 49_500))
    assert _rounds.overdue(engine, CHAIN) == 0


def test_what_was_not_merged_when_it_was_looked_at_is_still_to_be(engine: Engine) -> None:
    """A row above all that is merged is found there, which says nothing of what is merged later."""
    merged(engine, (0, 500))
    look(engine, BlockRange(0, 500))
    entry = _rounds.begin(engine, CHAIN, "run", node=False)
    stray = Finding("recorded", "tinychain.blocks", 1, "", ranges=(BlockRange(700, 701),))
    _rounds.looked(engine, CHAIN, entry, _parts.Part(BlockRange(500, 2**63 - 1), 0), [stray])
    merged(engine, (0, 800))
    assert _rounds.share(engine, CHAIN) == [BlockRange(500, 800)]


@pytest.mark.parametrize("days", [0, 30])
def test_nothing_is_next_of_a_chain_without_days_or_rows(engine: Engine, days: int) -> None:
    """`audit_days: 0` means never, and where nothing is merged there is nothing to look at."""
    if days == 0:
        merged(engine, (0, 500))
    assert _rounds.share(engine, replace(CHAIN, audit_days=days)) == []


def test_log_tells_what_was_looked_at_and_what_fails(engine: Engine) -> None:
    """One row an audit, kept up part by part."""
    entry = _rounds.begin(engine, CHAIN, "run", node=True)
    fails = Finding(
        "complete", "tinychain.blocks", 3, "", ranges=(BlockRange(3, 5), BlockRange(7, 8))
    )
    _rounds.looked(engine, CHAIN, entry, _parts.Part(BlockRange(0, 10), 10), [fails])
    _rounds.looked(engine, CHAIN, entry, _parts.Part(BlockRange(10, 20), 10), [])
    assert small.ask(
        engine,
        "SELECT chain, run_id, against_node, looked::text, failing::text, row_count,"
        " ended_at > began_at FROM chainflow.audit_log",
    ) == [("tinychain", "run", True, "{[0,20)}", "{[3,5),[7,8)}", 3, True)]


def test_parts_are_the_whole_range_in_merged_and_unmerged_stretches(engine: Engine) -> None:
    """Merged runs in small parts, gaps whole however long: an empty chain's end is one part."""
    merged(engine, (5, 1_500), (4_000, 4_001))
    told = [
        (p.blocks.start, p.blocks.stop, p.merged)
        for p in _parts.parts(engine, CHAIN, BlockRange(0, 2**63 - 1))
    ]
    assert told == [
        (0, 5, 0),
        (5, 1_005, 1_000),
        (1_005, 1_500, 495),
        (1_500, 4_000, 0),
        (4_000, 4_001, 1),
        (4_001, 2**63 - 1, 0),
    ]


@pytest.mark.parametrize("percent", [0.0, 0.01, 1.0, 50.0, 99.99, 100.0])
@pytest.mark.parametrize("count", [1, 7, 1000])
def test_divided_asks_the_node_for_so_many_of_a_range(percent: float, count: int) -> None:
    """The parts are the range, in its order; rounded up, so that a small share is no share of 0."""
    blocks = BlockRange(50, 50 + count)
    parts = _rounds.divided(blocks, percent)
    assert [height for part, _ in parts for height in part] == list(blocks)
    asked = sum(len(part) for part, asked in parts if asked)
    assert asked == math.ceil(count * percent / 100)


def test_divided_asks_for_others_each_time() -> None:
    """So that in time every height may be among them."""
    lows = {_rounds.divided(BlockRange(0, 1_000_000), 0.1)[1][0].start for _ in range(5)}
    assert len(lows) > 1
