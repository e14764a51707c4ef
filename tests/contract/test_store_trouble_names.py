"""Chains whose names are SQL's own words: quoted wherever they stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from sqlalchemy.engine import Engine

from chainflow import registry
from chainflow.errors import RegistryError
from chainflow.store import batch, database, rewind
from chainflow.store.rewind import Reorg
from chainflow.types import BlockRange, Chain
from tests import small
from tests.contract.test_cli import Outcome, run
from tests.dags.nodes import Nodes, frozen

WORDS = ("select", "order", "user", "table", "all", "null", "default", "chain", "current_user")
BLOCKS = 6


@dataclass(frozen=True, slots=True)
class World:
    """A registry of such chains, all at one node, and their store."""

    file: Path
    nodes: Nodes
    database_url: str
    capsys: pytest.CaptureFixture[str]

    def run(self, *words: str) -> Outcome:
        """Run a command, which must do its work."""
        given = ["--registry", str(self.file), "--database-url", self.database_url]
        done = run(self.capsys, *given, *words)
        assert (done.code, done.err) == (0, ""), words
        return done

    def chain(self, name: str) -> Chain:
        """One of the chains."""
        return registry.load(self.file).chain(name)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """A node with few blocks."""
    with frozen("ethereum", blocks=BLOCKS) as serving:
        yield serving


@pytest.fixture
def world(
    nodes: Nodes, tmp_path: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> World:
    """The chains, each block of which may be replaced."""
    entry = {**nodes.entries["ethereum"], "finality": "head"}
    file = tmp_path / "chains.yaml"
    document = {"defaults": nodes.defaults, "chains": dict.fromkeys(WORDS, entry)}
    file.write_text(yaml.safe_dump(document))
    return World(file, nodes, database_url, capsys)


def test_every_command_works_for_a_chain_named_with_a_word_of_sql(
    world: World, engine: Engine
) -> None:
    """Sync, heights, gaps, volume and audit find its rows, and so do the views."""
    first = world.nodes.simulations["ethereum"].first
    for name in WORDS:
        world.run("sync", name)
        assert small.heights(engine, chain=world.chain(name)) == [*range(first, first + BLOCKS)]
        assert [gap["gaps"] for gap in world.run("gaps", name, "--json").objects()] == [[]] * len(
            world.chain(name).datasets
        )
        world.run("audit", name)
    assert {row["chain"] for row in world.run("heights", "--json").objects()} == set(WORDS)
    assert {row["chain"] for row in world.run("volume", "--json").objects()} >= set(WORDS)
    for view in ("lag", "token_flows"):
        assert set(small.ask(engine, f"SELECT DISTINCT chain FROM chainflow.{view}")) == set(WORDS)
    assert set(small.ask(engine, "SELECT DISTINCT chain FROM evm.blocks")) == set(WORDS)


@pytest.mark.parametrize("name", WORDS)
def test_rows_of_a_chain_named_with_a_word_of_sql_are_forgotten_and_put_aside(
    world: World, engine: Engine, name: str
) -> None:
    """A reorg's rewind and the staging of refused rows quote the name as well."""
    world.run("sync", name)
    chain, first = world.chain(name), world.nodes.simulations["ethereum"].first
    old = rewind.merged_hash(engine, chain, "block_number", first + 3)
    assert rewind.highest(engine, chain, "block_number", first + 99) == first + BLOCKS - 1
    reorg = Reorg(first + 3, old or "", None)
    removed = rewind.rewind(engine, chain, reorg, height_column="block_number", run_id="r")
    assert removed["blocks"] == BLOCKS - 3
    assert small.heights(engine, chain=chain) == [first, first + 1, first + 2]
    tiny = small.stage(engine, BlockRange(0, 3), chain=Chain(f"{name}_", "tiny", 7, 6.0))
    assert len(small.staging(engine)) == len(tiny.tables)
    batch.drop(engine, tiny)
    assert small.staging(engine) == []


@pytest.mark.parametrize(
    "name",
    ["a;drop", 'a"b', "a'b", "A", "1a", "a b", "a-b", "a.b", "pg_x", "staging", "é", "a" * 64],
)
def test_a_name_that_sql_would_have_to_quote_for_more_is_none(world: World, name: str) -> None:
    """The registry takes small letters, digits and underscores only, and no schema of others."""
    entry = world.nodes.entries["ethereum"]
    document = {"defaults": world.nodes.defaults, "chains": {name: entry}}
    world.file.write_text(yaml.safe_dump(document))
    with pytest.raises(RegistryError, match=r"is no name for a chain|is a reserved name"):
        registry.load(world.file)


@pytest.mark.parametrize("name", ['a"b', "a'b", 'a"; DROP TABLE x; --', "a\\", "'"])
def test_names_and_constants_are_quoted_whatever_they_hold(engine: Engine, name: str) -> None:
    """What came past the registry would still be a name, and a constant, not SQL."""
    connection = engine.raw_connection()
    cursor = connection.cursor()
    cursor.execute(f"SELECT {database.literal(name)} AS {database.quoted(name)}")
    assert cursor.description is not None
    assert (cursor.description[0][0], cursor.fetchone()) == (name, (name,))
    connection.close()
