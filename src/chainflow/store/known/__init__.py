"""What is known of USDC on each chain: its tokens and the contracts that move it between chains.

Two small tables, checked in beside this file with their sources and written into the store by every
`chainflow db upgrade`. A chain is known by its family and chain id, so that a user may call it what
he likes; testnets are left out, for they share domains with the real chains.
"""

from __future__ import annotations

import csv
import io
from importlib.resources import files
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

_KEYS = {
    "usdc_token": ("family", "chain_id", "token"),
    "cctp_contract": ("family", "chain_id", "cctp_version"),
}


def rows(table: str) -> list[dict[str, str]]:
    """The rows of `usdc_token` or `cctp_contract` that this release ships, by column."""
    text = files(__name__).joinpath(f"{table}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(io.StringIO(text)))


def fill(connection: Connection) -> None:
    """Write what this release knows; rows that users added stay."""
    for table, key in _KEYS.items():
        for row in rows(table):
            _upsert(connection, table, key, row)


def _upsert(connection: Connection, table: str, key: tuple[str, ...], row: dict[str, str]) -> None:
    said = [column for column in row if column not in key]
    connection.execute(
        sa.text(
            f"INSERT INTO chainflow.{table} ({', '.join(row)})"
            f" VALUES ({', '.join(f':{column}' for column in row)})"
            f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET "
            + ", ".join(f"{column} = excluded.{column}" for column in said)
        ),
        row,
    )
