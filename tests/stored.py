"""Decoded rows in the store, for tests of the views over it; and CCTP transfers as they show."""

from __future__ import annotations

import json
from typing import Any

import psycopg2.extras
import pyarrow as pa
from sqlalchemy.engine import Engine

from chainflow import datasets, heights
from chainflow.store import database, tables
from chainflow.types import Chain, Dataset
from tests import cctp, evm, small
from tests.cctp import Transfer
from tests.evm import Json

ETHEREUM = Chain("ethereum", "evm", 1, blocks_per_minute=5.0)
BASE = Chain("on_base", "evm", 8453, blocks_per_minute=30.0)
TRANSFERS, MESSAGES = datasets.get("evm", ["token_transfers", "cctp_messages"])


def put(engine: Engine, chain: Chain, dataset: Dataset, rows: pa.Table) -> None:
    """Write decoded rows into the chain's table, made if need be."""
    heights.register(engine, [chain])
    tables.ensure(engine, chain, [dataset])
    names = database.quoted_list(*rows.column_names)
    with database.begin(engine) as connection:
        psycopg2.extras.execute_values(
            connection.connection.cursor(),
            f"INSERT INTO {database.quoted(chain.name, dataset.name)} ({names}) VALUES %s",
            [tuple(row.values()) for row in rows.to_pylist()],
        )


def put_logs(
    engine: Engine, chain: Chain, dataset: Dataset, *logs: Json, height: int = evm.HEIGHT
) -> None:
    """Write what the dataset makes of a block with one transaction that left the logs."""
    at = hex(height)
    block = evm.block(evm.transaction(blockNumber=at), timestamp=at, number=at)
    receipt = evm.receipt(0, *(log | {"blockNumber": at} for log in logs), blockNumber=at)
    put(engine, chain, dataset, dataset.decode([evm.raw(block, [receipt])]))


def transfers(engine: Engine, columns: str) -> list[Any]:
    """Columns of chainflow.cctp_transfers, in the order of burns, then mints."""
    order = "ORDER BY burn_time NULLS LAST, mint_time"
    return small.ask(engine, f"SELECT {columns} FROM chainflow.cctp_transfers {order}")


def burn(engine: Engine, transfer: Transfer, height: int) -> None:
    """The burn on ethereum at a height, which is also its time."""
    put_logs(engine, ETHEREUM, MESSAGES, *cctp.evm_burn(transfer), height=height)


def mint(engine: Engine, transfer: Transfer, height: int) -> None:
    """The mint on base."""
    put_logs(engine, BASE, MESSAGES, *cctp.evm_mint(transfer), height=height)


def read_tables(engine: Engine, query: str) -> set[str]:
    """The tables, by schema and name, that PostgreSQL would read for a query."""
    (plan,) = small.ask(engine, f"EXPLAIN (FORMAT json, VERBOSE) {query}")

    def walk(node: dict[str, Any]) -> set[str]:
        here = {f"{node['Schema']}.{node['Relation Name']}"} if "Relation Name" in node else set()
        return here.union(*(walk(below) for below in node.get("Plans", ())))

    return walk((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"])
