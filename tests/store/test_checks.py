"""Each check sees what it is for, in staged rows and in merged ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from chainflow import checks
from chainflow.checks import _findings, _table
from chainflow.store import batch, database
from chainflow.types import BlockRange, Column, Dataset, Finding
from tests import small

BLOCKS = BlockRange(10, 16)
Rows = dict[str, list[small.Row]]
Damage = Callable[[Rows], object]


def told(findings: list[Finding]) -> list[tuple[str, str, int, tuple[int, ...]]]:
    """Check, dataset, count and heights of each finding."""
    return [(f.check, _dataset(f.table), f.count, f.heights) for f in findings]


def _dataset(table: str) -> str:
    names = ("blocks", "transactions", "logs", "withdrawals")
    return next(name for name in names if f"_{name}_" in f"_{table.replace('.', '_')}_")


def check(engine: Engine, damage: Damage) -> list[Finding]:
    """What the checks find in rows of BLOCKS after the damage; nothing is merged beside them."""
    rows = small.rows(BLOCKS)
    damage(rows)
    return checks.run(engine, small.stage(engine, BLOCKS, rows))


def test_checks_find_nothing_in_sound_rows(engine: Engine) -> None:
    """Sound rows pass, alone and between merged neighbours; so do rows of a block without any."""
    assert check(engine, lambda rows: None) == []
    small.merge(engine, 0, 10)
    small.merge(engine, 16, 20)
    assert check(engine, lambda rows: None) == []
    empty = small.stage(engine, BlockRange(9, 10))
    assert empty.tables["transactions"].rows == 0
    assert checks.run(engine, empty) == []


DAMAGES: dict[str, tuple[Damage, list[tuple[str, str, int, tuple[int, ...]]]]] = {
    "a height is missing": (
        lambda rows: rows["blocks"].pop(1),
        [("complete", "blocks", 1, (11,))],
    ),
    "a height stands there twice": (
        lambda rows: rows["blocks"].append(rows["blocks"][0]),
        [("unique", "blocks", 1, (10,))],
    ),
    "a log index stands there twice": (
        lambda rows: rows["logs"].append(rows["logs"][0]),
        [("unique", "logs", 1, (10,))],
    ),
    "a parent is another block": (
        lambda rows: rows["blocks"][2].update(parent_hash="0xdead"),
        [("linked", "blocks", 1, (12,))],
    ),
    "a transaction is lost": (
        lambda rows: rows["transactions"].pop(0),
        [("counted", "transactions", 1, (10,))],
    ),
    "all transactions of a block are lost": (
        lambda rows: rows.update(
            transactions=[r for r in rows["transactions"] if r["block_number"] != 11]
        ),
        [("counted", "transactions", 1, (11,))],
    ),
    "a log is of a fork": (
        lambda rows: rows["logs"][1].update(block_hash="0xf"),
        [("same_block", "logs", 1, (11,))],
    ),
    "a transaction is of no block": (
        lambda rows: rows["transactions"][1].update(block_hash=None),
        [("required", "transactions", 1, (11,)), ("same_block", "transactions", 1, (11,))],
    ),
    "a log is of a height outside": (
        lambda rows: rows["logs"].append(
            {"block_number": 16, "block_hash": small.block_hash(16), "log_index": 0}
        ),
        [("inside", "logs", 1, (16,))],
    ),
    "a block has no time": (
        lambda rows: rows["blocks"][0].update(block_timestamp=None),
        [("required", "blocks", 1, (10,))],
    ),
    "a log has no height": (
        lambda rows: rows["logs"].append({"block_hash": "0x", "log_index": 7}),
        [("required", "logs", 1, ())],
    ),
    "everything is lost": (
        lambda rows: rows.update(blocks=[], transactions=[], logs=[]),
        [("complete", "blocks", 6, (10, 11, 12, 13, 14, 15))],
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_checks_find(engine: Engine, damage: str) -> None:
    """Each damage is found by the check that is for it, at the height where it is."""
    do, expected = DAMAGES[damage]
    assert told(check(engine, do)) == expected


def test_finding_shows_samples_and_counts_all(engine: Engine) -> None:
    """Of many failing rows all are counted, ten heights named, and three told in words."""
    blocks = BlockRange(0, 50)
    rows = small.rows(blocks, fork="b")
    for row in rows["blocks"]:
        row["parent_hash"] = "0xbad"
    (finding,) = checks.run(engine, small.stage(engine, blocks, rows))
    assert (finding.count, finding.heights) == (49, tuple(range(1, 11)))
    assert finding.sample.split("; ") == [
        f"{h}: parent_hash is 0xbad but the block below is {small.block_hash(h - 1, 'b')}"
        for h in (1, 2, 3)
    ]
    assert finding.table.startswith("staging.tinychain_blocks_0_")


@pytest.mark.parametrize(("merged", "at"), [((5, 10), 10), ((16, 20), 16)])
def test_linked_looks_at_merged_neighbours(
    engine: Engine, merged: tuple[int, int], at: int
) -> None:
    """A fork shows where the range meets what is merged just below or just above it."""
    small.merge(engine, *merged)
    staged = small.stage(engine, BLOCKS, small.rows(BLOCKS, fork="b"))
    assert told(checks.run(engine, staged)) == [("linked", "blocks", 1, (at,))]


def test_linked_does_not_look_at_what_the_merge_replaces(engine: Engine) -> None:
    """Rows of the range that are merged already are not the neighbours of the staged ones."""
    small.merge(engine, 10, 16)
    staged = small.stage(engine, BLOCKS, small.rows(BLOCKS, fork="b"))
    assert checks.run(engine, staged) == []


def test_rows_alone_are_compared_with_merged_blocks(engine: Engine) -> None:
    """A dataset backfilled alone must be of the blocks that are merged already."""
    small.merge(engine, 10, 16, datasets=[small.BLOCKS])
    sound = small.stage(engine, BLOCKS, datasets=[small.WITHDRAWALS])
    assert checks.run(engine, sound) == []
    forked = small.rows(BLOCKS, fork="b")
    staged = small.stage(engine, BLOCKS, forked, datasets=[small.WITHDRAWALS])
    assert told(checks.run(engine, staged)) == [
        ("same_block", "withdrawals", 6, (10, 11, 12, 13, 14, 15))
    ]


def test_blocks_alone_are_compared_with_merged_rows(engine: Engine) -> None:
    """Blocks re-read alone after a fork do not fit the old fork's transactions and logs."""
    small.merge(engine, 10, 16)
    rows = small.rows(BLOCKS, fork="b")
    rows["blocks"][0]["transaction_count"] = 7
    staged = small.stage(engine, BLOCKS, rows, datasets=[small.BLOCKS])
    assert told(checks.run(engine, staged)) == [
        ("counted", "transactions", 1, (10,)),
        ("same_block", "logs", 6, (10, 11, 13, 14)),
        ("same_block", "transactions", 6, (10, 11, 13, 14)),
    ]


def test_rows_are_not_compared_with_a_range_half_merged(engine: Engine) -> None:
    """Where `blocks` is merged in part of the range only, it proves nothing and is not asked."""
    small.merge(engine, 10, 12, datasets=[small.BLOCKS])
    forked = small.rows(BLOCKS, fork="b")
    staged = small.stage(engine, BLOCKS, forked, datasets=[small.WITHDRAWALS])
    assert checks.run(engine, staged) == []


def test_checks_apply_where_their_columns_are(engine: Engine) -> None:
    """A family whose tables have other columns gets the checks that make sense there."""
    small.family("sea")
    chain = replace(small.CHAIN, name="seachain", family="sea", datasets=("blocks", "events"))
    height = Column("checkpoint", "bigint", required=True)
    when = Column("block_timestamp", "timestamptz")
    blocks = Dataset(
        "blocks",
        "sea",
        "checkpoint",
        (height, when, Column("event_count", "bigint")),
        ("checkpoint",),
        small.BLOCKS.decode,
    )
    events = Dataset(
        "events",
        "sea",
        "checkpoint",
        (height, Column("event_index", "bigint", required=True)),
        ("checkpoint", "event_index"),
        small.BLOCKS.decode,
    )
    given: Rows = {
        "blocks": [{"checkpoint": 10, "event_count": 1}, {"checkpoint": 12, "event_count": 0}],
        "events": [{"checkpoint": 10, "event_index": i} for i in (0, 1, 1)],
    }
    staged = small.stage(engine, BlockRange(10, 13), given, chain=chain, datasets=[blocks, events])
    assert [(f.check, f.count, f.heights) for f in checks.run(engine, staged)] == [
        ("complete", 1, (11,)),
        ("counted", 1, (10,)),
        ("unique", 1, (10,)),
    ]


def test_audit_finds_nothing_in_merged_rows(engine: Engine) -> None:
    """Ranges merged with gaps between, and a dataset merged in part, are as they should be."""
    small.merge(engine, 0, 5)
    small.merge(engine, 8, 12)
    small.merge(engine, 2, 10, datasets=[small.WITHDRAWALS])
    every = (*small.ALL, small.WITHDRAWALS)
    assert checks.audit(engine, small.CHAIN, every, BlockRange(0, 20)) == []
    assert checks.audit(engine, small.CHAIN, every, BlockRange(30, 40)) == []


def test_audit_of_a_chain_without_tables_finds_nothing(engine: Engine) -> None:
    """A chain that has merged nothing has nothing wrong."""
    assert checks.audit(engine, small.CHAIN, small.ALL, BlockRange(0, 20)) == []


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            "DELETE FROM tinychain.blocks WHERE block_number = 3",
            [("complete", "blocks", 1, (3,))],
        ),
        (
            "DELETE FROM tinychain.transactions WHERE block_number = 2 AND transaction_index = 0",
            [("counted", "transactions", 1, (2,))],
        ),
        (
            "UPDATE tinychain.blocks SET parent_hash = '0xbad' WHERE block_number IN (2, 8)",
            [("linked", "blocks", 1, (2,))],
        ),
        (
            "UPDATE tinychain.logs SET block_hash = '0xbad' WHERE block_number = 4",
            [("same_block", "logs", 1, (4,))],
        ),
        (
            "UPDATE tinychain.logs SET transaction_hash = '0xbad' WHERE block_number = 4",
            [("same_transaction", "logs", 1, (4,))],
        ),
        (
            "INSERT INTO tinychain.logs (block_number, block_hash, log_index) VALUES (6, '0x', 0)",
            [("recorded", "logs", 1, (6,))],
        ),
        (
            "DELETE FROM chainflow.progress WHERE dataset = 'logs'",
            [("recorded", "logs", 9, (1, 2, 4, 8, 10, 11))],
        ),
    ],
)
def test_audit_finds(
    engine: Engine, statement: str, expected: list[tuple[str, str, int, tuple[int, ...]]]
) -> None:
    """What was lost, changed or put in behind our back in a merged table is found."""
    small.merge(engine, 0, 5)
    small.merge(engine, 8, 12)
    small.do(engine, statement)
    findings = checks.audit(engine, small.CHAIN, small.ALL, BlockRange(0, 20))
    assert told(findings) == expected
    assert findings[0].table.startswith("tinychain.")


def test_audit_joins_what_is_found_in_many_parts(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long range is looked at in parts and told as one, links across the parts included."""
    monkeypatch.setattr(checks, "_AUDITED_HEIGHTS", 4)
    small.merge(engine, 0, 20)
    small.do(engine, "UPDATE tinychain.blocks SET parent_hash = '0xbad' WHERE block_number > 0")
    (finding,) = checks.audit(engine, small.CHAIN, small.ALL, BlockRange(0, 20))
    assert (finding.check, finding.count) == ("linked", 19)
    assert finding.heights == tuple(range(1, 11))


def test_checks_do_not_loop_over_tables_without_statistics(engine: Engine) -> None:
    """A table just filled looks like one row to PostgreSQL; its plans must not bet on that."""
    staged = small.stage(engine, BLOCKS)
    tables = {n: _table.staged(small.CHAIN, t) for n, t in staged.tables.items()}
    with database.begin(engine) as connection:
        assert list(_findings.findings(connection, tables, BLOCKS)) == []
        assert connection.execute(sa.text("SHOW enable_nestloop")).scalar() == "off"


def test_audit_looks_at_its_range_only(engine: Engine) -> None:
    """Damage outside the range is not told."""
    small.merge(engine, 0, 10)
    small.do(engine, "DELETE FROM tinychain.blocks WHERE block_number = 3")
    assert checks.audit(engine, small.CHAIN, small.ALL, BlockRange(4, 10)) == []
    assert len(checks.audit(engine, small.CHAIN, small.ALL, BlockRange(0, 4))) == 1


def test_failed_rows_stay_in_staging(engine: Engine) -> None:
    """A finding names the staging table, and its rows are still there to look at."""
    rows = small.rows(BLOCKS)
    rows["blocks"].pop()
    staged = small.stage(engine, BLOCKS, rows)
    (finding,) = checks.run(engine, staged)
    schema, name = finding.table.split(".")
    assert small.ask(engine, f'SELECT count(*) FROM "{schema}"."{name}"') == [5]
    batch.drop(engine, staged)
    assert small.staging(engine) == []
