"""DECODE: raw blocks to tables. One folder per family, one small file per dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainflow import lookup

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chainflow.types import Dataset


def get(family: str, names: Iterable[str]) -> tuple[Dataset, ...]:
    """The family's datasets of those names, in that order.

    Raises:
        LookupError: The family has no dataset of a name; the message lists those it has.
    """
    return tuple(lookup.module(f"datasets.{family}", name).DATASET for name in names)
