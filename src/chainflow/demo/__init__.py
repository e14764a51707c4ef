"""All of it on one machine: nodes, PostgreSQL and a real Airflow, until every chain is synced.

Nothing outside loopback is asked: chains of the registry are simulated by the devnet, and anvil,
where npm installed it, joins as a real EVM node with a miner of its own.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live

from chainflow import board, heights, lag, registry
from chainflow.demo import airflow, parts
from chainflow.errors import InputError, WorkError
from chainflow.store import database

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.engine import Engine

    from chainflow.lag import Lag
    from chainflow.registry import Registry

_LIMIT_SECONDS = 900.0
_REFRESH_SECONDS = 1.0
_TOLD_EVERY_SECONDS = 15.0


def run(files: Sequence[Path], *, home: Path, once: bool, speed: float) -> int:
    """Run the demo; the exit code.

    Args:
        files: The registry; its live chains are simulated.
        home: Folder of everything the demo writes; what an earlier demo left there is replaced.
        once: End when every chain stands at its target, instead of going on until Ctrl-C.
        speed: How many times faster than on the real chains blocks are made.

    Raises:
        InputError: The registry is wrong, a demo runs in that folder, or the DAGs are not found.
        WorkError: A part did not start or ended, or a chain did not get to its target.
    """
    console = board.console()
    home = home.absolute()
    with _locked(home), ExitStack() as stack:
        try:
            return _run(console, stack, files, home=home, once=once, speed=speed)
        except KeyboardInterrupt:
            console.print("Interrupted; everything that was started is being stopped.")
            return 130


def _run(
    console: Console,
    stack: ExitStack,
    files: Sequence[Path],
    *,
    home: Path,
    once: bool,
    speed: float,
) -> int:
    dags = _dags()
    console.print("PostgreSQL, the nodes, and Airflow are starting; this takes half a minute")
    url = parts.fresh_database(home / "postgres")
    engine = database.engine(url)
    database.upgrade(engine)
    layers = [*files, stack.enter_context(parts.devnet(registry.load(*files), home, speed))]
    layers.append(parts.own_layer(stack, home))
    chains = registry.load(*layers)
    heights.register(engine, chains.chains.values())
    environment = {
        "CHAINFLOW_REGISTRY": os.pathsep.join(str(layer.absolute()) for layer in layers),
        "CHAINFLOW_DATABASE_URL": url,
    }
    running = stack.enter_context(
        airflow.running(home / "airflow", dags=dags, environment=environment)
    )
    _tell_where(console, running, url)
    _follow(console, engine, running, chains, once=once)
    return 0


def _follow(
    console: Console, engine: Engine, running: airflow.Airflow, chains: Registry, *, once: bool
) -> None:
    """Show the table until all chains stand at their target; unless `once`, then until Ctrl-C."""
    wanted = {chain.name for chain in chains.chains.values() if chain.status == "live"}
    goals: dict[str, int] = {}
    began = told = time.monotonic()
    missing = wanted
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while missing:
            running.require_running()
            rows = lag.rows(engine, chains.chains.values())
            goals = {row.chain: row.target for row in rows if row.target is not None} | goals
            missing = wanted - {r.chain for r in rows if _arrived(r, goals.get(r.chain))}
            elapsed = time.monotonic() - began
            line = f"{elapsed:.0f} s: {len(wanted - missing)} of {len(wanted)} chains are synced"
            live.update(Group(board.render(rows), line), refresh=True)
            if not console.is_terminal and time.monotonic() - told > _TOLD_EVERY_SECONDS:
                told = time.monotonic()
                console.print(line)
            if missing and elapsed > _LIMIT_SECONDS:
                raise WorkError(_why_not(running, missing))
            time.sleep(_REFRESH_SECONDS)
    console.print(board.render(lag.rows(engine, chains.chains.values())))
    _tell_what(console, wanted, elapsed)
    if not once:
        console.print("Everything stays up; Ctrl-C ends it.")
        with suppress(KeyboardInterrupt):
            _watch(console, engine, running, chains)
        console.print("Everything is being stopped.")


def _watch(console: Console, engine: Engine, running: airflow.Airflow, chains: Registry) -> None:
    """Show the table until Ctrl-C."""
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            running.require_running()
            live.update(board.render(lag.rows(engine, chains.chains.values())), refresh=True)
            time.sleep(_REFRESH_SECONDS * 5)


def _arrived(row: Lag, goal: int | None) -> bool:
    """Whether all is merged up to the target that the chain had at first, and it counts as synced.

    Its target of this moment is no measure: that has risen since the run under way was planned.
    """
    reached = goal is not None and row.watermark is not None and row.watermark >= goal
    return reached and row.state == "synced"


def _why_not(running: airflow.Airflow, late: set[str]) -> str:
    failed = ", ".join(running.failed_runs()) or "none"
    logs = running.services[0].log.parent
    return (
        f"{', '.join(sorted(late)) or 'some chain'} not at the target after {_LIMIT_SECONDS:.0f} "
        f"seconds; DAGs with failed runs: {failed}; the tasks' logs are under {logs}"
    )


def _tell_where(console: Console, running: airflow.Airflow, url: str) -> None:
    console.print(f"Airflow     {running.url}  (login {airflow.USER}, password {airflow.PASSWORD})")
    console.print(f"PostgreSQL  {url}", soft_wrap=True)


def _tell_what(console: Console, live: set[str], elapsed: float) -> None:
    console.print(
        f"Every chain is synced, {elapsed:.0f} s after Airflow was up; what a row still lacks came "
        "up since that chain's last run."
    )
    console.print(
        f"[bold]Simulated[/] by the devnet, generated blocks on top of a few recorded ones: "
        f"{', '.join(sorted(live - {'anvil'}))}."
    )
    if "anvil" in live:
        console.print("[bold]Real[/] node: anvil, an Ethereum node on this machine.")
    else:
        console.print("No real node: anvil is not installed (it needs node and npm).")


def _dags() -> Path:
    """The DAG files of the checkout that this package is installed from, else those beside us."""
    for folder in (Path(__file__).parents[3] / "dags", Path("dags").absolute()):
        if (folder / "generate.py").is_file():
            return folder
    raise InputError("the demo needs the folder `dags` of a checkout: run it from there")


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """The folder to ourselves, without what an earlier demo logged."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"a demo is running in {home}; end it first") from None
        shutil.rmtree(home / "airflow", ignore_errors=True)
        yield
