"""Every file in checks/ keeps the contract: SQL that runs, on staged rows and on merged ones."""

from __future__ import annotations

import inspect

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from chainflow import lookup
from chainflow.checks import _table
from chainflow.store import database
from chainflow.types import BlockRange
from tests import small

EVERY = lookup.names("checks")
BLOCKS = BlockRange(3, 9)


def test_checks_are_there() -> None:
    """The folder is read; an empty one would make the other tests here pass by doing nothing."""
    assert len(EVERY) >= 7


@pytest.mark.parametrize("name", EVERY)
def test_check_asks_one_question(name: str) -> None:
    """Its first line is the question, and it has nothing public but `queries`."""
    module = lookup.module("checks", name)
    assert (module.__doc__ or "").split("\n")[0].endswith("?")
    functions = inspect.getmembers(module, inspect.isfunction)
    own = [n for n, f in functions if f.__module__ == module.__name__ and not n.startswith("_")]
    assert own == ["queries"]


@pytest.mark.parametrize("place", ["staged", "merged"])
@pytest.mark.parametrize("name", EVERY)
def test_check_gives_heights_and_messages(engine: Engine, name: str, place: str) -> None:
    """Its queries name a given table, give `height` and `message`, and nothing for sound rows."""
    datasets = (*small.ALL, small.WITHDRAWALS)
    staged = small.stage(engine, BLOCKS, datasets=datasets)
    small.merge(engine, BLOCKS.start, BLOCKS.stop, datasets=datasets)
    tables = {
        d.name: _table.staged(small.CHAIN, staged.tables[d.name])
        if place == "staged"
        else _table.merged(small.CHAIN, d, BLOCKS)
        for d in datasets
    }
    asked = list(lookup.module("checks", name).queries(tables, BLOCKS))
    assert asked
    with database.begin(engine) as connection:
        for dataset, query in asked:
            assert dataset in tables
            answer = connection.execute(sa.text(query))
            assert list(answer.keys()) == ["height", "message"]
            assert answer.all() == []


@pytest.mark.parametrize("name", EVERY)
def test_check_of_tables_without_its_columns_asks_nothing_wrong(engine: Engine, name: str) -> None:
    """A family with nothing but heights is checked by what makes sense, and breaks on nothing."""
    bare = small.dataset("events", small.HEIGHT, key=("block_number",))
    staged = small.stage(
        engine, BLOCKS, {"events": [{"block_number": h} for h in BLOCKS]}, datasets=[bare]
    )
    tables = {"events": _table.staged(small.CHAIN, staged.tables["events"])}
    with database.begin(engine) as connection:
        for _, query in lookup.module("checks", name).queries(tables, BLOCKS):
            assert connection.execute(sa.text(query)).all() == []
