"""What the demo's Airflow works on: an empty store, and the nodes of its chains."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import yaml

from chainflow.devnet import server
from chainflow.store import database, embedded
from chainflow.testing import anvil, node

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from chainflow.registry import Registry

log = logging.getLogger(__name__)

_BACKLOG = 300
# Each task costs two seconds of imports on a small machine, whatever its range.
_TASK_MINUTES = 30.0
_MINED_EVERY_SECONDS = 2.0


def fresh_database(folder: Path) -> str:
    """URL of an empty database; an earlier demo's blocks are not those of this one's nodes."""
    server_url = embedded.start(folder)
    admin = database.engine(server_url)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("DROP DATABASE IF EXISTS chainflow WITH (FORCE)")
        connection.exec_driver_sql("CREATE DATABASE chainflow")
    return server_url.replace("/postgres?", "/chainflow?")


@contextmanager
def devnet(chains: Registry, home: Path, speed: float) -> Iterator[Path]:
    """The devnet in a thread while inside; the layer that sends the registry to it."""
    layer = home / "devnet.yaml"
    layer.unlink(missing_ok=True)
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    serving = loop.create_task(
        server.run(
            tuple(chains.chains.values()),
            speed=speed,
            backlog=_BACKLOG,
            registry_out=layer,
            on_ready=lambda _: ready.set(),
        )
    )
    serving.add_done_callback(lambda _: ready.set())
    thread = threading.Thread(target=_until_done, args=(loop, serving), name="devnet", daemon=True)
    thread.start()
    try:
        ready.wait()
        if serving.done() and (error := serving.exception()):
            raise error
        yield layer
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join()
        loop.close()


def _until_done(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    loop.run_until_complete(asyncio.wait([task]))


def own_layer(stack: ExitStack, home: Path) -> Path:
    """What the demo adds to the registry: few, long tasks, and anvil if it can be started."""
    layer = home / "demo.yaml"
    added = {"defaults": {"task_minutes": _TASK_MINUTES}, "chains": _real(stack)}
    layer.write_text(yaml.safe_dump(added, sort_keys=False))
    return layer


def _real(stack: ExitStack) -> dict[str, Any]:
    """The entry of anvil, up until the stack is left; none where it is not there, or not well."""
    if anvil.find() is None:
        return {}
    try:
        return {"anvil": stack.enter_context(_anvil())}
    except (node.NodeError, OSError) as error:
        log.warning("the demo goes on without anvil reason=%s", " ".join(str(error).split()))
        return {}


@contextmanager
def _anvil() -> Iterator[dict[str, Any]]:
    """A real EVM node that mines ERC-20 transfers while inside; its entry for the registry."""
    over = threading.Event()
    with anvil.start() as running:
        entry = {
            "family": "evm",
            "env": "local",
            "chain_id": 31337,
            "blocks_per_minute": 60 / _MINED_EVERY_SECONDS,
            "start": 0,
            "finality": "finalized",
            "schedule_minutes": 1,
            "endpoints": [running.url],
        }
        token = running.deploy_token()
        miner = threading.Thread(
            target=_mine, args=(running, token, over), name="miner", daemon=True
        )
        miner.start()
        try:
            yield entry
        finally:
            over.set()
            miner.join()


def _mine(running: anvil.Anvil, token: str, over: threading.Event) -> None:
    value = 1
    while not over.wait(_MINED_EVERY_SECONDS):
        try:
            running.transfer(token, value)
        except (node.NodeError, OSError) as error:
            log.warning("anvil does not answer reason=%s", error)
        value = value * 7 % 2**128
