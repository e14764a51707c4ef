"""The tools that tables.py compares: their commands, and what came of each."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from pyarrow import parquet

from benchmarks import peers
from benchmarks.process import LATENCY_SECONDS, at_once
from benchmarks.report import Line
from benchmarks.samples import SAMPLES, answers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SAMPLE = SAMPLES["ethereum"]
_CRYO = (
    "import cryo; cryo.freeze(['blocks', 'transactions', 'logs'], start_block={start},"
    " end_block={stop}, rpc='{url}', output_dir='{to}', chunk_size={chunk}, verbose=False,"
    " no_report=True)"
)
_ETL = (
    "{bin}/ethereumetl export_blocks_and_transactions -s {start} -e {last} -p {url}"
    " --blocks-output {to}/blocks.csv --transactions-output {to}/transactions.csv"
    " && {bin}/ethereumetl extract_csv_column -i {to}/transactions.csv -o {to}/hashes.txt -c hash"
    " && {bin}/ethereumetl export_receipts_and_logs --transaction-hashes {to}/hashes.txt -p {url}"
    " --receipts-output {to}/receipts.csv --logs-output {to}/logs.csv"
)


@dataclass(frozen=True, slots=True)
class Tool:
    """One way to do the work, for two counts of blocks.

    `command` is made of the node's URL, a count of blocks and a folder to write to; `rows` is how
    many blocks, transactions and logs came of it, by what was printed and what lies in the folder.
    """

    name: str
    counts: tuple[int, int]
    command: Callable[[str, int, Path], list[str]]
    rows: Callable[[str, Path], list[int]]
    seconds: float = 0.0  # how late the node answers


def tools() -> tuple[list[Tool], list[Line]]:
    """Ours, and the peers that can be had; a line for each that cannot."""
    late = LATENCY_SECONDS
    every = [
        Tool("hashes", (100, 400), partial(ours, "hashes"), printed),
        Tool("roots", (100, 400), partial(ours, "roots"), printed),
        Tool("hashes, to Parquet", (100, 400), partial(_ours_written, "hashes"), printed),
        Tool("hashes, 50 ms", (100, 400), partial(ours, "hashes"), printed, late),
        Tool(
            "hashes, 50 ms, two tasks", (100, 400), partial(_ours_at_once, "hashes"), printed, late
        ),
    ]
    lines = []
    try:
        python = peers.install(peers.CRYO) / "python"
        # Chunks of 100 blocks cost it less CPU and memory than its default of 1000.
        every += [
            Tool("cryo", (100, 400), partial(_cryo, python, 100), _parquet),
            Tool("cryo, 50 ms", (100, 400), partial(_cryo, python, 100), _parquet, late),
        ]
    except peers.NoPeer as why:
        lines.append(Line("cryo is not to be had", str(why)))
    try:
        etl = peers.install(peers.ETHEREUM_ETL)
        every.append(Tool("ethereum-etl", (20, 80), partial(_etl, etl), _csv))
    except peers.NoPeer as why:
        lines.append(Line("ethereum-etl is not to be had", str(why)))
    return every, lines


@cache
def truth(count: int) -> list[int]:
    """Blocks, transactions and logs of the first blocks, counted elsewhere (see `Run`)."""
    with ProcessPoolExecutor(1) as other:
        return other.submit(_counted, count).result()


def _counted(count: int) -> list[int]:
    transactions = logs = 0
    for _, receipts in answers(SAMPLE)[:count]:
        found = msgspec.json.decode(receipts, type=list[_Logs])
        transactions += len(found)
        logs += sum(len(receipt.logs) for receipt in found)
    return [count, transactions, logs]


class _Logs(msgspec.Struct):
    logs: list[msgspec.Raw]


def ours(verify: str, url: str, count: int, _: Path) -> list[str]:
    """The command of benchmarks/to_arrow.py."""
    return _ours(verify, url, SAMPLE.start, SAMPLE.start + count)


def _ours(verify: str, url: str, start: int, stop: int) -> list[str]:
    return [sys.executable, "-m", "benchmarks.to_arrow", url, str(start), str(stop), verify]


def _ours_written(verify: str, url: str, count: int, to: Path) -> list[str]:
    return [*ours(verify, url, count, to), str(to)]


def _ours_at_once(verify: str, url: str, count: int, _: Path) -> list[str]:
    """Two of it at once, with half of the blocks each."""
    start, middle, stop = (SAMPLE.start + count * half // 2 for half in (0, 1, 2))
    return at_once(_ours(verify, url, start, middle), _ours(verify, url, middle, stop))


def printed(out: str, _: Path) -> list[int]:
    """The rows that it printed, of each process on a line."""
    found = [json.loads(line) for line in out.splitlines()]
    return [sum(rows[table] for rows in found) for table in ("blocks", "transactions", "logs")]


def _cryo(python: Path, chunk: int, url: str, count: int, to: Path) -> list[str]:
    start = SAMPLE.start
    script = _CRYO.format(start=start, stop=start + count, url=url, to=to, chunk=chunk)
    return [str(python), "-c", script]


def _parquet(_: str, folder: Path) -> list[int]:
    def rows(files: Iterator[Path]) -> int:
        return sum(parquet.read_metadata(file).num_rows for file in files)

    return [rows(folder.glob(f"*__{name}__*")) for name in ("blocks", "transactions", "logs")]


def _etl(programs: Path, url: str, count: int, to: Path) -> list[str]:
    start, last = SAMPLE.start, SAMPLE.start + count - 1
    script = _ETL.format(bin=programs, start=start, last=last, url=url, to=to)
    return ["sh", "-c", f"({script}) 2>{to}/log || {{ tail {to}/log; exit 1; }}"]


def _csv(_: str, folder: Path) -> list[int]:
    names = ("blocks", "receipts", "logs")
    return [(folder / f"{name}.csv").read_bytes().count(b"\n") - 1 for name in names]
