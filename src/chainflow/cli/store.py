"""Commands for what is stored: its schema, and the proof of its rows."""

from __future__ import annotations

import click

from chainflow.cli.given import Given, pass_given
from chainflow.errors import WorkError


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


@click.command()
@click.argument("chain")
@click.option("--repair", is_flag=True, help="Read again what fails.")
@pass_given
def audit(given: Given, chain: str, *, repair: bool) -> None:
    """Recount and re-link what is stored of CHAIN; exit 1 if something is wrong and stays so."""
    from chainflow import audit as audits
    from chainflow.endpoints import connection_from_environment

    entry = given.registry().chain(chain)
    engine = given.engine()
    findings = audits.audit(engine, entry)
    for finding in findings:
        click.echo(f"{finding.table}: {finding.check}: {finding.count} failing: {finding.sample}")
    if findings and repair:
        findings = audits.repair(engine, given.chain(chain), findings, connection_from_environment)
        click.echo("repaired" if not findings else "not all of it could be repaired")
    if findings:
        raise WorkError(f"{chain}: {sum(finding.count for finding in findings)} rows fail")
    click.echo(f"{chain}: what is stored is sound")
