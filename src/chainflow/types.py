"""The shared nouns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pyarrow as pa

Status = Literal["live", "retired"]
Verify = Literal["roots", "hashes", "none"]
IndexKind = Literal["hash", "address", "time"]
ColumnType = Literal["bigint", "text", "numeric", "timestamptz", "boolean", "jsonb"]


@dataclass(frozen=True, slots=True, order=True)
class BlockRange:
    """Heights from `start` up to, not including, `stop`; never empty."""

    start: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise ValueError(f"not a range of heights: [{self.start}, {self.stop})")

    @property
    def last(self) -> int:
        """Highest height inside."""
        return self.stop - 1

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.stop))

    def __contains__(self, height: int) -> bool:
        return self.start <= height < self.stop

    def __str__(self) -> str:
        return f"[{self.start}, {self.stop})"

    def split(self, size: int) -> tuple[BlockRange, ...]:
        """Consecutive ranges of at most `size` heights that together are this one."""
        return tuple(
            BlockRange(low, min(low + size, self.stop))
            for low in range(self.start, self.stop, size)
        )


@dataclass(frozen=True, slots=True)
class Chain:
    """One network of the registry, with every default filled in.

    `finality_tag` is a tag the node serves (`finalized`, `safe`) or None; then the target is the
    head less `confirmations` blocks (0 where every block is final). `endpoints` are names or
    key-free URLs, never secrets, so a Chain may travel through XCom.
    """

    name: str
    family: str
    chain_id: int | str | None
    blocks_per_minute: float
    start: int = 0
    env: str = "prod"
    owner: str = "data-platform"
    status: Status = "live"
    finality_tag: str | None = None
    confirmations: int = 0
    endpoints: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ("blocks",)
    schedule_minutes: int = 5
    task_minutes: float = 5.0
    max_tasks_per_run: int = 8
    lag_alert_minutes: float = 15.0
    pool: str = "default_pool"
    tags: tuple[str, ...] = ()
    description: str = ""
    verify: Verify = "roots"
    max_reorg_blocks: int = 512
    audit_days: int = 30
    audit_node_percent: float = 0.0
    indexes: tuple[IndexKind, ...] = ()
    max_requests_per_second: float | None = None
    cross_check_blocks: int | None = None


@dataclass(frozen=True, slots=True)
class Heights:
    """What a node said of its chain just now; `finalized` is None where it serves no such tag."""

    head: int
    finalized: int | None


@dataclass(frozen=True, slots=True)
class Costs:
    """What a block of a chain cost lately: seconds from fetch to merge, bytes of node answers."""

    seconds_per_block: float
    bytes_per_block: float


@dataclass(frozen=True, slots=True)
class RawBlock:
    """One block as its node gave it, in the envelope every family has.

    `payload` is the family's own struct of `chainflow.wire`; `size` its share of the bytes that the
    node sent, unpacked: what is held; `host` the endpoint it came from, for a person to look at if
    something is wrong.
    """

    height: int
    hash: str
    parent_hash: str
    time_ms: int
    payload: Any
    size: int
    host: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a dataset's table. `numeric` is numeric(78,0): any uint256, exact."""

    name: str
    type: ColumnType
    required: bool = False


@dataclass(frozen=True, slots=True)
class Dataset:
    """One table of a family: its columns, its key, and how raw blocks become its rows.

    `decode` is pure: ascending blocks in, a table with exactly `columns` in their order out. Arrow
    types by column type: bigint int64, text string, numeric decimal text as string, timestamptz
    timestamp[ms, UTC], boolean bool_, jsonb JSON text as string. The store adds the column `chain`.

    Where the rows follow from another dataset's of the family, `source` names it and `derive` makes
    them of its table: the same rows as `decode` gives, without reading the blocks again.
    """

    name: str
    family: str
    height_column: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    decode: Callable[[Sequence[RawBlock]], pa.Table] = field(repr=False)
    source: str | None = None
    derive: Callable[[pa.Table], pa.Table] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Batch:
    """One range of one chain handled by one task, for the datasets that miss it."""

    blocks: BlockRange
    datasets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check saw: how many rows fail, a few of them in words, and where they stand.

    `heights` are a few of theirs, `ranges` all of them: ascending, disjoint, never touching.
    """

    check: str
    table: str
    count: int
    sample: str
    heights: tuple[int, ...] = ()
    ranges: tuple[BlockRange, ...] = ()
