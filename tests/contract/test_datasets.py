"""What every dataset of every family promises; the folders are walked, never listed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import pyarrow as pa
import pytest

from chainflow import datasets, lookup
from chainflow.datasets import _rows, _transfers
from chainflow.types import Dataset, RawBlock

FAMILIES = lookup.names("datasets")
# Blocks to decode: a family brings tests/contract/datasets_<family>.py with its `SAMPLE`.
SAMPLES: dict[str, Sequence[RawBlock]] = {
    family: import_module(f"tests.contract.datasets_{family}").SAMPLE for family in FAMILIES
}
DATASETS = [
    d for family in FAMILIES for d in datasets.get(family, lookup.names(f"datasets.{family}"))
]


def name_of(dataset: Dataset) -> str:
    """The test id."""
    return f"{dataset.family}.{dataset.name}"


every_dataset = pytest.mark.parametrize("dataset", DATASETS, ids=name_of)


def test_every_family_has_blocks_and_a_sample() -> None:
    """A family without the dataset `blocks`, or without blocks to test it on, is not finished."""
    assert FAMILIES
    assert {d.family for d in DATASETS if d.name == "blocks"} == set(FAMILIES)
    assert all(SAMPLES.values())


def test_name_and_family_are_the_file_and_its_folder() -> None:
    """A word in chains.yaml is a file name, and the table's."""
    named = [(d.family, d.name) for d in DATASETS]
    assert named == [(f, name) for f in FAMILIES for name in lookup.names(f"datasets.{f}")]


@every_dataset
def test_key_is_required_and_begins_with_the_height(dataset: Dataset) -> None:
    """A key's columns exist and are never NULL; rows of a range are found by the first."""
    required = {column.name for column in dataset.columns if column.required}
    assert set(dataset.key) <= required
    assert dataset.key[0] == dataset.height_column
    assert len({column.name for column in dataset.columns}) == len(dataset.columns)


@every_dataset
def test_decode_gives_the_columns_in_their_order(dataset: Dataset) -> None:
    """A decoded table has exactly the columns promised, of the types promised."""
    decoded = dataset.decode(SAMPLES[dataset.family])
    assert decoded.schema == _rows.schema(dataset.columns)
    assert decoded.num_rows > 0
    decoded.validate(full=True)


@every_dataset
def test_no_blocks_are_an_empty_table(dataset: Dataset) -> None:
    """An empty range has the schema of any other."""
    assert dataset.decode([]) == _rows.schema(dataset.columns).empty_table()


@every_dataset
def test_decode_is_deterministic(dataset: Dataset) -> None:
    """The same blocks give the same rows, whether decoded together or one by one."""
    blocks = SAMPLES[dataset.family]
    together = dataset.decode(blocks)
    assert together == dataset.decode(blocks)
    assert (
        together == pa.concat_tables([dataset.decode([block]) for block in blocks]).combine_chunks()
    )


@every_dataset
def test_derived_rows_are_the_decoded_ones(dataset: Dataset) -> None:
    """Made of its source's table beside other datasets, or of the blocks alone: the same table."""
    blocks = SAMPLES[dataset.family]
    every = datasets.get(dataset.family, lookup.names(f"datasets.{dataset.family}"))
    made = datasets.decode(every, blocks)
    assert made[dataset.name] == dataset.decode(blocks)
    assert made.keys() == {one.name for one in every}
    assert datasets.decode([dataset], blocks) == {dataset.name: made[dataset.name]}


@every_dataset
def test_source_is_a_dataset_read_from_blocks(dataset: Dataset) -> None:
    """What follows from another table names a dataset of its family that follows from none."""
    assert (dataset.source is None) == (dataset.derive is None)
    if dataset.source:
        (source,) = datasets.get(dataset.family, [dataset.source])
        assert source.derive is None


@every_dataset
def test_required_columns_have_no_nulls_and_keys_do_not_repeat(dataset: Dataset) -> None:
    """The store's NOT NULL and primary key hold for real blocks."""
    decoded = dataset.decode(SAMPLES[dataset.family])
    assert not [c.name for c in dataset.columns if c.required and decoded[c.name].null_count]
    assert decoded.group_by(list(dataset.key)).aggregate([]).num_rows == decoded.num_rows


@every_dataset
def test_rows_say_the_height_and_hash_and_time_of_their_block(dataset: Dataset) -> None:
    """Every row can be traced to a block of the range, by the same columns in all tables."""
    blocks = {b.height: (b.hash, b.time_ms) for b in SAMPLES[dataset.family]}
    decoded = dataset.decode(SAMPLES[dataset.family])
    times = decoded["block_timestamp"].cast(pa.int64()).to_pylist()
    hashes = decoded["block_hash"].to_pylist()
    heights: list[Any] = decoded[dataset.height_column].to_pylist()
    assert heights == sorted(heights)
    assert [blocks[height] for height in heights] == list(zip(hashes, times, strict=True))


def test_one_fact_has_one_name_and_type() -> None:
    """A column of the same name has the same type in every table of every family."""
    types: dict[str, set[str]] = {}
    for dataset in DATASETS:
        for column in dataset.columns:
            types.setdefault(column.name, set()).add(column.type)
    # Ethereum calls two facts `nonce`: a sender's count, and eight bytes of proof of work.
    assert {name for name, found in types.items() if len(found) > 1} == {"nonce"}


def test_token_transfers_have_one_shape() -> None:
    """One query over token transfers serves every family that has them."""
    for dataset in DATASETS:
        if dataset.name == "token_transfers":
            shape = _transfers.columns(dataset.height_column, dataset.key)
            assert dataset.columns == shape, dataset.family


def test_a_dataset_nobody_has_is_named_with_those_there_are() -> None:
    """An unknown name is told together with the known ones."""
    with pytest.raises(LookupError, match="has no 'receipts'; it has blocks, cctp_messages, logs"):
        datasets.get("evm", ["receipts"])
