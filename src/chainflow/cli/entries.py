"""Commands for who edits chains.yaml: is it right, and what would an entry say."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import click

from chainflow.cli.given import Given, pass_given


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a registry instead.")
@pass_given
def validate(given: Given, file: Path | None, *, schema: bool) -> None:
    """Check a registry: every error as FILE:LINE: CHAIN.KEY: MESSAGE."""
    from chainflow import registry

    if schema:
        click.echo(json.dumps(registry.json_schema(), indent=2))
        return
    found = registry.load(*([file] if file else given.files or registry.find()))
    click.echo(f"{len(found.chains)} chains: {', '.join(found.chains)}")


@click.command()
@click.argument("node", metavar="URL")
@pass_given
def probe(given: Given, node: str) -> None:
    """Ask a node what it is and print the entry for it; URL may also be conn:ID or env:NAME.

    The output can be pasted below `chains:`. What may be a key in the URL is never printed.
    """
    import asyncio

    from chainflow import endpoints
    from chainflow import probe as probes

    if not given.debug:
        # What the clients warn of is told as a comment of the entry.
        logging.getLogger("chainflow.clients").setLevel(logging.ERROR)
    (endpoint,) = endpoints.resolve([node])
    found = asyncio.run(probes.probe(endpoint))
    known = _known(given, found.family, found.said.chain_id)
    if known:
        click.echo(f"# the registry has this chain as {known}: add the endpoint there")
    click.echo(probes.entry(found, node, known or "mychain"))


def _known(given: Given, family: str, chain_id: int | str | None) -> str | None:
    """What the registry calls a chain, if there is a registry and it has the chain."""
    from chainflow import registry

    if chain_id is None:
        return None
    chains = registry.load_tolerant(*(given.files or registry.find())).chains.values()
    names = (c.name for c in chains if (c.family, c.chain_id) == (family, chain_id))
    return next(names, None)
