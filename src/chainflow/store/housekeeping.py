"""What is kept for a while only: staging tables that nobody merged, and old height samples."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import sqlalchemy as sa

from chainflow.store import database

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

log = logging.getLogger(__name__)

# Ours are known by their comment; a table that somebody else put there stays.
_EXPIRED = """
SELECT t.relname FROM pg_class t
WHERE t.relnamespace = 'staging'::regnamespace AND t.relkind = 'r'
  AND substring(obj_description(t.oid, 'pg_class') FROM '"staged_at": "([^"]+)"')::timestamptz
    < now() - interval '7 days'
ORDER BY t.relname
"""

_PRUNE = "DELETE FROM chainflow.height_sample WHERE observed_at < now() - interval '30 days'"


def clean(engine: Engine) -> tuple[int, int]:
    """Drop staging tables older than 7 days and height samples older than 30; how many of each."""
    with database.begin(engine) as connection:
        samples = connection.execute(sa.text(_PRUNE)).rowcount
        expired = [name for (name,) in connection.execute(sa.text(_EXPIRED))]
    for name in expired:
        with database.begin(engine) as connection:
            table = database.quoted("staging", name)
            connection.execute(sa.text(f"DROP TABLE IF EXISTS {table}"))
        log.info("dropped table=staging.%s", name)
    return len(expired), samples
