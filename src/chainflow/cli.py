"""The line from a terminal: the same steps as the DAGs, without Airflow.

Every command imports what it needs by itself, so that --help and validate answer at once.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chainflow import __version__
from chainflow.errors import ChainflowError, InputError, RegistryError, TransientError, WorkError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.engine import Engine

    from chainflow.lag import Lag
    from chainflow.registry import Registry
    from chainflow.types import BlockRange, Chain

_REFRESH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Given:
    """What stands before the command."""

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

        named = self.database_url or os.environ.get("CHAINFLOW_DATABASE_URL")
        engine = database.engine(database.url(self.database_url))
        if not named and "AIRFLOW_CONN_CHAINFLOW_DB" not in os.environ:
            database.upgrade(engine)
        elif upgraded:
            database.require_current(engine)
        return engine


_pass_given = click.make_pass_decorator(Given)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--registry",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="The chains; may be repeated, later files win key by key. Default: CHAINFLOW_REGISTRY,"
    " else chains.yaml.",
)
@click.option(
    "--database-url",
    metavar="URL",
    help="The PostgreSQL that holds the tables. Default: CHAINFLOW_DATABASE_URL, else"
    " AIRFLOW_CONN_CHAINFLOW_DB, else an embedded server under .chainflow.",
)
@click.option("--debug", is_flag=True, help="Tell each step, and where an error came from.")
@click.version_option(__version__, prog_name="chainflow")
@click.pass_context
def cli(
    context: click.Context, files: tuple[Path, ...], database_url: str | None, *, debug: bool
) -> None:
    """Follow blockchains into PostgreSQL, and see how far behind each one is.

    Exit codes: 0 done, 1 the work failed, 2 the input is wrong.
    """
    logging.basicConfig(
        level=logging.INFO if debug else logging.WARNING, format="%(levelname)s %(message)s"
    )
    context.obj = Given(files, database_url, debug)


@cli.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a registry instead.")
@_pass_given
def validate(given: Given, file: Path | None, *, schema: bool) -> None:
    """Check a registry: every error as FILE:LINE: CHAIN.KEY: MESSAGE."""
    from chainflow import registry

    if schema:
        click.echo(json.dumps(registry.json_schema(), indent=2))
        return
    found = registry.load(*([file] if file else given.files or registry.find()))
    click.echo(f"{len(found.chains)} chains: {', '.join(found.chains)}")


@cli.group()
def db() -> None:
    """The store's own schema."""


@db.command()
@_pass_given
def upgrade(given: Given) -> None:
    """Create the control schema or bring it up to date; safe to repeat."""
    from chainflow.store import database

    database.upgrade(given.engine(upgraded=False))
    click.echo("the store is up to date")


@cli.command()
@click.argument("chain")
@click.option("--from", "low", type=click.IntRange(min=0), help="First height. Default: the start.")
@click.option(
    "--to", "stop", type=click.IntRange(min=1), help="Height to stop before. Default: the target."
)
@click.option("--follow", is_flag=True, help="Go on with new blocks until Ctrl-C.")
@_pass_given
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
        _sleep(max(1.0, min(60.0, 60.0 / entry.blocks_per_minute)))


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per chain and line.")
@click.option("--watch", is_flag=True, help="Go on until Ctrl-C.")
@_pass_given
def heights(given: Given, *, as_json: bool, watch: bool) -> None:
    """Ask every node for its height and show the lag of every chain."""
    from rich.live import Live

    from chainflow import board

    chains = given.registry().chains.values()
    engine = given.engine()
    if as_json:
        while True:
            for line in board.lines(_polled(engine, chains)):
                click.echo(line)
            if not watch:
                return
            _sleep(_REFRESH_SECONDS)
    console = board.console()
    if not watch:
        console.print(board.render(_polled(engine, chains)))
        return
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(board.render(_polled(engine, chains)), refresh=True)
            _sleep(_REFRESH_SECONDS)


@cli.command()
@click.argument("chain", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per chain and dataset.")
@_pass_given
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
                _object(
                    chain=entry.name,
                    dataset=dataset,
                    gaps=[[part.start, part.stop] for part in ranges],
                )
            else:
                told = ", ".join(map(str, ranges)) or "none"
                click.echo(
                    f"{entry.name} {dataset}: {told if highest is not None else 'nothing merged'}"
                )


@cli.command()
@click.argument("chain")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per range.")
@_pass_given
def plan(given: Given, chain: str, *, as_json: bool) -> None:
    """Show the ranges that the next run of CHAIN would take."""
    from chainflow import pipeline
    from chainflow.endpoints import connection_from_environment

    entry = given.chain(chain)
    engine = given.engine()
    seen = pipeline.observe(engine, entry, connection_from_environment)
    batches = pipeline.next_batches(engine, entry, seen)
    for batch in batches:
        if as_json:
            _object(
                chain=chain,
                start=batch.blocks.start,
                stop=batch.blocks.stop,
                datasets=list(batch.datasets),
            )
        else:
            click.echo(f"{batch.blocks}  {len(batch.blocks)} blocks  {', '.join(batch.datasets)}")
    if not batches and not as_json:
        click.echo(f"{chain}: nothing is missing up to its target")


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per chain, the total first.")
@_pass_given
def volume(given: Given, *, as_json: bool) -> None:
    """Show how much was ingested in the last minute, hour, day and 30 days."""
    from chainflow import lag

    found = lag.volume(given.engine())
    if as_json:
        for row in found:
            _object(**asdict(row))
        return
    from rich import filesize
    from rich.table import Table

    from chainflow import board

    table = Table("BLOCKCHAIN", box=None, header_style="bold", pad_edge=False)
    for span in ("MINUTE", "HOUR", "DAY", "30 DAYS", "BLOCKS, 30 DAYS", "ROWS, 30 DAYS"):
        table.add_column(span, justify="right")
    for row in found:
        sizes = [filesize.decimal(s.bytes) for s in (row.minute, row.hour, row.day, row.month)]
        table.add_row(row.chain or "all", *sizes, f"{row.month.blocks:,}", f"{row.month.rows:,}")
    board.console().print(table)


@cli.command()
@click.argument("chain")
@click.option("--repair", is_flag=True, help="Read again what fails.")
@_pass_given
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


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8545, show_default=True, type=click.IntRange(0, 65535))
@click.option("--speed", default=1.0, show_default=True, help="Times the real blocks per minute.")
@click.option("--backlog", default=300, show_default=True, help="Heights each chain begins with.")
@click.option(
    "--registry-out",
    type=click.Path(path_type=Path),
    help="Write the layer that points the registry's chains at these nodes.",
)
@_pass_given
def devnet(
    given: Given, *, host: str, port: int, speed: float, backlog: int, registry_out: Path | None
) -> None:
    """Run simulated nodes for every live chain of the registry, until Ctrl-C."""
    import asyncio

    from chainflow.devnet import server

    chains = [c for c in given.registry().chains.values() if c.status == "live"]
    asyncio.run(
        server.run(
            chains,
            host=host,
            port=port,
            speed=speed,
            backlog=backlog,
            registry_out=registry_out,
            on_ready=lambda url: click.echo(f"{len(chains)} simulated chains at {url}/CHAIN"),
        )
    )


@cli.command()
@click.option(
    "--home", default=".chainflow/demo", show_default=True, type=click.Path(path_type=Path)
)
@click.option("--once", is_flag=True, help="End when every chain is synced.")
@click.option("--speed", default=1.0, show_default=True, help="Times the real blocks per minute.")
@_pass_given
def demo(given: Given, *, home: Path, once: bool, speed: float) -> int:
    """Run everything on this machine: nodes, PostgreSQL, a real Airflow with our DAGs."""
    from chainflow import demo as demos
    from chainflow import registry

    return demos.run(given.files or registry.find(), home=home, once=once, speed=speed)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code: 0 done, 1 the work failed, 2 the input is wrong."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = cli.main(words, prog_name="chainflow", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        _tell(error.format_message())
        sys.exit(2)
    except ChainflowError as error:
        _explain(words, error)
        sys.exit(2 if isinstance(error, InputError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - the outermost edge: a line, not a traceback
        _explain(words, error)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _explain(words: Sequence[str], error: Exception) -> None:
    if "--debug" in words:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, RegistryError):
        click.echo(str(error), err=True)
    elif isinstance(error, ChainflowError):
        _tell(str(error))
    else:
        _tell(f"unexpected {type(error).__name__}: {error} (--debug tells where)")


def _tell(message: str) -> None:
    click.echo(f"error: {' '.join(message.split())}", err=True)


def _wanted(engine: Engine, chain: Chain, low: int | None, stop: int | None) -> BlockRange | None:
    from chainflow import pipeline
    from chainflow.endpoints import connection_from_environment

    seen = pipeline.observe(engine, chain, connection_from_environment)
    return pipeline.wanted_range(chain, seen, low, stop)


def _sync(engine: Engine, chain: Chain, blocks: BlockRange | None) -> None:
    """Merge what is missing of the range, with a bar of the heights that are there."""
    if blocks is None:
        click.echo(f"{chain.name}: nothing is final yet")
        return
    import secrets

    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from chainflow import pipeline
    from chainflow.endpoints import connection_from_environment

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(chain.name, total=_missing(engine, chain, blocks), rate="")

        def merged(part: BlockRange, _rows: object) -> None:
            speed = progress.tasks[bar].speed
            progress.update(bar, advance=len(part), rate=f"{speed or 0:.0f} blocks/s")

        totals = pipeline.sync(
            engine,
            chain,
            blocks,
            connection_from_environment,
            run_id=f"sync-{secrets.token_hex(4)}",
            on_merge=merged,
        )
    rows = ", ".join(f"{count:,} {dataset}" for dataset, count in totals.rows.items())
    click.echo(
        f"{chain.name}: merged up to {blocks.last}; {totals.blocks:,} blocks"
        f" in {totals.seconds:.1f} s{f' ({rows})' if rows else ''}"
    )


def _missing(engine: Engine, chain: Chain, blocks: BlockRange) -> int:
    from dataclasses import replace

    from chainflow import heights as stored
    from chainflow import plan as planner

    missing = stored.gaps(engine, replace(chain, start=blocks.start), blocks.stop)
    return sum(len(batch.blocks) for batch in planner.segments(missing))


def _polled(engine: Engine, chains: Iterable[Chain]) -> list[Lag]:
    from chainflow import lag, pipeline
    from chainflow.endpoints import connection_from_environment

    wanted = {chain.name: chain for chain in chains}
    pipeline.observe_all(engine, wanted.values(), connection_from_environment)
    return [row for row in lag.rows(engine) if row.chain in wanted]


def _object(**parts: object) -> None:
    click.echo(json.dumps(parts, default=str))


def _sleep(seconds: float) -> None:
    import time

    time.sleep(seconds)
