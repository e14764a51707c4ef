"""Commands that walk the line by hand: what a run would take, and taking it."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

import click

from chainflow.cli.given import Given, pass_given, tell_object
from chainflow.errors import InputError, TransientError

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from chainflow.types import BlockRange, Chain


@click.command()
@click.argument("chain")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per range.")
@pass_given
def plan(given: Given, chain: str, *, as_json: bool) -> None:
    """Show the ranges that the next run of CHAIN would take."""
    from chainflow import pipeline, poll
    from chainflow.endpoints import connection_from_environment

    entry = given.chain(chain)
    engine = given.engine()
    seen = poll.observe(engine, entry, connection_from_environment)
    batches = pipeline.next_batches(engine, entry, seen)
    for batch in batches:
        if as_json:
            tell_object(
                chain=chain,
                start=batch.blocks.start,
                stop=batch.blocks.stop,
                datasets=list(batch.datasets),
            )
        else:
            click.echo(f"{batch.blocks}  {len(batch.blocks)} blocks  {', '.join(batch.datasets)}")
    if not batches and not as_json:
        click.echo(f"{chain}: nothing is missing up to its target")


@click.command()
@click.argument("chain")
@click.option("--from", "low", type=click.IntRange(min=0), help="First height. Default: the start.")
@click.option(
    "--to", "stop", type=click.IntRange(min=1), help="Height to stop before. Default: the target."
)
@click.option("--follow", is_flag=True, help="Go on with new blocks until Ctrl-C.")
@pass_given
def sync(given: Given, chain: str, low: int | None, stop: int | None, *, follow: bool) -> None:
    """Ingest what is missing of CHAIN, up to its target."""
    if low is not None and stop is not None and low >= stop:
        raise InputError(f"--from {low} --to {stop}: nothing lies between (--to is exclusive)")
    if follow and stop is not None:
        raise InputError("--follow has no end: leave out --to")
    entry = given.chain(chain)
    engine = given.engine()
    while True:
        try:
            blocks = _wanted(engine, entry, low, stop)
            _sync(engine, entry, blocks)
        except TransientError as error:
            if not follow:
                raise
            click.echo(f"{error}; trying again", err=True)
        if not follow:
            return
        time.sleep(max(1.0, min(60.0, 60.0 / entry.blocks_per_minute)))


def _wanted(engine: Engine, chain: Chain, low: int | None, stop: int | None) -> BlockRange | None:
    from chainflow import pipeline, poll
    from chainflow.endpoints import connection_from_environment

    seen = poll.observe(engine, chain, connection_from_environment)
    replaced = pipeline.settle(engine, chain, seen, connection_from_environment, run_id=_run_id())
    if replaced:
        click.echo(
            f"{chain.name}: the chain replaced its blocks from {replaced.start} on", err=True
        )
    return pipeline.wanted_range(chain, seen, low, stop)


def _sync(engine: Engine, chain: Chain, blocks: BlockRange | None) -> None:
    """Merge what is missing of the range, with a bar of the heights that are there."""
    if blocks is None:
        click.echo(f"{chain.name}: nothing is final yet")
        return
    from chainflow import board, pipeline
    from chainflow.endpoints import connection_from_environment

    with board.bar(chain.name, _missing(engine, chain, blocks)) as advance:
        totals = pipeline.sync(
            engine,
            chain,
            blocks,
            connection_from_environment,
            run_id=_run_id(),
            on_merge=lambda part, _rows: advance(len(part)),
        )
    rows = ", ".join(f"{count:,} {dataset}" for dataset, count in totals.rows.items())
    click.echo(
        f"{chain.name}: merged up to {blocks.last}; {totals.blocks:,} blocks"
        f" in {totals.seconds:.1f} s{f' ({rows})' if rows else ''}"
    )


def _run_id() -> str:
    return f"sync-{secrets.token_hex(4)}"


def _missing(engine: Engine, chain: Chain, blocks: BlockRange) -> int:
    from dataclasses import replace

    from chainflow import heights as stored
    from chainflow import plan as planner

    missing = stored.gaps(engine, replace(chain, start=blocks.start), blocks.stop)
    return sum(len(batch.blocks) for batch in planner.segments(missing))
