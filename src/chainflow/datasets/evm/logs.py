"""One row per event log."""

from __future__ import annotations

from chainflow.datasets.evm import _logs
from chainflow.types import Dataset

DATASET = Dataset(
    name="logs",
    family="evm",
    height_column="block_number",
    columns=_logs.COLUMNS,
    key=("block_number", "log_index"),
    decode=_logs.table,
)
