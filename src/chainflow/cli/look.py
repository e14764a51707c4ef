"""Commands that show how things stand: heights, gaps, volume, endpoints."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from chainflow.cli.given import Given, pass_given, tell_object

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from rich.console import Console
    from sqlalchemy.engine import Engine

    from chainflow.lag import Lag
    from chainflow.types import Chain

_REFRESH_SECONDS = 5.0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per chain and line.")
@click.option("--watch", is_flag=True, help="Go on until Ctrl-C.")
@pass_given
def heights(given: Given, *, as_json: bool, watch: bool) -> None:
    """Ask every node for its height and show the lag of every chain.

    On a terminal each answer is shown as it comes, elsewhere all once they are there.
    """
    from chainflow import board

    chains = given.registry().chains.values()
    engine = given.engine()
    console = board.console()
    if as_json:
        while True:
            for line in board.lines(_polled(engine, chains)):
                click.echo(line)
            if not watch:
                return
            time.sleep(_REFRESH_SECONDS)
    if watch or console.is_terminal:
        _show_live(console, engine, chains, watch=watch)
    else:
        console.print(board.render(_polled(engine, chains)))


@click.command()
@click.argument("chain", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per chain and dataset.")
@pass_given
def gaps(given: Given, chain: str | None, *, as_json: bool) -> None:
    """Show the missing heights below the highest merged one."""
    from chainflow import heights as stored

    found = given.registry()
    chains = [found.chain(chain)] if chain else list(found.chains.values())
    engine = given.engine()
    for entry in chains:
        highest = stored.highest(engine, entry)
        missing = stored.gaps(engine, entry, 0 if highest is None else highest + 1)
        for dataset, ranges in missing.items():
            if as_json:
                tell_object(
                    chain=entry.name,
                    dataset=dataset,
                    gaps=[[part.start, part.stop] for part in ranges],
                )
            else:
                told = ", ".join(map(str, ranges)) or "none"
                click.echo(
                    f"{entry.name} {dataset}: {told if highest is not None else 'nothing merged'}"
                )


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per chain, the total first.")
@pass_given
def volume(given: Given, *, as_json: bool) -> None:
    """Show how much was ingested in the last minute, hour, day and 30 days."""
    from chainflow import board, lag

    found = lag.volume(given.engine())
    if as_json:
        for row in found:
            tell_object(**asdict(row))
        return
    board.console().print(board.render_volume(found))


@click.command()
@click.argument("chain", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per endpoint.")
@pass_given
def endpoints(given: Given, chain: str | None, *, as_json: bool) -> int:
    """Ask every endpoint of every live chain, each by itself, and show what it says.

    An endpoint is named by its host. Exit code 1 if a chain has no endpoint that is of use.
    """
    from chainflow import board
    from chainflow import survey as surveys
    from chainflow.endpoints import connection_from_environment

    chains = [given.chain(chain)] if chain else given.registry().chains.values()
    found = surveys.survey(chains, connection_from_environment)
    if as_json:
        for one in found:
            tell_object(**asdict(one))
    else:
        board.console().print(board.render_endpoints(found))
    return 1 if surveys.useless(found) else 0


def _polled(
    engine: Engine, chains: Collection[Chain], on_kept: Callable[[], None] = lambda: None
) -> list[Lag]:
    """The lag of each chain just asked, in the registry's order; `on_kept` as `observe_all`'s."""
    from chainflow import lag, poll
    from chainflow.endpoints import connection_from_environment

    poll.observe_all(engine, chains, connection_from_environment, on_kept)
    return lag.rows(engine, chains)


def _show_live(console: Console, engine: Engine, chains: Collection[Chain], *, watch: bool) -> None:
    """The table, drawn again whenever an answer is in the store."""
    from rich.live import Live

    from chainflow import board, lag

    with Live(console=console, auto_refresh=False) as live:

        def show() -> None:
            live.update(board.render(lag.rows(engine, chains)), refresh=True)

        _polled(engine, chains, show)
        while watch:
            time.sleep(_REFRESH_SECONDS)
            _polled(engine, chains, show)
