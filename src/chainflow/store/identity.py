"""Which chain a name stands for: rows of two must never stand in the same tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import sqlalchemy as sa

from chainflow.errors import NameTaken
from chainflow.store import database

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.engine import Connection

    from chainflow.types import Chain

# A retired entry may leave its family out, and any entry its chain id: that is no other chain.
_OTHERS = """
SELECT c.chain, c.family, c.chain_id, e.family, e.chain_id,
  EXISTS (SELECT 1 FROM pg_namespace n WHERE n.nspname = c.chain)
  AND EXISTS (SELECT 1 FROM chainflow.progress p WHERE p.chain = c.chain AND NOT isempty(p.merged))
FROM chainflow.chain c
JOIN jsonb_to_recordset(CAST(:entries AS jsonb)) AS e (chain text, family text, chain_id text)
  ON e.chain = c.chain
WHERE (e.family <> '' AND c.family <> '' AND e.family <> c.family) OR e.chain_id <> c.chain_id
"""
# All that is kept of a chain by its name, but for its entry.
_KEPT = ("progress", "merge_log", "reorg", "height", "height_sample", "audit", "audit_log")


def require(connection: Connection, chain: Chain) -> None:
    """Make sure that what is merged under a chain's name is of that chain.

    Raises:
        NameTaken: It is another's; the message says what to do.
    """
    refused = settle(connection, [chain])
    if refused:
        raise NameTaken(refused[chain.name])


def settle(connection: Connection, chains: Iterable[Chain]) -> dict[str, str]:
    """Why entries are refused, by chain; of a name that has become free, forget the old chain.

    It is free where nothing was merged, or where a person dropped the schema.
    """
    rows = [{"chain": c.name, "family": c.family, "chain_id": c.chain_id} for c in chains]
    refused: dict[str, str] = {}
    for name, *facts, taken in connection.execute(sa.text(_OTHERS), {"entries": json.dumps(rows)}):
        if taken:
            refused[name] = _refusal(name, *facts)
            continue
        for table in _KEPT:
            query = f"DELETE FROM chainflow.{table} WHERE chain = :chain"
            connection.execute(sa.text(query), {"chain": name})
    return refused


def _refusal(name: str, family: str, chain_id: str, new_family: str, new_id: str) -> str:
    return (
        f"{name}: its tables hold rows of {_told(family, chain_id)}, and its entry says"
        f" {_told(new_family, new_id)}: give that chain another name in the registry, or drop what"
        f" is there: DROP SCHEMA {database.quoted(name)} CASCADE"
    )


def _told(family: str, chain_id: str | None) -> str:
    return f"family {family}, chain_id {'unknown' if chain_id is None else chain_id}"
