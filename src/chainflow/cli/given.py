"""What stands before a command, and what every command makes of it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chainflow.errors import InputError

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from chainflow.registry import Registry
    from chainflow.types import Chain


@dataclass(frozen=True, slots=True)
class Given:
    """The options before the command: the registry's files and the store."""

    files: tuple[Path, ...]
    database_url: str | None
    debug: bool

    def registry(self) -> Registry:
        """The registry of the files given."""
        from chainflow import registry

        return registry.load(*(self.files or registry.find()))

    def chain(self, name: str) -> Chain:
        """A chain of the registry that has a node.

        Raises:
            InputError: There is none of that name, or it is retired.
        """
        chain = self.registry().chain(name)
        if chain.status == "retired":
            raise InputError(f"{name} is retired: it is shown and never read")
        return chain

    def engine(self, *, upgraded: bool = True) -> Engine:
        """The store; an embedded one is brought up to date at once, for it is nobody else's."""
        from chainflow.store import database

        variables = ("CHAINFLOW_DATABASE_URL", "AIRFLOW_CONN_CHAINFLOW_DB")
        named = self.database_url or any(os.environ.get(name, "").strip() for name in variables)
        engine = database.engine(database.url(self.database_url))
        if not named:
            database.upgrade(engine)
        elif upgraded:
            database.require_current(engine)
        return engine


pass_given = click.make_pass_decorator(Given)


def tell_object(**parts: object) -> None:
    """Print one JSON object on a line of its own."""
    click.echo(json.dumps(parts, default=str))
