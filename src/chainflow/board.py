"""The lag table as a person reads it; computes nothing that view chainflow.lag does not."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chainflow.lag import Lag

_COLOURS = {
    "synced": "green",
    "syncing": "yellow",
    "stalled": "red",
    "node_stuck": "red",
    "unreachable": "red",
    "retired": "dim",
}
_WIDTH = 160
_UNITS = ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k"))
_SPANS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def console() -> Console:
    """Where the table is shown; wide enough for it where the output is no terminal."""
    return Console(width=None if sys.stdout.isatty() else _WIDTH)


def render(rows: Sequence[Lag]) -> Table:
    """One line per chain, coloured by its state; a failed poll's reason stands below the table."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("BLOCKCHAIN", "ENV"):
        table.add_column(title, no_wrap=True)
    for title in (
        "CURRENT HEIGHT",
        "LAST SYNCED HEIGHT",
        "BLOCKS PER MINUTE",
        "SYNC RATE",
        "LAG",
        "BEHIND",
        "CAUGHT UP IN",
    ):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("STATE", no_wrap=True)
    for row in rows:
        colour = _COLOURS.get(row.state, "")
        table.add_row(*_cells(row), f"[{colour}]{row.state}[/]" if colour else row.state)
    reasons = [f"{row.chain}: {row.error}" for row in rows if row.error and row.state != "retired"]
    if reasons:
        from rich.markup import escape

        table.caption = escape("\n".join(reasons))
        table.caption_justify = "left"
    return table


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


def _cells(row: Lag) -> tuple[str, ...]:
    return (
        row.chain,
        row.env,
        count(row.head),
        count(row.watermark),
        f"{row.blocks_per_minute:.1f} /min",
        f"{row.sync_blocks_per_minute:.1f} /min",
        count(row.lag_blocks),
        span(row.lag_seconds),
        span(row.catch_up_seconds),
    )


def _iso(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"no JSON for {type(value).__name__}")
