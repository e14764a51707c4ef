"""One query over token flows for every family: the families are walked, never listed by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import pytest
from sqlalchemy.engine import Engine

from chainflow import datasets, lookup
from chainflow.types import Chain, RawBlock
from tests import small, stored

FAMILIES = [family for family in lookup.names("datasets") if lookup.members(family)]
SAMPLES: dict[str, Sequence[RawBlock]] = {
    family: import_module(f"tests.contract.datasets_{family}").SAMPLE for family in FAMILIES
}
# What stands for nobody where a token is made or destroyed.
NOBODY = {None, "0x" + 40 * "0", "T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb"}
Flow = tuple[Any, ...]

every_family = pytest.mark.parametrize("family", FAMILIES)


def chain(family: str, number: int = 1) -> Chain:
    """A chain of the family."""
    return Chain(f"{family}_{number}", family, number, blocks_per_minute=1.0)


def put(engine: Engine, family: str, view: str, number: int = 1) -> list[dict[str, Any]]:
    """Store the sample's rows of the table that the family gives to a view; return them."""
    (table,) = {member.table for member in lookup.members(family) if member.view == view}
    (dataset,) = datasets.get(family, [table])
    decoded = dataset.decode(SAMPLES[family])
    stored.put(engine, chain(family, number), dataset, decoded)
    rows: list[dict[str, Any]] = decoded.to_pylist()
    return [{"height": row[dataset.height_column], **row} for row in rows]


def expected(rows: Sequence[dict[str, Any]]) -> Counter[Flow]:
    """The flows that rows of token_transfers or balance_changes tell of."""
    flows: Counter[Flow] = Counter()
    for row in rows:
        place = row["height"], row["block_timestamp"], row["transaction_hash"]
        if "coin_type" in row:
            flows[*place, row["owner"], row["coin_type"], int(row["amount"])] += 1
            continue
        for owner, sign in ((row["from_address"], -1), (row["to_address"], 1)):
            if owner not in NOBODY:
                flows[*place, owner, row["token_address"], sign * int(row["value"])] += 1
    return flows


def test_every_table_of_transfers_is_in_the_one_query() -> None:
    """A family with such a table and without its flows would be missing from it."""
    for family in lookup.names("datasets"):
        given = {m.table for m in lookup.members(family) if m.view == "token_flows"}
        tables = {"token_transfers", "balance_changes"} & set(lookup.names(f"datasets.{family}"))
        assert given == tables, family


@every_family
def test_flows_are_those_of_the_familys_rows(engine: Engine, family: str) -> None:
    """Every transfer twice, every balance change once, nothing of nobody, all exact."""
    flows = expected(put(engine, family, "token_flows"))
    query = "SELECT height, time, tx_hash, owner, token, amount FROM chainflow.token_flows"
    assert flows
    assert Counter((*rest, int(amount)) for *rest, amount in small.ask(engine, query)) == flows


@every_family
def test_a_query_for_one_chain_reads_its_table_alone(engine: Engine, family: str) -> None:
    """With every family's tables there, nothing but that chain's partition is touched."""
    for other in FAMILIES:
        for number in (1, 2):
            put(engine, other, "token_flows", number)
    for view in ("token_flows", "usdc_flows"):
        query = (
            f"SELECT sum(amount) FROM chainflow.{view} WHERE chain = '{family}_1'"
            " AND height BETWEEN 1 AND 1000000000"
        )
        read = stored.read_tables(engine, query)
        schemas = {name.partition(".")[0] for name in read} - {"chainflow"}
        assert schemas == {f"{family}_1"}, view


@pytest.mark.parametrize(
    "family", [f for f in FAMILIES if "cctp_messages" in lookup.names(f"datasets.{f}")]
)
def test_messages_between_chains_are_in_the_one_view(engine: Engine, family: str) -> None:
    """Every row of the family's table, its columns by the same names."""
    rows = put(engine, family, "cctp_messages")
    query = (
        "SELECT height, time, transaction_hash, log_index, direction, message_key, amount::text"
        " FROM chainflow.cctp_messages"
    )
    names = ("height", "block_timestamp", "transaction_hash", "log_index", "direction")
    expected = [(*(row[n] for n in names), row["message_key"], row["amount"]) for row in rows]
    assert rows
    assert sorted(small.ask(engine, query)) == sorted(expected)
