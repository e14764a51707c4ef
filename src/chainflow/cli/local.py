"""Commands that need nothing beyond this machine: simulated nodes, and the demo."""

from __future__ import annotations

import math
from pathlib import Path

import click

from chainflow.cli.given import Given, pass_given


def _finite(_: click.Context, __: click.Parameter, given: float) -> float:
    """The number; nan is within any range to click."""
    if not math.isfinite(given):
        raise click.BadParameter(f"{given} is no number to multiply by.")
    return given


_speed = click.option(
    "--speed",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.01, 10_000),
    callback=_finite,
    help="Times the real blocks per minute.",
)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8545, show_default=True, type=click.IntRange(0, 65535))
@_speed
@click.option(
    "--backlog",
    default=300,
    show_default=True,
    type=click.IntRange(1, 1_000_000),
    help="Heights each chain begins with.",
)
@click.option(
    "--registry-out",
    type=click.Path(path_type=Path),
    help="Write the layer that points the registry's chains at these nodes.",
)
@pass_given
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


@click.command()
@click.option(
    "--home", default=".chainflow/demo", show_default=True, type=click.Path(path_type=Path)
)
@click.option("--once", is_flag=True, help="End when every chain is synced.")
@_speed
@pass_given
def demo(given: Given, *, home: Path, once: bool, speed: float) -> int:
    """Run everything on this machine: nodes, PostgreSQL, a real Airflow with our DAGs."""
    from chainflow import demo as demos
    from chainflow import registry

    return demos.run(given.files or registry.find(), home=home, once=once, speed=speed)
