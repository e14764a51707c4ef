"""What is merged, what is missing, what a node said, and what a block costs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Engine

from chainflow import heights
from chainflow.errors import NameTaken
from chainflow.store import control, database, tables
from chainflow.types import BlockRange, Chain, Costs, Heights
from tests import small

NODE = "SELECT head, finalized, highest, error FROM chainflow.height"


def sample(engine: Engine, minutes_ago: float, head: int, chain: Chain = small.CHAIN) -> None:
    """A height as it was observed some time ago."""
    small.do(
        engine,
        "INSERT INTO chainflow.height_sample (chain, observed_at, head)"
        f" VALUES ('{chain.name}', now() - interval '1 minute' * {minutes_ago}, {head})",
    )


def test_watermark_is_none_before_the_first_merge(engine: Engine) -> None:
    """A chain that nothing is known of has no watermark."""
    assert heights.watermark(engine, small.CHAIN) is None


def test_watermark_does_not_step_over_a_gap(engine: Engine) -> None:
    """What is merged above a gap waits for it."""
    small.merge(engine, 0, 3)
    small.merge(engine, 5, 9)
    assert heights.watermark(engine, small.CHAIN) == 2
    small.merge(engine, 3, 5)
    assert heights.watermark(engine, small.CHAIN) == 8


def test_watermark_waits_for_the_slowest_dataset(engine: Engine) -> None:
    """It is the lowest of the chain's datasets, and none while one of them has nothing."""
    small.merge(engine, 0, 6, datasets=[small.BLOCKS])
    assert heights.watermark(engine, small.CHAIN) is None
    small.merge(engine, 0, 4, datasets=[small.TRANSACTIONS])
    small.merge(engine, 0, 5, datasets=[small.LOGS])
    assert heights.watermark(engine, small.CHAIN) == 3


def test_watermark_begins_at_the_start(engine: Engine) -> None:
    """A chain wanted from a later height on has its watermark there, and None just below."""
    chain = replace(small.CHAIN, start=100)
    small.merge(engine, 101, 103, chain=chain)
    assert heights.watermark(engine, chain) is None
    small.merge(engine, 100, 101, chain=chain)
    assert heights.watermark(engine, chain) == 102


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    start=st.integers(0, 12),
    ranges=st.lists(st.tuples(st.integers(0, 20), st.integers(1, 6)), max_size=6),
)
def test_watermark_in_sql_is_the_plain_fold(
    engine: Engine, start: int, ranges: list[tuple[int, int]]
) -> None:
    """For any start and any ranges SQL's watermark is the last of the heights that follow it."""
    merged = {height for low, size in ranges for height in range(low, low + size)}
    runs = ", ".join(f"int8range({low}, {low + size})" for low, size in ranges)
    found = small.ask(engine, f"SELECT chainflow.watermark({start}, int8multirange({runs}))")
    height = start
    while height in merged:
        height += 1
    assert found == [height - 1 if height > start else None]


def test_gaps_of_a_new_chain_are_everything(engine: Engine) -> None:
    """With nothing merged each dataset misses [start, stop); nothing, if that is empty."""
    chain = replace(small.CHAIN, start=7)
    everything = [BlockRange(7, 20)]
    assert heights.gaps(engine, chain, 20) == dict.fromkeys(chain.datasets, everything)
    assert heights.gaps(engine, chain, 7) == {name: [] for name in chain.datasets}
    assert heights.gaps(engine, chain, 3) == {name: [] for name in chain.datasets}


def test_gaps_are_told_by_dataset_between_start_and_stop(engine: Engine) -> None:
    """Merged heights below the start and above the stop do not matter; each dataset has its own."""
    small.merge(engine, 0, 3)
    small.merge(engine, 6, 9)
    small.merge(engine, 20, 22)
    chain = replace(small.CHAIN, start=2, datasets=("blocks", "withdrawals"))
    small.merge(engine, 3, 12, chain=chain, datasets=[small.WITHDRAWALS])
    assert heights.gaps(engine, chain, 15) == {
        "blocks": [BlockRange(3, 6), BlockRange(9, 15)],
        "withdrawals": [BlockRange(2, 3), BlockRange(12, 15)],
    }


def test_gaps_beyond_the_limit_are_the_lowest_and_the_highest(engine: Engine) -> None:
    """The gap at the head is told however many lie below it."""
    chain = replace(small.CHAIN, datasets=("blocks",))
    with database.begin(engine) as connection:
        control.lock(connection, chain, ["blocks"])
        for low in range(1, 20, 2):
            control.extend(connection, chain, ["blocks"], BlockRange(low, low + 1))
    assert heights.gaps(engine, chain, 30, limit=3)["blocks"] == [
        BlockRange(0, 1),
        BlockRange(2, 3),
        BlockRange(20, 30),
    ]
    assert len(heights.gaps(engine, chain, 30)["blocks"]) == 11


def test_register_mirrors_the_registry(engine: Engine) -> None:
    """Entries appear and follow their edits; a chain that is not among those given stays."""
    heights.register(engine, [small.CHAIN, replace(small.CHAIN, name="other")])
    heights.register(engine, [replace(small.CHAIN, owner="me", finality_tag="safe", start=5)])
    query = "SELECT chain, owner, finality_tag, start, datasets FROM chainflow.chain ORDER BY chain"
    assert small.ask(engine, query) == [
        ("other", "data-platform", None, 0, ["blocks", "transactions", "logs"]),
        ("tinychain", "me", "safe", 5, ["blocks", "transactions", "logs"]),
    ]


@pytest.mark.parametrize("other", [{"chain_id": 10}, {"family": "evm"}])
def test_an_entry_of_another_chain_is_refused_once_rows_are_merged(
    engine: Engine, other: dict[str, Any]
) -> None:
    """Nothing changes, the message says what to do, and a dropped schema frees the name."""
    heights.register(engine, [small.CHAIN])
    heights.register(engine, [replace(small.CHAIN, **other)])
    heights.register(engine, [small.CHAIN])
    small.merge(engine, 0, 5)
    small.family("evm")
    edited = replace(small.CHAIN, **other)
    (text,) = heights.register(engine, [edited, replace(small.CHAIN, name="b")]).values()
    assert "tinychain: its tables hold rows of family tiny, chain_id 7, and its entry says" in text
    assert text.endswith('DROP SCHEMA "tinychain" CASCADE')
    for refused in (
        partial(heights.observe, engine, edited, Heights(9, 9)),
        partial(heights.observe_failure, engine, edited, "gone"),
        partial(tables.ensure, engine, edited, [small.BLOCKS]),
    ):
        with pytest.raises(NameTaken, match="DROP SCHEMA"):
            refused()
    entries = "SELECT chain, family, chain_id FROM chainflow.chain ORDER BY chain"
    assert small.ask(engine, entries) == [("b", "tiny", "7"), ("tinychain", "tiny", "7")]
    small.do(engine, "DROP SCHEMA tinychain CASCADE")
    assert heights.register(engine, [edited]) == {}
    assert heights.watermark(engine, edited) is None
    assert small.ask(engine, "SELECT count(*) FROM chainflow.merge_log") == [0]


def test_what_an_entry_leaves_out_is_no_other_chain(engine: Engine) -> None:
    """An entry without chain id, or retired without family, keeps what is known of them."""
    heights.register(engine, [small.CHAIN])
    small.merge(engine, 0, 5)
    assert heights.register(engine, [replace(small.CHAIN, chain_id=None, family="")]) == {}
    assert small.ask(engine, "SELECT chain_id FROM chainflow.chain") == ["7"]
    assert heights.register(engine, [replace(small.CHAIN, chain_id=8)])


def test_register_keeps_the_time_of_a_watermark_that_stays(engine: Engine) -> None:
    """A start that moves within what is merged changes neither the watermark nor its time."""
    small.merge(engine, 0, 5)
    heights.register(engine, [replace(small.CHAIN, start=2)])
    rows = "SELECT start, watermark, watermark_time IS NULL FROM chainflow.progress"
    assert set(small.ask(engine, rows)) == {(2, 4, False)}


def test_observe_keeps_the_last_heights_and_a_sample(engine: Engine) -> None:
    """The last word stands in height, each word in height_sample; the chain is registered."""
    heights.observe(engine, small.CHAIN, Heights(100, 90))
    heights.observe(engine, small.CHAIN, Heights(99, None))
    assert small.ask(engine, NODE) == [(99, None, 100, None)]
    samples = "SELECT head, finalized FROM chainflow.height_sample ORDER BY observed_at"
    assert small.ask(engine, samples) == [(100, 90), (99, None)]
    assert small.ask(engine, "SELECT chain FROM chainflow.chain") == ["tinychain"]


def test_observe_knows_when_the_head_last_rose(engine: Engine) -> None:
    """A lagging backend's lower heights in between do not look like a chain that moves."""
    risen = "SELECT risen_at FROM chainflow.height"
    times: list[datetime] = []
    for head in (100, 99, 100, 101):
        heights.observe(engine, small.CHAIN, Heights(head, None))
        times += small.ask(engine, risen)
    assert times[0] == times[1] == times[2] < times[3]


def test_observe_forgets_a_head_that_the_chain_never_had(engine: Engine) -> None:
    """Heads that rise far below it are the chain's; one lagging answer is not."""
    query = "SELECT highest, risen_at FROM chainflow.height"
    found: list[tuple[int, datetime]] = []
    for head in (500, 1500, 501, 501, 502, 503, 300, 504):
        heights.observe(engine, small.CHAIN, Heights(head, None))
        found += small.ask(engine, query)
    highest, risen = zip(*found, strict=True)
    assert highest == (500, 1500, 1500, 1500, 502, 503, 503, 504)
    assert risen[0] < risen[1] == risen[2] == risen[3] < risen[4] < risen[5] == risen[6] < risen[7]


def test_observe_failure_keeps_the_heights_until_the_node_answers(engine: Engine) -> None:
    """The error stands beside the last heights, and is gone with the next answer."""
    heights.observe_failure(engine, small.CHAIN, "node.example: refused")
    assert small.ask(engine, NODE) == [(None, None, None, "node.example: refused")]
    heights.observe(engine, small.CHAIN, Heights(100, 90))
    heights.observe_failure(engine, small.CHAIN, "node.example: timeout")
    assert small.ask(engine, NODE) == [(100, 90, 100, "node.example: timeout")]
    heights.observe(engine, small.CHAIN, Heights(101, 91))
    assert small.ask(engine, NODE) == [(101, 91, 101, None)]


def test_rate_is_observed_once_samples_span_five_minutes(engine: Engine) -> None:
    """Samples of the last hour make the rate; older ones and too close ones do not."""
    heights.register(engine, [small.CHAIN])
    assert heights.rate(engine, small.CHAIN) is None
    sample(engine, 90, head=1)
    sample(engine, 4, head=460)
    sample(engine, 0, head=500)
    assert heights.rate(engine, small.CHAIN) is None
    sample(engine, 10, head=400)
    assert heights.rate(engine, small.CHAIN) == pytest.approx(10.0, rel=0.05)


@pytest.mark.parametrize("head", [400, 300])
def test_rate_of_a_standing_or_falling_head_is_zero(engine: Engine, head: int) -> None:
    """A chain that stands still grows by nothing; a fork that shortens it is no negative growth."""
    heights.register(engine, [small.CHAIN])
    sample(engine, 10, head=400)
    sample(engine, 0, head=head)
    assert heights.rate(engine, small.CHAIN) == 0


def test_costs_are_those_of_whole_blocks(engine: Engine) -> None:
    """Seconds and bytes per block come from slices with all datasets; None before there is one."""
    assert heights.costs(engine, small.CHAIN) is None
    small.merge(engine, 0, 10, datasets=[small.BLOCKS])
    assert heights.costs(engine, small.CHAIN) is None
    small.merge(engine, 0, 10)
    small.merge(engine, 10, 15)
    assert heights.costs(engine, small.CHAIN) == Costs(1.0 / 15, 100.0)
