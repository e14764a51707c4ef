"""Stage and merge: all or nothing, and the same however often."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Engine

from chainflow import checks, heights
from chainflow.errors import MalformedAnswer, StoreUnavailable, TerminalError
from chainflow.store import batch
from chainflow.types import BlockRange
from tests import small


def merged(engine: Engine) -> list[tuple[str, str, int | None]]:
    """What progress says of every dataset."""
    return small.ask(
        engine, "SELECT dataset, merged::text, watermark FROM chainflow.progress ORDER BY dataset"
    )


def test_stage_is_unseen_by_readers(engine: Engine) -> None:
    """Staged rows are neither in the final tables nor in progress."""
    staged = small.stage(engine, BlockRange(0, 5))
    assert {name: table.rows for name, table in staged.tables.items()} == {
        "blocks": 5,
        "transactions": 4,
        "logs": 4,
    }
    assert small.heights(engine) == []
    assert merged(engine) == []


def test_stage_keeps_every_kind_of_value(engine: Engine) -> None:
    """uint256, quotes, line ends, the empty text, JSON, false and null come out as they went in."""
    blocks = BlockRange(1, 3)
    odd = '"a",\n\\N\t;\'\r\n\\.\nü𝄞'
    rows = small.rows(blocks)
    rows["blocks"][0] |= {"difficulty": str(2**256 - 1), "extra": '{"a": [1, "x\\n\\"y\\""]}'}
    rows["transactions"][0] |= {"input": odd, "ok": False}
    rows["transactions"][1] |= {"input": "", "ok": True}
    rows["transactions"][2] |= {"input": None, "ok": None}
    batch.merge(engine, small.stage(engine, blocks, rows), size=1, seconds=1, run_id="r")
    assert small.ask(engine, "SELECT difficulty::text, extra FROM tinychain.blocks") == [
        (str(2**256 - 1), {"a": [1, 'x\n"y"']}),
        ("2", None),
    ]
    assert small.ask(engine, "SELECT input, ok FROM tinychain.transactions") == [
        (odd, False),
        ("", True),
        (None, None),
    ]
    assert small.ask(engine, "SELECT block_timestamp FROM tinychain.blocks LIMIT 1") == [
        small.rows(blocks)["blocks"][0]["block_timestamp"]
    ]


def test_stage_takes_more_rows_than_one_piece_of_csv(engine: Engine) -> None:
    """A table longer than one written piece, in two Arrow chunks, arrives whole and in order."""
    blocks = BlockRange(0, 10_000)
    given = small.table(small.BLOCKS, small.rows(blocks)["blocks"])
    small.stage(engine, BlockRange(0, 1))
    chunks = pa.concat_tables([given.slice(0, 4_999), given.slice(4_999)])
    staged = batch.stage(engine, small.CHAIN, [small.BLOCKS], blocks, {"blocks": chunks})
    name = staged.tables["blocks"].name
    assert small.ask(engine, f"SELECT block_number FROM {name}") == list(blocks)


def test_stage_tells_which_value_does_not_fit(engine: Engine) -> None:
    """A number too long for its column stops the stage, names the column, and leaves nothing."""
    rows = small.rows(BlockRange(0, 2))
    rows["blocks"][1]["difficulty"] = "9" * 79
    with pytest.raises(MalformedAnswer, match=r"tinychain \[0, 2\): blocks: .*column difficulty"):
        small.stage(engine, BlockRange(0, 2), rows)
    assert small.staging(engine) == []


def test_merge_makes_rows_and_progress_visible_together(engine: Engine) -> None:
    """A merge leaves rows, range, watermark and its time, one log row, and no staging table."""
    assert small.merge(engine, 0, 5) == 13
    assert small.heights(engine) == [0, 1, 2, 3, 4]
    assert merged(engine) == [(d, "{[0,5)}", 4) for d in ("blocks", "logs", "transactions")]
    assert set(small.ask(engine, "SELECT watermark_time FROM chainflow.progress")) == {
        small.rows(BlockRange(4, 5))["blocks"][0]["block_timestamp"]
    }
    assert small.ask(
        engine,
        "SELECT chain, datasets, blocks::text, rows, row_count, bytes, seconds, run_id"
        " FROM chainflow.merge_log",
    ) == [
        (
            "tinychain",
            ["blocks", "logs", "transactions"],
            "[0,5)",
            {"blocks": 5, "transactions": 4, "logs": 4},
            13,
            500,
            0.5,
            "test",
        )
    ]
    assert small.staging(engine) == []


def test_merge_twice_leaves_the_same_rows(engine: Engine) -> None:
    """The same range merged again, and one that overlaps it, neither doubles nor loses a row."""
    for start, stop in ((0, 5), (0, 5), (3, 8)):
        small.merge(engine, start, stop)
    assert small.heights(engine) == list(range(8))
    assert len(small.heights(engine, "transactions")) == sum(h % 3 for h in range(8))
    assert merged(engine)[0] == ("blocks", "{[0,8)}", 7)


def test_merge_replaces_what_stood_in_its_range(engine: Engine) -> None:
    """After a reorganisation the range has the new fork's rows and none of the old one's."""
    small.merge(engine, 0, 6)
    blocks = BlockRange(3, 6)
    rows = small.rows(blocks, fork="b")
    rows["transactions"] = []
    batch.merge(engine, small.stage(engine, blocks, rows), size=1, seconds=1, run_id="r")
    assert small.ask(engine, "SELECT block_hash FROM tinychain.blocks ORDER BY block_number") == [
        small.block_hash(h, "a" if h < 3 else "b") for h in range(6)
    ]
    assert small.heights(engine, "transactions") == [1, 2, 2]


def test_merge_of_one_chain_leaves_the_others_alone(engine: Engine) -> None:
    """Two chains of a family share the family's table and nothing else."""
    other = replace(small.CHAIN, name="otherchain")
    small.merge(engine, 0, 4)
    small.merge(engine, 0, 2, chain=other)
    assert small.heights(engine) == [0, 1, 2, 3]
    assert small.ask(engine, "SELECT chain, count(*) FROM tiny.blocks GROUP BY 1 ORDER BY 1") == [
        ("otherchain", 2),
        ("tinychain", 4),
    ]


def test_merge_without_blocks_has_no_time_until_they_are_there(engine: Engine) -> None:
    """A dataset merged before `blocks` gets its watermark's time when `blocks` is merged."""
    small.merge(engine, 0, 3, datasets=[small.WITHDRAWALS])
    at = "SELECT watermark_time FROM chainflow.progress WHERE dataset = 'withdrawals'"
    assert small.ask(engine, at) == [None]
    small.merge(engine, 0, 3, datasets=[small.BLOCKS])
    assert small.ask(engine, at) == [small.rows(BlockRange(2, 3))["blocks"][0]["block_timestamp"]]


def test_merge_refuses_emptied_staging_tables(engine: Engine) -> None:
    """Rows that PostgreSQL lost in a crash are not merged as if there were none."""
    staged = small.stage(engine, BlockRange(0, 3))
    small.do(engine, f"TRUNCATE {staged.tables['transactions'].name}")
    with pytest.raises(StoreUnavailable, match=r"holds 0 rows \(expected 3\); nothing merged"):
        batch.merge(engine, staged, size=1, seconds=1, run_id="r")
    assert small.heights(engine) == []
    assert merged(engine) == []


def test_merge_of_dropped_rows_asks_to_stage_again(engine: Engine) -> None:
    """A receipt whose tables are gone is worth a retry of the batch, and says so."""
    staged = small.stage(engine, BlockRange(0, 3))
    batch.drop(engine, staged)
    batch.drop(engine, staged)
    with pytest.raises(StoreUnavailable, match="stage them again"):
        batch.merge(engine, staged, size=1, seconds=1, run_id="r")


def test_merge_of_a_null_that_no_check_saw_changes_nothing(engine: Engine) -> None:
    """The final table's own constraint is the last word, told in one line."""
    rows = small.rows(BlockRange(0, 2))
    rows["blocks"][1]["block_hash"] = None
    staged = small.stage(engine, BlockRange(0, 2), rows)
    with pytest.raises(TerminalError, match='null value in column "block_hash"') as told:
        batch.merge(engine, staged, size=1, seconds=1, run_id="r")
    assert "\n" not in str(told.value)
    assert merged(engine) == []


@pytest.mark.parametrize(
    "place", ["chainflow.progress", "tinychain.transactions", "chainflow.merge_log"]
)
def test_merge_killed_inside_leaves_nothing(engine: Engine, place: str) -> None:
    """Cut at the lock, amid the rows or before the log it leaves nothing; run again, all."""
    small.merge(engine, 0, 2)
    staged = small.stage(engine, BlockRange(2, 5))
    errors: list[Exception] = []

    def run() -> None:
        try:
            batch.merge(engine, staged, size=1, seconds=1, run_id="r")
        except StoreUnavailable as error:
            errors.append(error)

    with engine.connect() as blocker:
        blocker.execute(sa.text(f"LOCK TABLE {place} IN SHARE ROW EXCLUSIVE MODE"))
        merging = threading.Thread(target=run)
        merging.start()
        waiting = (
            "SELECT pid FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        pids: list[int] = []
        while not pids:
            pids = small.ask(engine, waiting)
        small.ask(engine, f"SELECT pg_terminate_backend({pids[0]})")
        merging.join()
    assert len(errors) == 1
    assert small.heights(engine) == [0, 1]
    assert merged(engine)[0] == ("blocks", "{[0,2)}", 1)
    batch.merge(engine, staged, size=1, seconds=1, run_id="r")
    assert small.heights(engine) == [0, 1, 2, 3, 4]
    assert merged(engine)[0] == ("blocks", "{[0,5)}", 4)


def test_stage_killed_inside_leaves_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection cut amid COPY it leaves no table; run again, it stages everything."""
    pieces = batch._csv

    def cut(rows: pa.Table) -> Iterator[memoryview]:
        yield from pieces(rows)
        copying = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'COPY \"staging\"%'"
        for pid in small.ask(engine, copying):
            small.ask(engine, f"SELECT pg_terminate_backend({pid})")
        yield memoryview(b"")

    small.stage(engine, BlockRange(0, 1), datasets=[])
    monkeypatch.setattr(batch, "_csv", cut)
    with pytest.raises(StoreUnavailable):
        small.stage(engine, BlockRange(0, 3))
    assert small.staging(engine) == []
    monkeypatch.undo()
    assert small.merge(engine, 0, 3) == 9


def test_stage_that_nobody_merged_is_in_nobodys_way(engine: Engine) -> None:
    """A process killed between stage and merge leaves tables that the next run does not touch."""
    orphans = small.stage(engine, BlockRange(0, 3), small.rows(BlockRange(0, 3), fork="b"))
    small.merge(engine, 0, 3)
    assert small.ask(engine, "SELECT DISTINCT left(block_hash, 3) FROM tinychain.blocks") == ["0xa"]
    assert len(small.staging(engine)) == len(orphans.tables)


def test_merges_at_once_do_not_lose_each_other(engine: Engine) -> None:
    """Eight merges of one chain at once, two of each range, end as if one after another."""
    small.stage(engine, BlockRange(0, 1))
    ranges = [BlockRange(low, low + 5) for low in (0, 5, 10, 15)] * 2
    receipts = [small.stage(engine, blocks) for blocks in ranges]
    errors: list[Exception] = []

    def run(staged: batch.Staged) -> None:
        try:
            batch.merge(engine, staged, size=1, seconds=1, run_id="r")
        except Exception as error:  # noqa: BLE001 - a thread's error must reach the assertion
            errors.append(error)

    threads = [threading.Thread(target=run, args=(staged,)) for staged in receipts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert small.heights(engine) == list(range(20))
    assert {text for _, text, _ in merged(engine)} == {"{[0,20)}"}


def test_start_that_moves_down_takes_the_watermark_along(engine: Engine) -> None:
    """With an earlier start the watermark falls back until the gap is filled, then returns."""
    late = replace(small.CHAIN, start=10)
    small.merge(engine, 10, 15, chain=late)
    assert heights.watermark(engine, late) == 14
    heights.register(engine, [small.CHAIN])
    assert heights.watermark(engine, small.CHAIN) is None
    assert set(small.ask(engine, "SELECT watermark_time FROM chainflow.progress")) == {None}
    small.merge(engine, 0, 5)
    assert heights.watermark(engine, small.CHAIN) == 4
    small.merge(engine, 5, 10)
    assert heights.watermark(engine, small.CHAIN) == 14


def reference(start: int, heights: set[int]) -> int | None:
    """The watermark by the plainest fold there is."""
    height = start
    while height in heights:
        height += 1
    return height - 1 if height > start else None


_ranges = st.tuples(st.integers(0, 24), st.integers(1, 9)).map(
    lambda pair: BlockRange(pair[0], pair[0] + pair[1])
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(ranges=st.lists(_ranges, min_size=1, max_size=8), start=st.integers(0, 6))
def test_any_order_of_merges_gives_the_union(
    engine: Engine, ranges: list[BlockRange], start: int
) -> None:
    """However ranges overlap, repeat and come out of order: rows are their union, none doubled."""
    name = f"c{small.ask(engine, 'SELECT count(*) FROM pg_namespace')[0]}"
    chain = replace(small.CHAIN, name=name, start=start)
    union: set[int] = set()
    for blocks in ranges:
        small.merge(engine, blocks.start, blocks.stop, chain=chain)
        union |= set(blocks)
        assert heights.watermark(engine, chain) == reference(start, union)
    assert small.heights(engine, chain=chain) == sorted(union)
    assert len(small.heights(engine, "logs", chain)) == sum(h % 3 for h in union)
    for stop in (13, 40):
        gaps = heights.gaps(engine, chain, stop)["blocks"]
        assert {h for gap in gaps for h in gap} == set(range(start, stop)) - union
        assert heights.gaps(engine, chain, stop, limit=2)["blocks"] == (
            gaps if len(gaps) < 3 else [gaps[0], gaps[-1]]
        )
    assert checks.audit(engine, chain, small.ALL, BlockRange(0, 40)) == []
