"""Commands for the store itself: its schema."""

from __future__ import annotations

import click

from chainflow.cli.given import Given, pass_given


@click.group()
def db() -> None:
    """The store's own schema."""


@db.command()
@pass_given
def upgrade(given: Given) -> None:
    """Create the control schema or bring it up to date; safe to repeat."""
    from chainflow.store import database

    database.upgrade(given.engine(upgraded=False))
    click.echo("the store is up to date")
