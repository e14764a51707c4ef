"""The lag table as a person reads it; computes nothing that view chainflow.lag does not."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rich.console import ConsoleOptions

    from chainflow.lag import Lag, Volume
    from chainflow.survey import Seen

_COLOURS = {
    "synced": "green",
    "syncing": "yellow",
    "stalled": "red",
    "node_stuck": "red",
    "unreachable": "red",
    "retired": "dim",
}
# Where the output is no terminal. The whole table needs 130, with its titles on two lines 110.
_WIDTH = 160
_ONE_LINE, _ALL_COLUMNS = 130, 110
_UNITS = ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k"))
_SPANS = ((86_400, "d"), (3_600, "h"), (60, "min"))


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    cell: Callable[[Lag], str]
    justify: Literal["left", "right"] = "right"
    always: bool = True


def console() -> Console:
    """Where the table is shown; wide enough for it where the output is no terminal."""
    return Console(width=None if sys.stdout.isatty() else _WIDTH)


def render(rows: Sequence[Lag]) -> Board:
    """The table of these rows, for a rich console of any width."""
    return Board(tuple(rows))


@dataclass(frozen=True, slots=True)
class Board:
    """One line per chain, coloured by its state; a failed poll's reason stands below the table.

    In a narrow terminal titles take two lines; in a narrower one rates of syncing and lag in blocks
    are left out, and 80 characters suffice for the rest.
    """

    rows: tuple[Lag, ...]

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> Iterator[Table]:
        """The table for the width at hand."""
        yield _table(self.rows, options.max_width)


def render_volume(rows: Iterable[Volume]) -> Table:
    """One line per chain, the total first."""
    from rich import filesize

    table = Table("BLOCKCHAIN", box=None, header_style="bold", pad_edge=False)
    for span in ("MINUTE", "HOUR", "DAY", "30 DAYS", "BLOCKS, 30 DAYS", "ROWS, 30 DAYS"):
        table.add_column(span, justify="right")
    for row in rows:
        sizes = [filesize.decimal(s.bytes) for s in (row.minute, row.hour, row.day, row.month)]
        table.add_row(row.chain or "all", *sizes, f"{row.month.blocks:,}", f"{row.month.rows:,}")
    return table


def render_endpoints(rows: Iterable[Seen]) -> Table:
    """One line per endpoint; why one is of no use stands below the table."""
    table = Table("BLOCKCHAIN", "ENDPOINT", box=None, header_style="bold", pad_edge=False)
    for title in ("CHAIN ID", "HEAD", "BEHIND", "LATENCY", "BATCHES", "RECEIPTS"):
        table.add_column(title, justify="right")
    table.add_column("STATE")
    reasons = []
    for row in rows:
        latency = "-" if row.latency_ms is None else f"{row.latency_ms} ms"
        numbers = [
            f"{number:,}" if number is not None else "-" for number in (row.head, row.behind)
        ]
        able = [_yes(row.batches), _yes(row.receipts)]
        state = "[red]failed[/]" if row.error else "[green]ok[/]"
        right = {True: "ok", False: "[red]wrong[/]", None: "-"}[row.right_chain]
        table.add_row(row.chain, escape(row.endpoint), right, *numbers, latency, *able, state)
        if row.error:
            reason = _reason(row.chain, row.error).removeprefix(f"{row.endpoint}: ")
            reasons.append(f"{row.chain} {row.endpoint}: {reason}")
    if reasons:
        table.caption = escape("\n".join(reasons))
        table.caption_justify = "left"
    return table


@contextmanager
def bar(chain: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr that is gone at the end; call what it gives with blocks merged."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    # Where nobody looks, drawing it would only take a tenth of the work's time.
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(chain, total=total, rate="")

        def advance(blocks: int) -> None:
            speed = progress.tasks[task].speed
            progress.update(task, advance=blocks, rate=f"{speed or 0:.0f} blocks/s")

        yield advance


def lines(rows: Iterable[Lag]) -> Iterable[str]:
    """One JSON object per chain, with the columns of view chainflow.lag."""
    return (json.dumps(asdict(row), default=_iso) for row in rows)


def count(number: float | None) -> str:
    """A height or a number of blocks as people say it: 252.5M; a dash for none."""
    if number is None:
        return "-"
    for unit, letter in _UNITS:
        if abs(number) >= unit:
            return f"{number / unit:.1f}{letter}"
    return f"{number:.0f}"


def span(seconds: float | None) -> str:
    """A time as people say it: 3.2 h; a dash for none."""
    if seconds is None:
        return "-"
    for unit, name in _SPANS:
        if seconds >= unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.0f} s"


def _table(rows: Sequence[Lag], width: int) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    columns = [column for column in _COLUMNS if column.always or width >= _ALL_COLUMNS]
    for column in columns:
        title = column.title.replace("\n", " ") if width >= _ONE_LINE else column.title
        table.add_column(title, justify=column.justify, no_wrap=True)
    for row in rows:
        table.add_row(*(column.cell(row) for column in columns))
    reasons = [
        f"{row.chain}: {_reason(row.chain, row.error)}"
        for row in rows
        if row.error and row.state != "retired"
    ]
    if reasons:
        table.caption = escape("\n".join(reasons))
        table.caption_justify = "left"
    return table


def _reason(chain: str, error: str) -> str:
    """An error without the chain and what was asked of it, where the line says so already."""
    return error.removeprefix(f"{chain} heights: ").removeprefix(f"{chain}: ")


def _yes(able: bool | None) -> str:
    return "-" if able is None else "yes" if able else "no"


def _rate(row: Lag, blocks: float) -> str:
    """Blocks per minute; a dash for a chain that is over."""
    return "-" if row.state == "retired" else f"{blocks:.1f} /min"


def _state(row: Lag) -> str:
    colour = _COLOURS.get(row.state, "")
    return f"[{colour}]{row.state}[/]" if colour else row.state


_COLUMNS = (
    _Column("BLOCKCHAIN", lambda row: row.chain, justify="left"),
    _Column("ENV", lambda row: row.env, justify="left"),
    _Column("CURRENT\nHEIGHT", lambda row: count(row.head)),
    _Column("LAST SYNCED\nHEIGHT", lambda row: count(row.watermark)),
    _Column("BLOCKS\nPER MINUTE", lambda row: _rate(row, row.blocks_per_minute)),
    _Column("SYNC\nRATE", lambda row: _rate(row, row.sync_blocks_per_minute), always=False),
    _Column("LAG", lambda row: count(row.lag_blocks), always=False),
    _Column("BEHIND", lambda row: span(None if row.state == "retired" else row.lag_seconds)),
    _Column("CAUGHT\nUP IN", lambda row: span(row.catch_up_seconds), always=False),
    _Column("STATE", _state, justify="left"),
)


def _iso(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"no JSON for {type(value).__name__}")
