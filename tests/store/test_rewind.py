"""Forgetting what a chain has replaced."""

from __future__ import annotations

from sqlalchemy.engine import Engine

from chainflow import heights
from chainflow.store import rewind
from chainflow.store.rewind import Reorg
from chainflow.types import BlockRange
from tests import small


def _rewind(engine: Engine, start: int, *, old: str | None = None) -> dict[str, int]:
    merged = rewind.merged_hash(engine, small.CHAIN, "block_number", start)
    reorg = Reorg(start, old or merged or "", "0xnew")
    return rewind.rewind(engine, small.CHAIN, reorg, height_column="block_number", run_id="r")


def test_rewind_removes_rows_and_heights_from_there_on(engine: Engine) -> None:
    """Tables, merged ranges and watermark end below the first replaced height."""
    small.merge(engine, 0, 10)
    before = small.ask(engine, "SELECT count(*) FROM tinychain.logs WHERE block_number < 6")
    removed = _rewind(engine, 6)
    assert removed["blocks"] == 4
    assert small.ask(engine, "SELECT max(block_number), count(*) FROM tinychain.blocks") == [(5, 6)]
    assert small.ask(engine, "SELECT count(*) FROM tinychain.logs") == before
    assert heights.watermark(engine, small.CHAIN) == 5
    assert heights.gaps(engine, small.CHAIN, 10)["blocks"] == [BlockRange(6, 10)]


def test_rewind_is_logged_with_what_it_removed(engine: Engine) -> None:
    """The log names the height, both hashes, the heights and how many rows; islands included."""
    small.merge(engine, 0, 10)
    small.merge(engine, 12, 14)
    old = rewind.merged_hash(engine, small.CHAIN, "block_number", 7)
    removed = _rewind(engine, 7)
    assert small.ask(
        engine,
        "SELECT chain, start, depth, heights::text, old_hash, new_hash, row_count, run_id"
        " FROM chainflow.reorg",
    ) == [("tinychain", 7, 7, "{[7,10),[12,14)}", old, "0xnew", sum(removed.values()), "r")]


def test_rewind_leaves_a_branch_that_is_not_the_one_replaced(engine: Engine) -> None:
    """Of two runs that see the same reorg the second finds nothing to do."""
    small.merge(engine, 0, 10)
    assert _rewind(engine, 6, old="0xother") == {}
    assert heights.watermark(engine, small.CHAIN) == 9
    assert small.ask(engine, "SELECT count(*) FROM chainflow.reorg") == [0]


def test_rewind_is_told_by_one_run_for_each_dataset_that_lost_rows(engine: Engine) -> None:
    """Every try and task of that run tells it, and none of another."""
    small.merge(engine, 0, 10)
    small.merge(engine, 0, 5, datasets=[small.WITHDRAWALS])
    names = ("blocks", "logs", "withdrawals")

    def told(run_id: str, *datasets: str) -> dict[str, int]:
        return rewind.tell(engine, "tinychain", datasets or names, run_id)

    assert told("early") == {}
    _rewind(engine, 7)
    small.merge(engine, 7, 10)
    _rewind(engine, 8)
    assert told("first", "blocks") == {"blocks": 7}
    assert told("first", "blocks") == {"blocks": 7}
    assert told("second") == {"logs": 7}
    assert told("third") == {}
    _rewind(engine, 2)
    assert told("fourth") == {"blocks": 2, "logs": 2, "withdrawals": 2}
    assert rewind.tell(engine, "other", names, "fourth") == {}


def test_rewind_to_the_first_height_leaves_nothing(engine: Engine) -> None:
    """A chain that was replaced from its start begins anew."""
    small.merge(engine, 0, 10)
    _rewind(engine, 0)
    assert heights.watermark(engine, small.CHAIN) is None
    assert small.ask(engine, "SELECT count(*) FROM tinychain.blocks") == [0]


def test_merged_hash_of_a_height_not_merged_is_none(engine: Engine) -> None:
    """There is nothing to compare a node's block with."""
    small.merge(engine, 0, 3)
    assert rewind.merged_hash(engine, small.CHAIN, "block_number", 3) is None
