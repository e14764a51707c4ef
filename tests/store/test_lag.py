"""The view of lag: one row per chain, every number and every state."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from chainflow import heights, lag
from chainflow.types import Chain, Heights
from tests import small

CHAIN = replace(small.CHAIN, confirmations=4)


def only(engine: Engine) -> lag.Lag:
    """The lag of the one chain there is."""
    (row,) = lag.rows(engine)
    return row


def state(engine: Engine, *changes: str) -> str:
    """The state after some changes, each `table SET ...`."""
    for change in changes:
        small.do(engine, f"UPDATE chainflow.{change}")
    return only(engine).state


def observe(engine: Engine, head: int, chain: Chain = CHAIN) -> None:
    """The chain's node says its head."""
    heights.observe(engine, chain, Heights(head, None))


def test_lag_of_a_chain_just_added(engine: Engine) -> None:
    """A chain that was never observed has no numbers but the registry's, and is on its way."""
    heights.register(engine, [CHAIN])
    row = only(engine)
    assert (row.chain, row.family, row.env, row.owner, row.status, row.state) == (
        "tinychain",
        "tiny",
        "prod",
        "data-platform",
        "live",
        "syncing",
    )
    assert (row.head, row.target, row.watermark, row.lag_blocks, row.backlog_blocks) == (None,) * 5
    assert (row.blocks_per_minute, row.sync_blocks_per_minute) == (6.0, 0.0)
    assert (row.catch_up_seconds, row.oldest_gap_start, row.last_merged_at) == (None,) * 3


def test_lag_counts_from_head_and_backlog_from_target(engine: Engine) -> None:
    """Lag is what the head is ahead, backlog what could be here; both count from the watermark."""
    observe(engine, 1000)
    small.merge(engine, 0, 100, chain=CHAIN)
    row = only(engine)
    assert (row.head, row.target, row.watermark) == (1000, 996, 99)
    assert (row.lag_blocks, row.backlog_blocks) == (901, 897)


def test_lag_before_the_first_merge_counts_from_the_start(engine: Engine) -> None:
    """With nothing merged everything from the start on is lag."""
    observe(engine, 109, chain=replace(CHAIN, start=100))
    row = only(engine)
    assert (row.watermark, row.lag_blocks, row.backlog_blocks, row.lag_seconds) == (
        None,
        10,
        6,
        None,
    )


def test_lag_takes_the_finalized_height_as_target(engine: Engine) -> None:
    """Where the registry names a tag, the node's height of that tag is the target."""
    chain = replace(CHAIN, finality_tag="finalized")
    heights.observe(engine, chain, Heights(1000, 930))
    assert (only(engine).finalized, only(engine).target) == (930, 930)
    heights.observe(engine, chain, Heights(1000, None))
    row = only(engine)
    assert (row.target, row.backlog_blocks, row.state) == (None, 0, "synced")


def test_lag_has_no_target_while_nothing_is_old_enough(engine: Engine) -> None:
    """A chain younger than its confirmations has nothing to read yet."""
    observe(engine, 3)
    row = only(engine)
    assert (row.target, row.lag_blocks, row.backlog_blocks, row.state) == (None, 4, 0, "synced")


def test_lag_is_never_negative(engine: Engine) -> None:
    """A backend that lags behind what is merged does not make lag or backlog negative."""
    small.merge(engine, 0, 50, chain=CHAIN)
    observe(engine, 40)
    assert (only(engine).lag_blocks, only(engine).backlog_blocks) == (0, 0)


def test_lag_seconds_is_the_age_of_the_watermarks_block(engine: Engine) -> None:
    """Time behind is counted from the block at the watermark of the slowest dataset."""
    small.merge(engine, 0, 50, chain=CHAIN)
    small.merge(engine, 50, 60, chain=CHAIN, datasets=[small.BLOCKS])
    heights.register(engine, [CHAIN])
    age = f"extract(epoch FROM now() - '{small.GENESIS_TIME}'::timestamptz)"
    (seconds,) = small.ask(engine, f"SELECT ({age} - 490 - lag_seconds)::float8 FROM chainflow.lag")
    assert seconds == 0


def test_lag_tells_where_the_oldest_gap_begins(engine: Engine) -> None:
    """The first height missing below a merged one, of whichever dataset; None without a gap."""
    heights.register(engine, [CHAIN])
    small.merge(engine, 0, 5, chain=CHAIN)
    assert only(engine).oldest_gap_start is None
    small.merge(engine, 9, 12, chain=CHAIN)
    assert only(engine).oldest_gap_start == 5
    small.merge(engine, 5, 9, chain=CHAIN, datasets=[small.BLOCKS, small.LOGS])
    assert only(engine).oldest_gap_start == 5
    small.merge(engine, 5, 9, chain=CHAIN, datasets=[small.TRANSACTIONS])
    assert only(engine).oldest_gap_start is None


def test_lag_tells_a_gap_at_the_start(engine: Engine) -> None:
    """A gap that begins at the start begins there, though there is no watermark."""
    chain = replace(CHAIN, start=3)
    heights.register(engine, [chain])
    small.merge(engine, 7, 9, chain=chain)
    assert (only(engine).watermark, only(engine).oldest_gap_start) == (None, 3)


def test_lag_shows_the_rate_observed(engine: Engine) -> None:
    """Once samples span five minutes, their rate stands in place of the registry's."""
    observe(engine, 1000)
    assert only(engine).blocks_per_minute == 6.0
    small.do(
        engine,
        "INSERT INTO chainflow.height_sample (chain, observed_at, head)"
        " VALUES ('tinychain', now() - interval '10 minutes', 800)",
    )
    assert only(engine).blocks_per_minute == pytest.approx(20, rel=0.01)


def _slices(engine: Engine, *, ago: int, seconds: int, blocks: int) -> None:
    """Log a merge of so many blocks that ended some seconds ago and took some."""
    small.do(
        engine,
        "INSERT INTO chainflow.merge_log (chain, datasets, blocks, rows, row_count, bytes, seconds,"
        " run_id, merged_at) VALUES ('tinychain', '{blocks,transactions,logs}',"
        f" int8range(0, {blocks}), '{{}}', 10, 1000, {seconds}, 'r',"
        f" now() - interval '1 second' * {ago})",
    )


def test_lag_tells_how_fast_we_sync_and_when_it_is_done(engine: Engine) -> None:
    """Blocks merged since the first recent slice began; backlog over that less the chain's."""
    observe(engine, 1003)
    _slices(engine, ago=3600, seconds=60, blocks=10_000)
    _slices(engine, ago=500, seconds=40, blocks=900)
    _slices(engine, ago=100, seconds=60, blocks=900)
    row = only(engine)
    assert row.sync_blocks_per_minute == pytest.approx(200, rel=0.05)
    assert row.catch_up_seconds == pytest.approx(1000 / (200 - 6) * 60, rel=0.05)


def test_lag_does_not_promise_an_end_when_the_chain_is_faster(engine: Engine) -> None:
    """Slower than the chain grows there is no end; with no backlog it is reached."""
    observe(engine, 1003)
    _slices(engine, ago=60, seconds=60, blocks=3)
    assert only(engine).catch_up_seconds is None
    small.do(engine, "DELETE FROM chainflow.merge_log")
    assert (only(engine).catch_up_seconds, only(engine).sync_blocks_per_minute) == (None, 0.0)
    small.merge(engine, 0, 1000, chain=CHAIN)
    assert only(engine).catch_up_seconds == 0


def test_lag_counts_a_slice_of_one_dataset_as_part_of_a_block(engine: Engine) -> None:
    """Three datasets merged apart are as much work as the three together."""
    observe(engine, 1003)
    for dataset in small.ALL:
        small.merge(engine, 0, 30, chain=CHAIN, datasets=[dataset])
    small.do(
        engine,
        "UPDATE chainflow.merge_log SET seconds = 0, merged_at = now() - interval '9 minutes'",
    )
    assert only(engine).sync_blocks_per_minute == pytest.approx(30 / 9, rel=0.05)


def test_state_is_synced_within_the_alert(engine: Engine) -> None:
    """As many blocks behind as the chain makes in lag_alert_minutes is synced, one more not."""
    small.merge(engine, 0, 10, chain=CHAIN)
    observe(engine, 9 + 4 + 90)
    assert only(engine).state == "synced"
    observe(engine, 9 + 4 + 91)
    assert only(engine).state == "syncing"


def test_state_is_stalled_when_nothing_is_merged_any_more(engine: Engine) -> None:
    """Behind, and nothing merged for lag_alert_minutes; or never, so long after it was added."""
    observe(engine, 1000)
    assert state(engine, "chain SET registered_at = now() - interval '14 minutes'") == "syncing"
    assert state(engine, "chain SET registered_at = now() - interval '16 minutes'") == "stalled"
    small.merge(engine, 0, 10, chain=CHAIN)
    assert only(engine).state == "syncing"
    assert state(engine, "progress SET merged_at = now() - interval '16 minutes'") == "stalled"


def test_state_is_node_stuck_when_the_head_stands(engine: Engine) -> None:
    """The node answers, and its head has not risen for lag_alert_minutes and 20 blocks' time."""
    observe(engine, 1000)
    assert state(engine, "height SET risen_at = now() - interval '14 minutes'") == "syncing"
    assert state(engine, "height SET risen_at = now() - interval '16 minutes'") == "node_stuck"
    assert state(engine, "chain SET blocks_per_minute = 1") == "syncing"
    assert state(engine, "height SET risen_at = now() - interval '21 minutes'") == "node_stuck"
    assert state(engine, "chain SET blocks_per_minute = 0") == "node_stuck"


def test_state_is_unreachable_when_the_node_does_not_answer(engine: Engine) -> None:
    """The last question failed, or nobody asked for lag_alert_minutes: its head is not known."""
    small.merge(engine, 0, 10, chain=CHAIN)
    observe(engine, 10)
    heights.observe_failure(engine, CHAIN, "node.example: refused")
    assert (only(engine).state, only(engine).error) == ("unreachable", "node.example: refused")
    observe(engine, 10)
    assert (only(engine).state, only(engine).error) == ("synced", None)
    assert state(engine, "height SET observed_at = now() - interval '16 minutes'") == "unreachable"


def test_state_is_unreachable_when_a_chain_was_never_asked(engine: Engine) -> None:
    """A chain added long ago that nobody ever observed."""
    heights.register(engine, [CHAIN])
    assert state(engine, "chain SET registered_at = now() - interval '16 minutes'") == "unreachable"


def test_state_of_a_retired_chain_is_retired(engine: Engine) -> None:
    """Whatever else is true of it."""
    observe(engine, 1000, chain=replace(CHAIN, status="retired"))
    heights.observe_failure(engine, replace(CHAIN, status="retired"), "gone")
    assert only(engine).state == "retired"


def test_rows_come_by_name(engine: Engine) -> None:
    """One row per chain, sorted."""
    names = ["zeta", "alpha", "mu"]
    heights.register(engine, [replace(CHAIN, name=name) for name in names])
    assert [row.chain for row in lag.rows(engine)] == sorted(names)


def test_rows_of_given_chains_come_in_their_order(engine: Engine) -> None:
    """Other chains of the store, and chains that it does not know, are left out."""
    zeta, alpha, mu, new = (replace(CHAIN, name=name) for name in ("zeta", "alpha", "mu", "new"))
    heights.register(engine, [alpha, mu, zeta])
    assert [row.chain for row in lag.rows(engine, [zeta, new, alpha])] == ["zeta", "alpha"]


def test_lag_has_the_views_columns_and_every_one_is_explained(engine: Engine) -> None:
    """Lag names the view's columns in order; each has a comment and stands in docs/tables.md."""
    described = small.ask(
        engine,
        "SELECT attname, col_description(attrelid, attnum) FROM pg_attribute"
        " WHERE attrelid = 'chainflow.lag'::regclass ORDER BY attnum",
    )
    assert [name for name, _ in described] == [field.name for field in fields(lag.Lag)]
    assert all(meaning for _, meaning in described)
    page = (Path(__file__).parents[2] / "docs" / "tables.md").read_text(encoding="utf-8")
    assert [name for name, _ in described if f"`{name}`" not in page] == []


def test_volume_of_an_empty_store_is_zero(engine: Engine) -> None:
    """There is always a total."""
    nothing = lag.Ingested(0, 0, 0)
    assert lag.volume(engine) == [lag.Volume(None, nothing, nothing, nothing, nothing)]


def test_volume_adds_up_by_span_and_chain(engine: Engine) -> None:
    """Each span holds the shorter ones; the total stands first; beyond 30 days nothing counts."""
    for ago, blocks in ((10, 1), (600, 2), (7200, 4), (3 * 86400, 8), (31 * 86400, 16)):
        _slices(engine, ago=ago, seconds=1, blocks=blocks)
    small.merge(engine, 0, 5, chain=replace(CHAIN, name="alpha"))
    total, alpha, tiny = lag.volume(engine)
    assert (total.chain, alpha.chain, tiny.chain) == (None, "alpha", "tinychain")
    assert alpha.minute == alpha.month == lag.Ingested(500, 13, 5)
    assert [span.blocks for span in (tiny.minute, tiny.hour, tiny.day, tiny.month)] == [1, 3, 7, 15]
    assert total.month == lag.Ingested(4500, 53, 20)


def test_view_is_readable_as_one_query(engine: Engine) -> None:
    """A BI tool sees the same row as we do."""
    observe(engine, 1000)
    small.merge(engine, 0, 100, chain=CHAIN)
    assert small.ask(engine, "SELECT chain, watermark, lag_blocks FROM chainflow.lag") == [
        ("tinychain", 99, 901)
    ]
