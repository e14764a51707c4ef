"""DECODE: raw blocks to tables. One folder per family, one small file per dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainflow import lookup

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

    from chainflow.types import Dataset, RawBlock


def get(family: str, names: Iterable[str]) -> tuple[Dataset, ...]:
    """The family's datasets of those names, in that order.

    Raises:
        LookupError: The family has no dataset of a name; the message lists those it has.
    """
    return tuple(lookup.module(f"datasets.{family}", name).DATASET for name in names)


def decode(datasets: Iterable[Dataset], blocks: Sequence[RawBlock]) -> dict[str, pa.Table]:
    """Every dataset's table of the blocks; one that follows from another of them is made of it."""
    every = sorted(datasets, key=lambda dataset: dataset.derive is not None)
    made: dict[str, pa.Table] = {}
    for dataset in every:
        if dataset.derive and dataset.source in made:
            made[dataset.name] = dataset.derive(made[dataset.source])
        else:
            made[dataset.name] = dataset.decode(blocks)
    return made
