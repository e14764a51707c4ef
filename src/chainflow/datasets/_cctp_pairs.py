"""Which of a transaction's events of CCTP belong together; see docs/decisions/0097."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chainflow.datasets._cctp import Event


def pairs(
    positions: Iterable[int],
    *,
    transaction: Callable[[int], object],
    read: Callable[[int], Event | None],
    strange: type[Exception] | tuple[type[Exception], ...],
) -> list[tuple[int, dict[str, Any]]]:
    """Burns and mints among a family's items, each with what its message says.

    Args:
        positions: Items that look like the protocol's events, in the order they happened.
        transaction: What is the same for items of one transaction, and of no other beside it.
        read: The event that an item is; None if it tells of no transfer.
        strange: What `read` raises where an item only looks like the protocol's: anybody may emit
            what he likes, so it is no event here and no error.

    Returns:
        Positions of the token messenger's events, ascending, and their columns.
    """

    def events(of_one: Iterable[int]) -> list[Event]:
        found = []
        for position in of_one:
            try:
                event = read(position)
            except strange:
                continue
            if event is not None:
                found.append(event)
        return found

    return [
        row for _, of_one in groupby(positions, key=transaction) for row in _paired(events(of_one))
    ]


def _paired(events: Iterable[Event]) -> list[tuple[int, dict[str, Any]]]:
    """Burns and mints of one transaction, each with what its message says.

    A burn's message is the nearest one before it that fits; a mint's receipt the nearest one after
    it. A burn or mint whose other event is missing keeps what it says itself.
    """
    waiting: dict[str, list[Event]] = {"sent": [], "mint": []}
    rows: dict[int, dict[str, Any]] = {}
    for event in events:
        if event.kind in ("burn", "mint"):
            rows[event.position] = dict(event.said)
        if event.kind in waiting:
            waiting[event.kind].append(event)
            continue
        other = _take(waiting["sent" if event.kind == "burn" else "mint"], event)
        if other is None:
            continue
        row, message = (event, other) if event.kind == "burn" else (other, event)
        rows[row.position] = {
            **message.said,
            **{k: v for k, v in row.said.items() if v is not None},
        }
    return sorted(rows.items())


def _take(waiting: list[Event], event: Event) -> Event | None:
    """The newest of those waiting that fits, no longer waiting."""
    for at in reversed(range(len(waiting))):
        if waiting[at].fits(event):
            return waiting.pop(at)
    return None
