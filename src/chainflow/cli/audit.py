"""The command that proves what is stored."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import click

from chainflow.cli.given import Given, pass_given
from chainflow.errors import DamageFound, InputError

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from chainflow.types import BlockRange, Chain, Finding

_HIGHEST = 2**63 - 1


@click.command()
@click.argument("chain")
@click.option("--from", "low", type=click.IntRange(min=0), help="First height. Default: 0.")
@click.option(
    "--to",
    "stop",
    type=click.IntRange(min=1, max=_HIGHEST),
    help="Height to stop before. Default: all that is merged.",
)
@click.option(
    "--against-node",
    is_flag=True,
    help="Also ask the chain's node for every height again, and compare every row.",
)
@click.option("--repair", is_flag=True, help="Read again what fails, and nothing else.")
@pass_given
def audit(
    given: Given, chain: str, low: int | None, stop: int | None, *, against_node: bool, repair: bool
) -> None:
    """Recount, link and hash again what is stored of CHAIN, and name its gaps.

    Exit 1 if something is wrong and stays so; what is wrong is told by table and range.
    """
    from chainflow import audit as audits

    blocks = _range(low, stop)
    entry = given.chain(chain) if against_node or repair else given.registry().chain(chain)
    engine = given.engine()
    stored, findings = _looked(engine, entry, blocks, against_node=against_node)
    if findings and repair:
        findings = _repaired(engine, entry, findings, against_node=against_node)
    if late := audits.overdue(engine, entry):
        days = f"the {entry.audit_days} days of `audit_days`"
        click.echo(f"{chain}: overdue: {late:,} heights were not looked at within {days}")
    left_out = "" if against_node else audits.left_out(entry)
    if left_out:
        click.echo(f"{chain}: not hashed again: {left_out}")
    if findings:
        failing = sum(finding.count for finding in findings)
        hint = "" if repair else f"; `chainflow audit {chain} --repair` reads them again"
        raise DamageFound(f"{chain}: {failing:,} rows or heights fail{hint}")
    click.echo(f"{chain}: {'what is stored is sound' if stored else 'nothing is stored'}")


def _range(low: int | None, stop: int | None) -> BlockRange | None:
    from chainflow.types import BlockRange

    if low is None and stop is None:
        return None
    low, stop = low or 0, stop or _HIGHEST
    if low >= stop:
        raise InputError(f"--from {low} --to {stop}: nothing lies between (--to is exclusive)")
    return BlockRange(low, stop)


def _looked(
    engine: Engine, chain: Chain, blocks: BlockRange | None, *, against_node: bool
) -> tuple[int, list[Finding]]:
    """How many heights are stored, and what fails, told; also where the audit ends early."""
    from chainflow import audit as audits
    from chainflow import board, checks
    from chainflow.endpoints import connection_from_environment

    found: list[Finding] = []
    stored = audits.merged(engine, chain, blocks)
    with board.bar(chain.name, stored) as advance:
        looks = audits.looks(
            engine,
            chain,
            blocks,
            connection=connection_from_environment if against_node else None,
            run_id=f"audit-{secrets.token_hex(4)}",
        )
        try:
            for look in looks:
                if look.findings:
                    found = checks.joined([*found, *look.findings])
                advance(look.merged)
        finally:
            for line in audits.told(found):
                click.echo(line)
    return stored, found


def _repaired(
    engine: Engine, chain: Chain, findings: list[Finding], *, against_node: bool
) -> list[Finding]:
    """What could not be repaired, told."""
    from chainflow import audit as audits
    from chainflow.endpoints import connection_from_environment

    left = audits.repair(
        engine,
        chain,
        findings,
        connection_from_environment,
        against_node=against_node,
        on_merge=lambda blocks: click.echo(f"{chain.name}: read again {blocks}"),
    )
    for line in audits.told(left):
        click.echo(f"still: {line}")
    click.echo("not all of it could be repaired" if left else "repaired")
    return left
