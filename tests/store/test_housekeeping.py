"""What is swept up, and what stays."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.engine import Engine

from chainflow import heights
from chainflow.store import batch, housekeeping
from chainflow.types import BlockRange, Heights
from tests import small


def age(engine: Engine, staged: batch.Staged, days: int) -> None:
    """Make staged tables look as old as that."""
    for table in staged.tables.values():
        note = f"obj_description('{table.name}'::regclass)"
        small.do(
            engine,
            f"""DO $$ BEGIN EXECUTE format('COMMENT ON TABLE {table.name} IS %L', replace({note},
            to_char(now(), 'YYYY-MM-DD'), to_char(now() - interval '{days} days', 'YYYY-MM-DD')));
            END $$""",
        )


def test_clean_drops_staging_tables_after_seven_days(engine: Engine) -> None:
    """Eight days are over, six are not; a table that is not ours stays whatever its age."""
    old, young = (small.stage(engine, BlockRange(low, low + 1)) for low in (0, 5))
    age(engine, old, 8)
    age(engine, young, 6)
    small.do(engine, "CREATE TABLE staging.somebodys (a text)")
    small.do(engine, "COMMENT ON TABLE staging.somebodys IS 'staged_at long ago'")
    assert housekeeping.clean(engine) == (3, 0)
    left = {table.name for table in young.tables.values()} | {'"staging"."somebodys"'}
    assert {f'"staging"."{name}"' for name in small.staging(engine)} == left
    assert housekeeping.clean(engine) == (0, 0)


def test_clean_prunes_samples_after_thirty_days(engine: Engine) -> None:
    """Older samples go, the others and the last observation stay."""
    heights.observe(engine, small.CHAIN, Heights(100, None))
    for days in (29, 31, 400):
        small.do(
            engine,
            "INSERT INTO chainflow.height_sample (chain, observed_at, head)"
            f" VALUES ('tinychain', now() - interval '{days} days', {days})",
        )
    assert housekeeping.clean(engine) == (0, 2)
    assert small.ask(engine, "SELECT head FROM chainflow.height_sample ORDER BY head") == [29, 100]
    assert small.ask(engine, "SELECT head FROM chainflow.height") == [100]


def test_staging_tables_say_what_they_hold(engine: Engine) -> None:
    """A person who finds one reads in its comment the chain, dataset, range and time."""
    staged = small.stage(engine, BlockRange(3, 8))
    name = staged.tables["logs"].name
    (note,) = small.ask(engine, f"SELECT obj_description('{name}'::regclass)::jsonb - 'staged_at'")
    assert note == {"chain": "tinychain", "dataset": "logs", "start": 3, "stop": 8}


def test_staging_table_names_fit_however_long_the_chains(engine: Engine) -> None:
    """PostgreSQL cuts names at 63 bytes; the part that tells two tables apart is kept."""
    chain = replace(small.CHAIN, name="c" * 41)
    for _ in range(2):
        top = BlockRange(2**63 - 2, 2**63 - 1)
        small.stage(engine, top, {"logs": []}, chain=chain, datasets=[small.LOGS])
    assert len(small.staging(engine)) == 2
