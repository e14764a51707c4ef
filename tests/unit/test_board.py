"""The table of the talk, in terminals of several widths."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from chainflow import board
from chainflow.lag import Ingested, Lag, Volume
from chainflow.survey import Seen

ROW = Lag(
    chain="arbitrum",
    family="evm",
    env="prod",
    owner="data-platform",
    status="live",
    state="synced",
    head=252_500_000,
    finalized=252_499_000,
    target=252_499_000,
    watermark=252_496_400,
    lag_blocks=3_600,
    backlog_blocks=2_600,
    lag_seconds=906.0,
    blocks_per_minute=238.6,
    sync_blocks_per_minute=240.2,
    catch_up_seconds=97.5,
    oldest_gap_start=None,
    last_merged_at=None,
    observed_at=None,
    error=None,
)
GONE = replace(
    ROW,
    chain="kujira",
    status="retired",
    state="retired",
    head=None,
    watermark=None,
    lag_blocks=None,
    lag_seconds=None,
    catch_up_seconds=None,
)
TITLES = ("BLOCKCHAIN", "ENV", "CURRENT", "LAST SYNCED", "PER MINUTE", "BEHIND", "STATE")


def shown(rows: list[Lag], width: int) -> list[str]:
    """The lines of the board in a terminal of that width."""
    console = Console(file=io.StringIO(), width=width)
    console.print(board.render(rows))
    file = console.file
    assert isinstance(file, io.StringIO)
    return [line.rstrip() for line in file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [80, 110, 120, 160])
def test_board_cuts_nothing_off(width: int) -> None:
    """Every title and cell is whole, and each chain has one line, with the longest words too."""
    wide = replace(ROW, chain="a_chain_too", env="devnet", state="unreachable", lag_seconds=43_000)
    lines = shown([wide, GONE], width)
    assert "…" not in "".join(lines)
    assert max(map(len, lines)) <= width
    assert all(title in " ".join(lines) for title in TITLES)
    assert sum(line.startswith(("a_chain_too", "kujira")) for line in lines) == 2


def test_board_has_every_column_where_there_is_room() -> None:
    """In a log or a wide terminal the titles stand on one line, as in the talk."""
    title, row = shown([ROW], 160)
    for word in ("CURRENT HEIGHT", "LAST SYNCED HEIGHT", "BLOCKS PER MINUTE", "CAUGHT UP IN"):
        assert word in title
    assert " ".join(row.split()) == (
        "arbitrum prod 252.5M 252.5M 238.6 /min 240.2 /min 3.6k 15.1 min 1.6 min synced"
    )


def test_board_in_80_columns_leaves_out_the_least_needed() -> None:
    """Heights, the chain's rate, the time behind and the state remain."""
    *_, row = shown([ROW], 80)
    told = " ".join(row.split())
    assert told == "arbitrum prod 252.5M 252.5M 238.6 /min 15.1 min synced"


def test_board_shows_dashes_for_what_a_retired_chain_has_not() -> None:
    """No rate, no time behind; its last heights where any were seen."""
    seen = replace(GONE, chain="seen", head=100, watermark=90, lag_blocks=10, lag_seconds=9e9)
    _, never, once = shown([GONE, seen], 160)
    assert never.split() == ["kujira", "prod", *["-"] * 7, "retired"]
    assert once.split() == ["seen", "prod", "100", "90", "-", "-", "10", "-", "-", "retired"]


def test_board_tells_below_why_a_node_was_not_heard() -> None:
    """The reason is shown as it is, brackets and all."""
    lines = shown([replace(ROW, state="unreachable", error="[::1]:8545: no answer")], 120)
    assert lines[-1] == "arbitrum: [::1]:8545: no answer"


def test_captions_say_chain_and_endpoint_once() -> None:
    """An error of the clients names both; so does the line it stands in."""
    error = "dead heights: 127.0.0.1:9: cannot connect"
    lines = shown([replace(ROW, chain="dead", state="unreachable", error=error)], 120)
    assert lines[-1] == "dead: 127.0.0.1:9: cannot connect"
    console = Console(file=io.StringIO(), width=120)
    console.print(board.render_endpoints([Seen("dead", "127.0.0.1:9", error=error)]))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines()[-1].rstrip() == "dead 127.0.0.1:9: cannot connect"


def test_volume_has_a_line_per_chain_below_the_total() -> None:
    """Bytes as people say them, blocks and rows of the month in full."""
    one = Ingested(1_420_000_000, 2_000, 1_000)
    console = Console(file=io.StringIO(), width=160)
    rows = [Volume(None, one, one, one, one), Volume("base", one, one, one, one)]
    console.print(board.render_volume(rows))
    assert isinstance(console.file, io.StringIO)
    _, total, base = console.file.getvalue().splitlines()
    assert total.split() == ["all", *["1.4", "GB"] * 4, "1,000", "2,000"]
    assert base.startswith("base")
