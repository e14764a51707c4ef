"""docs/tables.md, and a page beside it, name every table, view and column that a query may use."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from chainflow import datasets, lookup
from chainflow.types import Dataset
from tests import small

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "tables.md").read_text()
WORDS = {word for page in DOCS.glob("tables*.md") for word in re.findall(r"\w+", page.read_text())}
# A shorter way to write columns of a row that are many.
WORDS |= {f"receipt_{word}" for word in WORDS} | {"topic1", "topic2"}
DATASETS = [
    d
    for family in lookup.names("datasets")
    for d in datasets.get(family, lookup.names(f"datasets.{family}"))
]


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda d: f"{d.family}.{d.name}")
def test_every_column_of_a_dataset_is_documented(dataset: Dataset) -> None:
    """A column that nobody can look up is not finished."""
    assert {dataset.name, *(column.name for column in dataset.columns)} <= WORDS


def test_every_column_of_usdcs_views_and_tables_is_documented(engine: Engine) -> None:
    """So are those that span all families."""
    found = small.ask(
        engine,
        "SELECT DISTINCT unnest(ARRAY[table_name, column_name]) FROM information_schema.columns"
        " WHERE table_schema = 'chainflow' AND table_name ~ 'usdc|cctp|token'",
    )
    assert {"token_flows", "usdc_flows", "usdc_token", "cctp_transfers"} < set(found) <= WORDS


def test_queries_in_the_documentation_run(engine: Engine) -> None:
    """Each statement of its SQL blocks that asks the views is one PostgreSQL takes."""
    blocks = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    statements = [one for block in blocks for one in block.split(";") if one.strip()]
    assert len(statements) >= 6
    for statement in statements:
        small.ask(engine, statement.replace(":", r"\:"))
