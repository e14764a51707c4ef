"""One question asked twice, where its answer is slow to come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Iterable

_T = TypeVar("_T")
_R = TypeVar("_R")


async def hedged(
    first: Coroutine[None, None, tuple[_T, ...]],
    other: Callable[[], Coroutine[None, None, tuple[_T, ...]]],
    *,
    after: float,
    begun: Callable[[], bool],
) -> tuple[tuple[_T, ...], bool]:
    """The first answer of two attempts, and whether it came while the first attempt was under way.

    An attempt that fails is empty; so is the answer if both do. Neither is left running.

    Args:
        first: The first attempt.
        other: Begins the other one, which may wait for its turn.
        after: When it is begun: seconds for which the first is waited for alone.
        begun: Whether the other one asks already; if not, the end of the first is the end.
    """
    attempt = asyncio.create_task(first)
    tasks = {attempt}
    try:
        await asyncio.wait(tasks, timeout=after)
        if attempt.done():
            return await attempt, False
        tasks.add(asyncio.create_task(other()))
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if attempt.done() and not begun():
            return await attempt, False
        answer = await _first(tasks)
        return answer, not attempt.done()
    finally:
        await end(tasks)


async def end(tasks: Collection[asyncio.Task[_R]]) -> None:
    """Cancel what still runs, and wait until it has ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _first(tasks: Iterable[asyncio.Task[tuple[_T, ...]]]) -> tuple[_T, ...]:
    for ended in asyncio.as_completed(tasks):
        if answer := await ended:
            return answer
    return ()
