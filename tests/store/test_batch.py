"""Merge and stage: all or nothing, and the same however often."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Connection, Engine

from chainflow import checks, heights
from chainflow.errors import CheckFailed, MalformedAnswer, RowsRefused, StoreUnavailable
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


def test_merge_keeps_every_kind_of_value(engine: Engine) -> None:
    """uint256, quotes, line ends, the empty text, JSON, false and null come out as they went in."""
    blocks = BlockRange(1, 3)
    odd = '"a",\n\\N\t;\'\r\n\\.\nü𝄞'
    rows = small.rows(blocks)
    rows["blocks"][0] |= {"difficulty": str(2**256 - 1), "extra": '{"a": [1, "x\\n\\"y\\""]}'}
    rows["transactions"][0] |= {"input": odd, "ok": False}
    rows["transactions"][1] |= {"input": "", "ok": True}
    rows["transactions"][2] |= {"input": None, "ok": None}
    small.merge_slice(engine, small.slice_(engine, blocks, rows))
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


def test_merge_takes_more_rows_than_one_piece_of_csv(engine: Engine) -> None:
    """A table longer than one written piece, in two Arrow chunks, arrives whole."""
    blocks = BlockRange(0, 10_000)
    rows = small.slice_(engine, blocks, datasets=[small.BLOCKS])
    given = rows.tables["blocks"]
    chunks = pa.concat_tables([given.slice(0, 4_999), given.slice(4_999)])
    small.merge_slice(engine, replace(rows, tables={"blocks": chunks}))
    assert small.heights(engine) == list(blocks)


def refused(engine: Engine, rows: batch.Slice) -> str:
    """What the store says of rows that it does not take."""
    with pytest.raises((MalformedAnswer, RowsRefused)) as told:
        small.merge_slice(engine, rows)
    assert merged(engine) == []
    assert small.heights(engine) == []
    assert "\n" not in str(told.value)
    return str(told.value)


def test_value_that_does_not_fit_is_told(engine: Engine) -> None:
    """A number too long for its column stops merge and stage, names the column, leaves nothing."""
    rows = small.rows(BlockRange(0, 2))
    rows["blocks"][1]["difficulty"] = "9" * 79
    given = small.slice_(engine, BlockRange(0, 2), rows)
    told = r"tinychain \[0, 2\): blocks: .*column difficulty"
    assert re.match(told, refused(engine, given))
    with pytest.raises(MalformedAnswer, match=told):
        batch.stage(engine, given)
    assert small.staging(engine) == []


def test_refused_rows_are_told_with_the_endpoints_they_came_from(engine: Engine) -> None:
    """Whatever stops them: a value, a constraint, or a height outside the range."""
    blocks = BlockRange(0, 2)
    for change in ({"difficulty": "9" * 79}, {"block_hash": None}, {"block_number": 7}):
        rows = small.rows(blocks)
        rows["blocks"][1] |= change
        given = replace(small.slice_(engine, blocks, rows), hosts=("a.example", "b.example"))
        assert refused(engine, given).endswith(" (from a.example, b.example)")


def test_null_that_may_not_be_is_refused(engine: Engine) -> None:
    """The table's own constraint is the last word, told in one line."""
    rows = small.rows(BlockRange(0, 2))
    rows["blocks"][1]["block_hash"] = None
    told = refused(engine, small.slice_(engine, BlockRange(0, 2), rows))
    assert 'null value in column "block_hash"' in told


def test_doubled_key_is_refused(engine: Engine) -> None:
    """A row that stands there twice is refused by the primary key."""
    rows = small.rows(BlockRange(0, 3))
    rows["logs"].append(rows["logs"][0])
    told = refused(engine, small.slice_(engine, BlockRange(0, 3), rows))
    assert told.startswith("tinychain [0, 3): logs: duplicate key value")


@pytest.mark.parametrize("height", [1, 5])
def test_row_outside_the_range_is_refused(engine: Engine, height: int) -> None:
    """A row below or above would stand beside what the merge leaves there."""
    blocks = BlockRange(2, 5)
    rows = small.rows(blocks)
    rows["logs"].append({"block_number": height, "block_hash": "0x", "log_index": 9})
    told = refused(engine, small.slice_(engine, blocks, rows))
    assert told == f"tinychain [2, 5): logs: a row of height {height}"


def test_merge_that_its_check_refuses_changes_nothing(engine: Engine) -> None:
    """The check alone sees the new rows beside the old ones; if it raises, all is as it was."""
    small.merge(engine, 0, 4)
    rows = small.slice_(engine, BlockRange(2, 6), small.rows(BlockRange(2, 6), fork="b"))
    query = "SELECT block_hash FROM tinychain.blocks ORDER BY block_number"
    before = small.ask(engine, query)

    def check(connection: Connection) -> None:
        seen = list(connection.execute(sa.text(query)).scalars())
        assert seen == [small.block_hash(h, "a" if h < 2 else "b") for h in range(6)]
        assert small.ask(engine, query) == before
        raise CheckFailed("tinychain", rows.blocks, [])

    with pytest.raises(CheckFailed):
        batch.merge(engine, rows, check, seconds=1, run_id="r")
    assert small.ask(engine, query) == before
    assert merged(engine)[0] == ("blocks", "{[0,4)}", 3)


def test_merge_makes_rows_and_progress_visible_together(engine: Engine) -> None:
    """A merge leaves rows, range, watermark and its time, one log row, and nothing in staging."""
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
    given = small.slice_(engine, blocks, rows)
    batch.merge(engine, given, lambda _: None, seconds=1, run_id="r")
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


@pytest.mark.parametrize(
    "place", ["chainflow.progress", "tinychain.transactions", "chainflow.merge_log"]
)
def test_merge_killed_inside_leaves_nothing(engine: Engine, place: str) -> None:
    """Cut at the lock, amid the rows or before the log it leaves nothing; run again, all."""
    small.merge(engine, 0, 2)
    rows = small.slice_(engine, BlockRange(2, 5))
    errors: list[Exception] = []

    def run() -> None:
        try:
            small.merge_slice(engine, rows)
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
    small.merge_slice(engine, rows)
    assert small.heights(engine) == [0, 1, 2, 3, 4]
    assert merged(engine)[0] == ("blocks", "{[0,5)}", 4)


@pytest.mark.parametrize("put", [small.merge_slice, batch.stage])
def test_copy_killed_inside_leaves_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, put: Callable[[Engine, batch.Slice], object]
) -> None:
    """Its connection cut amid COPY it leaves no row and no table; run again, it writes all."""
    pieces = batch.written

    def cut(rows: pa.Table) -> Iterator[memoryview]:
        yield from pieces(rows)
        copying = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'COPY %'"
        for pid in small.ask(engine, copying):
            small.ask(engine, f"SELECT pg_terminate_backend({pid})")
        yield memoryview(b"")

    rows = small.slice_(engine, BlockRange(0, 3))
    monkeypatch.setattr(batch, "written", cut)
    with pytest.raises(StoreUnavailable):
        put(engine, rows)
    assert small.staging(engine) == []
    assert small.heights(engine) == []
    monkeypatch.undo()
    assert small.merge_slice(engine, rows) == 9


def test_staged_rows_are_in_nobodys_way(engine: Engine) -> None:
    """What was put aside for a person is not touched by the next run of the range."""
    aside = small.stage(engine, BlockRange(0, 3), small.rows(BlockRange(0, 3), fork="b"))
    small.merge(engine, 0, 3)
    assert small.ask(engine, "SELECT DISTINCT left(block_hash, 3) FROM tinychain.blocks") == ["0xa"]
    assert len(small.staging(engine)) == len(aside.tables)
    batch.drop(engine, aside)
    batch.drop(engine, aside)
    assert small.staging(engine) == []


def test_merges_at_once_do_not_lose_each_other(engine: Engine) -> None:
    """Eight merges of one chain at once, two of each range, end as if one after another."""
    ranges = [BlockRange(low, low + 5) for low in (0, 5, 10, 15)] * 2
    slices = [small.slice_(engine, blocks) for blocks in ranges]
    errors: list[Exception] = []

    def run(rows: batch.Slice) -> None:
        try:
            small.merge_slice(engine, rows)
        except Exception as error:  # noqa: BLE001 - a thread's error must reach the assertion
            errors.append(error)

    threads = [threading.Thread(target=run, args=(rows,)) for rows in slices]
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
