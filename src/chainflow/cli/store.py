"""Commands for the store itself: its schema, and indexes beside the keys."""

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


@db.command()
@click.argument("names", metavar="[CHAIN]...", nargs=-1)
@pass_given
def index(given: Given, names: tuple[str, ...]) -> None:
    """Make the indexes that the registry asks for and tables with rows lack; all chains', or some.

    Nobody who reads or merges waits for it.
    """
    from chainflow import datasets
    from chainflow.store import indexes

    registry, engine = given.registry(), given.engine()
    for chain in map(registry.chain, names or registry.chains):
        for made in indexes.add(engine, chain, datasets.get(chain.family, chain.datasets)):
            click.echo(made)
