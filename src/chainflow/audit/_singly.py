"""Damaged rows break what reads them; which heights they are of is found one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from chainflow.store import database

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chainflow.types import BlockRange

_T = TypeVar("_T")


def singly(
    look: Callable[[BlockRange], Sequence[_T]],
    broken: Callable[[int, str], _T],
    blocks: BlockRange,
) -> Sequence[_T]:
    """What a look at a range finds; one that breaks is had again height by height.

    Args:
        look: Reads rows and makes something of them; may be called again.
        broken: What is found of a height whose rows break it, from the height and how.
        blocks: The range.
    """
    try:
        return look(blocks)
    except database.REFUSALS:
        raise
    except Exception as error:  # noqa: BLE001 - a cell may hold anything, and break anything
        if len(blocks) == 1:
            return [broken(blocks.start, f"{type(error).__name__}: {error}")]
    return [one for part in blocks.split(1) for one in singly(look, broken, part)]
