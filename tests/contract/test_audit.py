"""Whatever is done to merged rows behind our back is found, and repaired to what they were.

Over every family, each on a simulated chain of its own with a real PostgreSQL between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml
from sqlalchemy.engine import Engine

from chainflow import audit, datasets, line, lookup, pipeline, registry
from chainflow.store import damage, database
from chainflow.types import Batch, BlockRange, Chain, Finding
from tests import small
from tests.dags.nodes import Nodes, frozen

BLOCKS = 30
SLICE = 10
CHAINS = ("ethereum", "optimism", "tron", "sui", "noble")
# Where something happens in every one of them, and away from a slice's end.
AT, OTHER = 14, 23


@dataclass(frozen=True, slots=True)
class Stored:
    """A chain, all of whose blocks are merged in slices of ten."""

    engine: Engine
    chain: Chain
    blocks: BlockRange

    @property
    def height(self) -> str:
        """What its family calls the height."""
        return datasets.get(self.chain.family, ["blocks"])[0].height_column

    def do(self, *statements: str) -> None:
        """Run statements: {c} in them is the chain, {h} its height's column, {n} and {m} heights.

        One with {t}, a table, is run for each.
        """
        n, m = self.blocks.start + AT, self.blocks.start + OTHER
        names = {"c": self.chain.name, "h": self.height, "n": n, "m": m}
        for statement in statements:
            for table in self.chain.datasets if "{t}" in statement else ("",):
                small.do(self.engine, statement.format(**names, t=table))

    def rows(self) -> dict[str, list[str]]:
        """Every row of every table, in order, and what is merged."""
        found = {
            name: small.ask(
                self.engine,
                f"SELECT t::text FROM {database.quoted(self.chain.name, name)} t ORDER BY 1",
            )
            for name in self.chain.datasets
        }
        merged = "SELECT dataset, merged::text, watermark, watermark_time FROM chainflow.progress"
        mine = f"{merged} WHERE chain = '{self.chain.name}' ORDER BY dataset"
        return found | {"progress": small.ask(self.engine, mine)}

    def audited(self, *, node: bool = False) -> list[Finding]:
        """What fails."""
        return audit.audit(self.engine, self.chain, connection=secret if node else None)

    def repaired(self, found: list[Finding], *, node: bool = False) -> list[tuple[int, int]]:
        """The ranges that a repair reads again, counted from the first height."""
        again: list[tuple[int, int]] = []
        first = self.blocks.start
        left = audit.repair(
            self.engine,
            self.chain,
            found,
            secret,
            against_node=node,
            on_merge=lambda part: again.append((part.start - first, part.stop - first)),
        )
        assert left == []
        return again


def secret(name: str) -> str:
    """Nothing: no simulated node has one."""
    raise AssertionError(f"no connection {name} is needed here")


def stored(nodes: Nodes, engine: Engine, folder: Path, name: str) -> Stored:
    """The chain with every table of its family, synced to its head."""
    file = folder / f"{name}.yaml"
    entry = {**nodes.entries[name], "finality": "head"}
    file.write_text(yaml.safe_dump({"defaults": nodes.defaults, "chains": {name: entry}}))
    chain = registry.load(file).chain(name)
    chain = replace(chain, datasets=lookup.names(f"datasets.{chain.family}"))
    blocks = BlockRange(chain.start, nodes.simulations[name].head + 1)
    for part in blocks.split(SLICE):
        pipeline.ingest(engine, chain, Batch(part, chain.datasets), secret, run_id="test")
    return Stored(engine, chain, blocks)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """A chain of each family, two of the EVM's, whose heads stand still."""
    with frozen(*CHAINS, blocks=BLOCKS) as serving:
        yield serving


@pytest.fixture(scope="module")
def every(
    nodes: Nodes, shared_engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Stored]:
    """All of them, synced once: each test repairs what it damages."""
    folder = tmp_path_factory.mktemp("chains")
    return {name: stored(nodes, shared_engine, folder, name) for name in CHAINS}


@pytest.mark.parametrize("name", CHAINS)
def test_audit_finds_nothing_in_sound_rows(every: dict[str, Stored], name: str) -> None:
    """What was merged is what its hashes, counts and node say, whatever the family."""
    assert every[name].audited() == []
    assert every[name].audited(node=True) == []


Expected = tuple[tuple[str, ...], set[str], list[tuple[int, int]]]

# By damage: what is done, the least of the checks that find it, the ranges that are read again.
ANYWHERE: dict[str, Expected] = {
    "a block is gone": (
        ("DELETE FROM {c}.blocks WHERE {h} = {n}",),
        {"complete", "recounted"},
        [(AT, AT + 1)],
    ),
    "a transaction is gone": (
        ("DELETE FROM {c}.transactions WHERE {h} = {n} AND transaction_index = 0",),
        {"counted", "recounted"},
        [(AT, AT + 1)],
    ),
    "a block's hash is another": (
        ("UPDATE {c}.blocks SET block_hash = 'beef' WHERE {h} = {n}",),
        {"same_block", "linked"},
        [(AT, AT + 2)],
    ),
    "two blocks name other parents": (
        ("UPDATE {c}.blocks SET parent_hash = 'beef' WHERE {h} IN ({n}, {m})",),
        {"linked"},
        [(AT - 1, AT + 1), (OTHER - 1, OTHER + 1)],
    ),
    "a block's time is another": (
        (
            "UPDATE {c}.blocks SET block_timestamp = block_timestamp - interval '1 hour'"
            " WHERE {h} = {n}",
        ),
        {"same_block"},
        [(AT, AT + 1)],
    ),
    "every table lacks a range": (
        ("DELETE FROM {c}.{t} WHERE {h} >= {n} AND {h} < {m}",),
        {"complete", "recounted"},
        [(AT, OTHER)],
    ),
    "a row is of a height that is not merged": (
        (
            "UPDATE {c}.transactions SET {h} = {h} + 100000"
            " WHERE {h} = {n} AND transaction_index = 0",
        ),
        {"recorded", "counted"},
        [(AT, AT + 1)],
    ),
    "a block stands in another's place": (
        (
            "DELETE FROM {c}.{t} WHERE {h} = {n}",
            "CREATE TABLE moved_{t} AS SELECT * FROM {c}.{t} WHERE {h} = {m}",
            "UPDATE moved_{t} SET {h} = {n}",
            "INSERT INTO {c}.{t} SELECT * FROM moved_{t}",
            "DROP TABLE moved_{t}",
        ),
        {"linked"},
        [(AT - 1, AT + 2)],
    ),
    "a table is gone": (
        ("DROP TABLE {c}.transactions",),
        {"there"},
        [(0, BLOCKS)],
    ),
}


@pytest.mark.parametrize("damage", ANYWHERE)
@pytest.mark.parametrize("name", CHAINS)
def test_damage_is_found_and_exactly_its_range_is_read_again(
    every: dict[str, Stored], name: str, damage: str
) -> None:
    """Afterwards every row is what it was before, in every table of every family."""
    chain = every[name]
    statements, checks, ranges = ANYWHERE[damage]
    before = chain.rows()
    chain.do(*statements)
    found = chain.audited()
    assert checks <= {one.check for one in found}
    assert found
    assert chain.repaired(found) == ranges
    assert chain.rows() == before


FORGOTTEN: dict[str, str] = {
    "all progress is gone": "DELETE FROM chainflow.progress WHERE chain = '{c}'",
    "nothing is said to be merged": "UPDATE chainflow.progress SET merged = '{{}}'"
    " WHERE chain = '{c}'",
    "one table's progress is gone": "DELETE FROM chainflow.progress WHERE chain = '{c}'"
    " AND dataset = 'transactions'",
    "a range is not said to be merged": "UPDATE chainflow.progress"
    " SET merged = merged - int8multirange(int8range({n}, {m})) WHERE chain = '{c}'",
}


@pytest.mark.parametrize("damage", FORGOTTEN)
@pytest.mark.parametrize("name", ["ethereum", "noble"])
def test_rows_whose_progress_is_lost_are_found(
    nodes: Nodes, engine: Engine, tmp_path: Path, name: str, damage: str
) -> None:
    """They are read again where what is merged says up to where, and removed where nothing does."""
    chain = stored(nodes, engine, tmp_path, name)
    before = chain.rows()
    chain.do(FORGOTTEN[damage])
    found = chain.audited()
    assert "recorded" in {one.check for one in found}
    chain.repaired(found)
    assert chain.audited() == []
    pipeline.sync(engine, chain.chain, chain.blocks, secret, run_id="test")
    assert chain.rows() == before
    assert chain.audited() == []


@pytest.mark.parametrize("name", CHAINS)
def test_a_gap_is_found_and_filled(nodes: Nodes, engine: Engine, tmp_path: Path, name: str) -> None:
    """In each table, and only where more is merged above; another damage is mended with it."""
    chain = stored(nodes, engine, tmp_path, name)
    before = chain.rows()
    every = datasets.get(chain.chain.family, chain.chain.datasets)
    (sent,) = datasets.get(chain.chain.family, ["transactions"])
    n, m = chain.blocks.start + AT, chain.blocks.start + OTHER
    for dataset in every:
        damage.forget(engine, chain.chain, dataset, BlockRange(n, m))
    damage.forget(engine, chain.chain, sent, BlockRange(n - 2, n))
    chain.do("DELETE FROM {c}.blocks WHERE {h} = {n} - 5")
    found = chain.audited()
    gaps = {one.table: one.ranges for one in found if one.check == "gap"}
    assert gaps == {f"{name}.{dataset.name}": (BlockRange(n, m),) for dataset in every} | {
        f"{name}.transactions": (BlockRange(n - 2, m),)
    }
    assert chain.repaired(found) == [(AT - 5, AT - 4), (AT - 2, OTHER)]
    assert chain.audited() == []
    assert chain.rows() == before
    assert all(look.findings == () for look in audit.looks(engine, chain.chain, shared=True))


def test_a_detached_partition_is_named_and_attached(
    nodes: Nodes, engine: Engine, tmp_path: Path
) -> None:
    """The chain's own table was whole; whoever asked the family's saw nothing of the chain."""
    chain = stored(nodes, engine, tmp_path, "ethereum")
    before = chain.rows()
    chain.do("ALTER TABLE evm.logs DETACH PARTITION {c}.logs")
    (found,) = chain.audited()
    assert (found.check, found.table) == ("attached", "ethereum.logs")
    assert "no partition of evm.logs" in found.sample
    assert chain.repaired([found]) == []
    assert chain.rows() == before
    assert small.ask(engine, "SELECT count(*) > 0 FROM evm.logs") == [True]


_EVM, _TRON, _SUI, _COSMOS = (
    ("ethereum", "optimism"),
    ("tron",),
    ("sui",),
    ("noble",),
)
_FIRST = "{h} = {n} AND ctid = (SELECT min(ctid) FROM {c}.TABLE WHERE {h} = {n})"


def first(table: str, change: str) -> str:
    """A statement that changes one row of a table at the height, or with no change deletes it."""
    what = f"UPDATE {{c}}.{table} SET {change}" if change else f"DELETE FROM {{c}}.{table}"
    return f"{what} WHERE {_FIRST.replace('TABLE', table)}"


ONE = [(AT, AT + 1)]
# What only the family's own hashes, counts and tables show; by chains.
HASHED: list[tuple[tuple[str, ...], str, set[str], list[tuple[int, int]]]] = [
    (_EVM, first("blocks", "gas_used = gas_used + 1"), {"rehashed"}, ONE),
    (_EVM, first("blocks", "miner = '0x' || repeat('a', 40)"), {"rehashed"}, ONE),
    (_EVM, first("blocks", "extra_data = '0xbeef'"), {"rehashed"}, ONE),
    (_EVM, first("transactions", "value = value + 1"), {"rehashed"}, ONE),
    (_EVM, first("transactions", "input = '0xbeef'"), {"rehashed"}, ONE),
    (_EVM, first("transactions", "transaction_hash = '0xbeef'"), {"rehashed"}, ONE),
    (_EVM, first("transactions", "receipt_status = 1 - receipt_status"), {"rehashed"}, ONE),
    (
        _EVM,
        first("transactions", "receipt_cumulative_gas_used = receipt_cumulative_gas_used + 1"),
        {"rehashed"},
        ONE,
    ),
    (_EVM, first("logs", ""), {"rehashed", "recounted"}, ONE),
    (_EVM, first("logs", "data = '0xbeef'"), {"rehashed"}, ONE),
    (_EVM, first("logs", "transaction_index = 999"), {"rehashed"}, ONE),
    (_EVM, first("logs", "transaction_hash = '0xbeef'"), {"same_transaction"}, ONE),
    (_EVM, first("token_transfers", "value = value + 1"), {"derived"}, ONE),
    (_EVM, first("token_transfers", ""), {"derived", "recounted"}, ONE),
    (_EVM, first("token_transfers", "to_address = from_address"), {"derived"}, ONE),
    (("ethereum",), first("withdrawals", "amount = amount + 1"), {"rehashed"}, ONE),
    (_TRON, first("blocks", "witness_address = parent_hash"), {"rehashed"}, ONE),
    (_TRON, first("blocks", "transactions_root = parent_hash"), {"rehashed"}, ONE),
    (_COSMOS, first("blocks", "app_hash = data_hash"), {"rehashed"}, ONE),
    (_COSMOS, first("blocks", "header_time = '2026-01-01T00:00:00Z'"), {"rehashed"}, ONE),
    (_COSMOS, first("transactions", "raw = 'AAAA'"), {"rehashed"}, ONE),
    (_COSMOS, first("transactions", "raw = 'no base64'"), {"rehashed"}, ONE),
    (_COSMOS, first("transactions", "transaction_hash = 'BEEF'"), {"rehashed"}, ONE),
    (_COSMOS, first("transactions", "gas_used = gas_used + 1"), {"rehashed"}, ONE),
    (_COSMOS, first("transactions", "code = code + 1"), {"rehashed"}, ONE),
    (_COSMOS, first("token_transfers", "value = value + 1"), {"derived"}, ONE),
    (_COSMOS, first("token_transfers", ""), {"derived", "recounted"}, ONE),
    (_COSMOS + _SUI, first("events", ""), {"counted", "recounted"}, ONE),
    (
        _TRON,
        "UPDATE {c}.token_transfers SET value = value + 1 WHERE {h} = {n}"
        " AND token_standard = 'trc20'",
        {"rehashed"},
        ONE,
    ),
    (_TRON, "UPDATE {c}.logs SET data = repeat('b', 64) WHERE {h} = {n}", {"rehashed"}, ONE),
    (_COSMOS, first("transactions", "memo = memo || '!'"), {"rehashed"}, ONE),
    (_COSMOS, first("transactions", "gas_limit = gas_limit + 1"), {"rehashed"}, ONE),
    (_COSMOS, first("transactions", "fee = '[]'"), {"rehashed"}, ONE),
    (_COSMOS, first("transactions", "fee_payer = 'nobody'"), {"rehashed"}, ONE),
    (_COSMOS, first("transactions", "timeout_height = 7"), {"rehashed"}, ONE),
    (_COSMOS, first("transactions", "size = size + 1"), {"rehashed"}, ONE),
    (("ethereum",), first("transactions", "receipt_effective_gas_price = 1"), {"rehashed"}, ONE),
    (("ethereum",), first("transactions", "receipt_contract_address = 'x'"), {"rehashed"}, ONE),
    (_SUI, first("transactions", "net_gas_usage = net_gas_usage + 1"), {"rehashed"}, ONE),
    (_SUI, first("transactions", "event_count = event_count + 1"), {"rehashed"}, ONE),
    (_SUI, first("blocks", "epoch = epoch + 1"), {"rehashed"}, ONE),
    (_SUI, first("blocks", "contents_digest = parent_hash"), {"rehashed"}, ONE),
    (_SUI, first("blocks", "epoch_storage_rebate = epoch_storage_rebate + 1"), {"rehashed"}, ONE),
    (_SUI, first("events", "contents = '0xbeef'"), {"rehashed"}, ONE),
    (_SUI, first("events", "sender = package_id"), {"rehashed"}, ONE),
    (_SUI, first("events", "event_type = 'u64'"), {"rehashed"}, ONE),
    (_SUI, first("transactions", "events_digest = effects_digest"), {"rehashed"}, ONE),
]


@pytest.mark.parametrize(
    ("name", "statement", "checks", "ranges"),
    [(name, *rest) for names, *rest in HASHED for name in names],
)
def test_damage_in_one_row_is_found_without_a_node(
    every: dict[str, Stored],
    name: str,
    statement: str,
    checks: set[str],
    ranges: list[tuple[int, int]],
) -> None:
    """By hashes, by tables that follow from others, or by what the merge had counted."""
    chain = every[name]
    before = chain.rows()
    chain.do(statement)
    found = chain.audited()
    assert checks <= {one.check for one in found}
    assert chain.repaired(found) == ranges
    assert chain.rows() == before


# What no block can be made of, whatever reads it first.
UNREADABLE = [
    (_EVM, first("transactions", "extra = '[1]'")),
    (_EVM, first("transactions", "extra = '{{\"receipt\": 7}}'")),
    (_EVM, first("logs", "topic0 = 'no hex'")),
    (_EVM, first("logs", "data = 'no hex'")),
    (_TRON, first("blocks", "witness_address = 'Tno'")),
    (_SUI, first("blocks", "commitments = '[1]'")),
    (_SUI, first("blocks", "end_of_epoch = '7'")),
    (_SUI, first("events", "contents = 'no hex'")),
    (_COSMOS, "UPDATE {c}.events SET attributes = '[1]' WHERE {h} = {n}"),
    (_COSMOS, first("transactions", "result_data = 'no base64'")),
    (("ethereum", *_TRON, *_SUI, *_COSMOS), first("blocks", "block_timestamp = 'infinity'")),
]


@pytest.mark.parametrize(
    ("name", "statement"),
    [(name, statement) for names, statement in UNREADABLE for name in names],
)
def test_a_cell_that_cannot_be_read_is_its_heights_damage_alone(
    every: dict[str, Stored], name: str, statement: str
) -> None:
    """Other damage is found beside it, and both are repaired."""
    chain = every[name]
    before = chain.rows()
    chain.do(statement, "DELETE FROM {c}.blocks WHERE {h} = {m}")
    found = chain.audited()
    assert {AT, OTHER} <= {h - chain.blocks.start for one in found for r in one.ranges for h in r}
    again = chain.repaired(found)
    assert again in ([*ONE, (OTHER, OTHER + 1)], [(AT, AT + 2), (OTHER, OTHER + 1)])
    assert chain.rows() == before


def events_of_tron(where: str) -> str:
    """A statement that removes logs, and the transfers that are made of them."""
    moved = f"DELETE FROM {{c}}.token_transfers WHERE log_index IS NOT NULL AND {where}"
    return f"DELETE FROM {{c}}.logs WHERE {where}; {moved}"


COUNTED: list[tuple[str, str, list[tuple[int, int]]]] = [
    ("tron", events_of_tron("{h} = {n}"), [(10, 20)]),
    ("tron", events_of_tron("{h} >= {n} AND {h} < {m}"), [(10, 30)]),
    ("tron", events_of_tron("true"), [(0, BLOCKS)]),
    ("sui", "DELETE FROM {c}.balance_changes WHERE {h} >= {n} AND {h} < {m}", [(10, 30)]),
]


@pytest.mark.parametrize(("name", "statement", "ranges"), COUNTED)
def test_rows_that_leave_no_trace_are_missed_in_the_slice_they_were_merged_in(
    nodes: Nodes,
    engine: Engine,
    tmp_path: Path,
    name: str,
    statement: str,
    ranges: list[tuple[int, int]],
) -> None:
    """In a table that may be empty only the merge's own count tells; its slices are read again."""
    chain = stored(nodes, engine, tmp_path, name)
    before = chain.rows()
    chain.do(statement)
    found = chain.audited()
    assert {one.check for one in found} == {"recounted"}
    assert chain.repaired(found) == ranges
    assert chain.rows() == before


def test_slice_is_read_again_only_where_mending_its_heights_did_not_suffice(
    nodes: Nodes, engine: Engine, tmp_path: Path
) -> None:
    """A lost transaction is read again by itself; a log lost beside it shows by the count alone."""
    chain = stored(nodes, engine, tmp_path, "tron")
    before = chain.rows()
    chain.do(
        first("transactions", ""),
        events_of_tron("{h} = {n} + 1"),
    )
    assert chain.repaired(chain.audited()) == [*ONE, (10, 20)]
    assert chain.rows() == before


# What no hash of stored columns covers.
TOLD_BY_NODE = [
    (_EVM, first("transactions", "from_address = to_address")),
    (_EVM, first("transactions", "receipt_effective_gas_price = 1")),
    (_EVM, first("blocks", "size = size + 1")),
    (_EVM, first("logs", "log_index = log_index + 100000")),
    (_TRON, first("transactions", "value = coalesce(value, 0) + 1")),
    (_TRON, first("logs", "data = 'beef'")),
    (_TRON, first("token_transfers", "value = value + 1")),
    (_SUI, first("transactions", "transaction_hash = 'beef'")),
    (_SUI, first("balance_changes", "amount = amount + 1")),
    (_COSMOS, first("token_transfers", "value = value + 1")),
    (_COSMOS, first("events", "event_type = 'beef'")),
]


@pytest.mark.parametrize(
    ("name", "statement"),
    [(name, statement) for names, statement in TOLD_BY_NODE for name in names],
)
def test_damage_that_no_hash_covers_is_found_against_the_node(
    every: dict[str, Stored], name: str, statement: str
) -> None:
    """Every row is held against what the node says again; the column that differs is named."""
    chain = every[name]
    before = chain.rows()
    chain.do(statement)
    found = chain.audited(node=True)
    assert "as_the_node" in {one.check for one in found}
    assert chain.repaired(found, node=True) == ONE
    assert chain.rows() == before


def test_doubled_rows_are_found_and_one_of_each_is_left(
    nodes: Nodes, engine: Engine, tmp_path: Path
) -> None:
    """Where somebody dropped the keys, a block, a transaction and a log stand there twice."""
    chain = stored(nodes, engine, tmp_path, "ethereum")
    before = chain.rows()
    tables = ("blocks", "transactions", "logs")
    for table in tables:
        chain.do(
            f"ALTER TABLE evm.{table} DROP CONSTRAINT {table}_pkey",
            f"INSERT INTO {{c}}.{table} SELECT * FROM {{c}}.{table} WHERE {_FIRST}".replace(
                "TABLE", table
            ),
        )
    found = chain.audited()
    doubled = {(check, table) for check in ("unique", "recounted") for table in tables}
    assert doubled <= {(one.check, one.table.rpartition(".")[2]) for one in found}
    assert chain.repaired(found) == ONE
    assert chain.rows() == before


def test_damage_over_many_slices_is_repaired_though_no_slice_links_to_the_next(
    nodes: Nodes, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slices are merged one by one, and each would have to link to the damaged block above."""
    chain = stored(nodes, engine, tmp_path, "ethereum")
    before = chain.rows()
    chain.do(
        "UPDATE {c}.{t} SET block_hash = '0xf' || substr(block_hash, 4)"
        " WHERE {h} >= {n} AND {h} < {m}"
    )
    monkeypatch.setattr(line, "SLICE_BYTES", 1)
    assert chain.repaired(chain.audited()) == [(AT, OTHER + 1)]
    assert chain.rows() == before
