"""What each task of the DAGs does: a call into the core, and the core's errors made Airflow's.

Between tasks travel numbers, and the chain's entry as it stood when the run was planned: no rows,
no secrets. Each task imports the core itself, since Airflow imports this file whenever it parses.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict

from airflow import sdk
from airflow.sdk import Asset

from chainflow._airflow import AirflowFailException, AirflowNotFoundException, run_again
from chainflow.errors import (
    DamageFound,
    InputError,
    TerminalError,
    TransientError,
    UnknownConnection,
)
from chainflow.types import Batch, BlockRange, Chain, Heights

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from sqlalchemy.engine import Engine

log = logging.getLogger(__name__)

# Airflow maps no task wider than [core] max_map_length, which is 1024 unless somebody changed it.
_MOST_TASKS = 1000


class Planned(TypedDict):
    """One batch on its way to `ingest`, whose arguments these are; `stop` is exclusive."""

    chain: dict[str, Any]
    start: int
    stop: int
    datasets: list[str]


class Ingested(TypedDict):
    """What one `ingest` did: blocks merged, rows now visible by dataset, bytes of node answers."""

    blocks: int
    rows: dict[str, int]
    bytes: int
    seconds: float


def snapshot(chain: Chain) -> dict[str, Any]:
    """The chain as plain JSON, without its texts for people: Airflow renders what it is given."""
    plain = asdict(replace(chain, description="", tags=()))
    return {key: list(part) if isinstance(part, tuple) else part for key, part in plain.items()}


def restored(plain: Mapping[str, Any]) -> Chain:
    """The chain of a snapshot."""
    parts: dict[str, Any] = {
        key: tuple(part) if isinstance(part, list) else part for key, part in plain.items()
    }
    return Chain(**parts)


def asset(chain: str, dataset: str) -> Asset:
    """One table of one chain, as Airflow knows it; updated when a range is merged."""
    return Asset(name=f"{chain}.{dataset}", uri=f"chainflow://{chain}/{dataset}", group="chainflow")


@contextmanager
def _as_airflow_errors() -> Iterator[None]:
    """Fail without a retry where trying again changes nothing.

    What an error of ours was raised from is left out: a library's text may quote a whole URL.
    """
    try:
        yield
    except (InputError, TerminalError) as error:
        raise AirflowFailException(str(error)) from None
    except TransientError as error:
        raise error from None


@_as_airflow_errors()
def observe(chain: Chain) -> dict[str, int | None]:
    """Ask the chain's node for its heights and keep them."""
    from chainflow import poll

    return asdict(poll.observe(_store(), chain, _connection))


@_as_airflow_errors()
def plan(
    chain: Chain,
    observed: dict[str, Any],
    params: Mapping[str, Any] | None = None,
    run_id: str | None = None,
) -> list[Planned]:
    """The batches of this run, what is next or what was asked for, each with all its task needs.

    Args:
        chain: The entry as the registry has it now; it goes to every `ingest` of the run.
        observed: Heights, as `observe` returned them.
        params: The run's own; Airflow gives them.
        run_id: The run's; it goes to the log of reorganisations.
    """
    from chainflow import pipeline

    heights = Heights(**observed)
    wanted = _wanted(chain, heights, params or {})
    store = _store()
    pipeline.settle(store, chain, heights, _connection, run_id=run_id or "")
    if wanted is None:
        batches = pipeline.next_batches(store, chain, heights)
    else:
        again = bool(params and params["re_ingest"])
        batches = pipeline.manual_batches(store, chain, wanted.blocks, wanted.datasets)
        batches = batches if again else _missing(store, chain, wanted, batches)
    if len(batches) > _MOST_TASKS:
        raise InputError(
            f"{chain.name}: {len(batches)} tasks in one run (expected at most {_MOST_TASKS}); "
            "ask for a shorter range"
        )
    ranges = ", ".join(f"{batch.blocks}" for batch in batches[:10])
    log.info("planned chain=%s tasks=%d ranges=%s", chain.name, len(batches), ranges or "none")
    entry = snapshot(chain)
    return [
        Planned(
            chain=entry,
            start=batch.blocks.start,
            stop=batch.blocks.stop,
            datasets=list(batch.datasets),
        )
        for batch in batches
    ]


@_as_airflow_errors()
def ingest(
    chain: dict[str, Any],
    start: int,
    stop: int,
    datasets: list[str],
    params: Mapping[str, Any] | None = None,
    run_id: str | None = None,
    ti: Any = None,  # noqa: ANN401 - Airflow's
    outlet_events: Any = None,  # noqa: ANN401 - Airflow's
) -> Ingested:
    """Fetch, check and merge what one range lacks, so that a retry goes on where it was cut off.

    Args:
        chain: As in `Planned`, and so are start, stop and datasets.
        start: Lowest height.
        stop: Height to stop before.
        datasets: What to fill.
        params: As of `plan`; with `re_ingest` the range is done whole.
        run_id: The run's; it goes to merge_log.
        ti: This task instance.
        outlet_events: Where the assets' updates are told.
    """
    from chainflow import pipeline
    from chainflow.store import rewind, trouble

    entry, store, run = restored(chain), _store(), run_id or ""
    wanted = Batch(BlockRange(start, stop), tuple(datasets))
    if params and params["re_ingest"]:
        totals = pipeline.ingest(store, entry, wanted, _connection, run_id=run)
    else:
        totals = pipeline.sync(
            store, entry, wanted.blocks, _connection, run_id=run, names=wanted.datasets
        )
    rows = dict(totals.rows)
    merged = [asset(entry.name, dataset) for dataset in wanted.datasets]
    replaced = trouble.outlast(partial(rewind.tell, store, entry.name, wanted.datasets, run))
    # Airflow updates every outlet of a task that succeeds; a backfill of one dataset has but one.
    ti.task.outlets = merged
    for each, dataset in zip(merged, wanted.datasets, strict=True):
        told = {"start": start, "stop": stop, "rows": rows.get(dataset, 0)}
        told |= {"replaced_from": replaced[dataset]} if dataset in replaced else {}
        outlet_events[each].extra = told
    return Ingested(
        blocks=totals.blocks, rows=rows, bytes=totals.size, seconds=round(totals.seconds, 3)
    )


@_as_airflow_errors()
def report(
    chain: Chain,
    observed: dict[str, Any],
    planned: list[Planned],
    ingested: Sequence[Ingested] | None,
    params: Mapping[str, Any] | None = None,
    ti: Any = None,  # noqa: ANN401 - Airflow's
) -> Ingested:
    """The totals of the run, told in its log; a chain that is still behind runs again at once.

    Args:
        chain: The entry as the registry has it now.
        observed: Heights, as `observe` returned them.
        planned: What `plan` returned.
        ingested: What each `ingest` returned; None where there was none.
        params: The run's own; one that asked for a range is done.
        ti: This task instance.
    """
    total = _total(ingested or ())
    log.info(
        "reported chain=%s tasks=%d blocks=%d rows=%d bytes=%d task_seconds=%.1f%s",
        chain.name,
        len(planned),
        total["blocks"],
        sum(total["rows"].values()),
        total["bytes"],
        total["seconds"],
        "" if planned else ": nothing was missing up to the target",
    )
    if total["blocks"] and _wanted_nothing(params or {}) and _behind(chain, Heights(**observed)):
        ti.xcom_push(key="return_value", value=total)
        raise run_again(ti.dag_id, f"behind__{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}")
    return total


def _total(done: Sequence[Ingested]) -> Ingested:
    datasets = sorted({dataset for part in done for dataset in part["rows"]})
    return Ingested(
        blocks=sum(part["blocks"] for part in done),
        rows={name: sum(part["rows"].get(name, 0) for part in done) for name in datasets},
        bytes=sum(part["bytes"] for part in done),
        seconds=round(sum(part["seconds"] for part in done), 3),
    )


def _behind(chain: Chain, heights: Heights) -> bool:
    """Whether the heights that a run began with are not all merged at its end."""
    from chainflow import pipeline

    return bool(pipeline.next_batches(_store(), chain, heights))


@_as_airflow_errors()
def heights(file: Path) -> dict[str, int]:
    """Ask the nodes of all chains at once and keep what each said, or why it did not."""
    from chainflow import poll

    chains = list(_registry(file).values())
    found = poll.observe_all(_store(), chains, _connection)
    failed = {name: seen for name, seen in found.items() if isinstance(seen, str)}
    for name, reason in failed.items():
        log.warning("not observed chain=%s reason=%s", name, reason)
    log.info("observed chains=%d failed=%d", len(found) - len(failed), len(failed))
    return {"observed": len(found) - len(failed), "failed": len(failed)}


@_as_airflow_errors()
def housekeeping() -> None:
    """Drop expired staging tables and height samples."""
    from chainflow.store import housekeeping as store_housekeeping

    store_housekeeping.clean(_store())


@_as_airflow_errors()
def index(file: Path) -> list[str]:
    """Make the indexes that entries ask for and tables with rows lack; their names."""
    from chainflow import datasets
    from chainflow.store import indexes

    store = _store()
    return [
        made
        for chain in _registry(file).values()
        if chain.indexes
        for made in indexes.add(store, chain, datasets.get(chain.family, chain.datasets))
    ]


def audited(file: Path) -> list[dict[str, str]]:
    """The arguments of one `audit` for each chain whose merged heights are to be looked at."""
    return [
        {"chain": chain.name}
        for chain in _registry(file).values()
        if chain.status == "live" and chain.audit_days > 0
    ]


@_as_airflow_errors()
def audit(file: Path, chain: str, run_id: str | None = None) -> dict[str, int]:
    """Look at the chain's next share of merged heights; what fails is for a person to decide on.

    Args:
        file: The DAG file, whose registry has the chain.
        chain: The chain's name.
        run_id: The run's; it goes to the log of audits.

    Raises:
        DamageFound: With tables, checks and ranges, and the command that repairs them.
    """
    from chainflow import audit as audits
    from chainflow import checks, registry

    entry, store = registry.load_one(chain, *registry.find(file)), _store()
    if entry is None:
        raise InputError(
            f"{chain}: its entry left the registry, or has errors, since the run began"
        )
    looks = [
        look
        for share in audits.share(store, entry)
        for blocks, asked in audits.divided(share, entry.audit_node_percent)
        for look in audits.looks(
            store,
            entry,
            blocks,
            connection=_connection if asked else None,
            run_id=run_id or "",
            shared=True,
        )
    ]
    heights = sum(look.merged for look in looks)
    findings = checks.joined(finding for look in looks for finding in look.findings)
    log.info("audited chain=%s heights=%d findings=%d", entry.name, heights, len(findings))
    if findings:
        raise DamageFound(
            f"{'; '.join(audits.told(findings))}; `chainflow audit {entry.name} --repair` reads"
            " what fails again"
        )
    return {"heights": heights}


def _registry(file: Path) -> Mapping[str, Chain]:
    """The good chains of the registry that belongs to a DAG file."""
    from chainflow import registry

    return registry.load_tolerant(*registry.find(file)).chains


def _store() -> Engine:
    """The store that variable or connection names, never Airflow's own; it must be current."""
    from chainflow.store import database

    engine = database.engine(database.url(connection=_connection))
    database.require_current(engine)
    return engine


def _connection(conn_id: str) -> str:
    """The URI of an Airflow connection.

    Raises:
        UnknownConnection: Airflow has none of that id.
    """
    try:
        return str(sdk.Connection.get(conn_id).get_uri())
    except AirflowNotFoundException:
        raise UnknownConnection(f"Airflow has no connection {conn_id!r}") from None


def _wanted(chain: Chain, heights: Heights, params: Mapping[str, Any]) -> Batch | None:
    """What the run's params ask for; None if they leave it to the plan."""
    from chainflow.plan import target

    if _wanted_nothing(params):
        return None
    low, stop, datasets = (params.get(key) for key in ("from", "to", "datasets"))
    if params.get("re_ingest") and (low is None or stop is None):
        raise InputError(f"{chain.name}: re_ingest needs both from and to")
    highest = target(chain, heights)
    end = chain.start if highest is None else highest + 1
    low, stop = chain.start if low is None else low, end if stop is None else stop
    if not low < stop <= end:
        raise InputError(
            f"{chain.name}: from {low} to {stop} (expected from below to, and to at most {end}: "
            "higher blocks are not final yet)"
        )
    return Batch(BlockRange(low, stop), tuple(datasets or chain.datasets))


def _wanted_nothing(params: Mapping[str, Any]) -> bool:
    asked = params.get("from"), params.get("to")
    return asked == (None, None) and not params.get("datasets") and not params.get("re_ingest")


def _missing(
    store: Engine, chain: Chain, wanted: Batch, batches: Sequence[Batch]
) -> tuple[Batch, ...]:
    """The batches, less the datasets that have them whole."""
    from chainflow import heights

    asked = replace(chain, start=wanted.blocks.start, datasets=wanted.datasets)
    gaps = heights.gaps(store, asked, wanted.blocks.stop, limit=1_000_000)
    return tuple(
        Batch(batch.blocks, lacking)
        for batch in batches
        if (lacking := tuple(d for d in wanted.datasets if _meets(gaps[d], batch.blocks)))
    )


def _meets(gaps: Sequence[BlockRange], blocks: BlockRange) -> bool:
    return any(gap.start < blocks.stop and blocks.start < gap.stop for gap in gaps)
