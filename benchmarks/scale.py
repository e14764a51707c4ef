"""What fifteen, a hundred and a thousand chains cost: the tables of docs/scale.md from its base.

    python -m benchmarks.scale

takes into the page's first table what the last numbers in README.md say by the same names, and
computes the second one anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.report import shown

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
_MEASURED = Path(__file__).with_name("README.md")
_COMPUTED = re.compile(r"(?<=<!-- computed -->\n).*?(?=<!-- end -->)", re.DOTALL)
_NUMBER = re.compile(r"^\| `(\w+)` \| ([\d.]+) \|", re.MULTILINE)
_DAY = 86_400

Base = Mapping[str, float]
Row = tuple[str, Callable[[Base, int, float], float], str]
"""What it is; its amount for so many chains with so many GB a second in all; its unit."""

_ROWS: tuple[Row, ...] = (
    ("node answers", lambda _, __, gb: 1000 * gb, "MB/s"),
    ("the same in a day", lambda _, __, gb: gb * _DAY / 1000, "TB"),
    ("cores that fetch, prove and decode", lambda b, _, gb: gb * b["cpu_per_gb"], ""),
    ("cores that start tasks", lambda b, n, _: n * _starts(b) * b["start_cpu"], ""),
    ("PostgreSQL's cores", lambda b, _, gb: gb * b["server_cpu_per_gb"], ""),
    ("the same with all indexes", lambda b, _, gb: gb * b["server_cpu_per_gb_indexed"], ""),
    ("worker slots", lambda b, n, gb: gb / b["gb_per_task_second"] + n * _idle(b), ""),
    (
        "memory of those that ingest",
        lambda b, _, gb: gb / b["gb_per_task_second"] * b["task_mb"] / 1000,
        "GB",
    ),
    (
        "connections to PostgreSQL",
        lambda b, n, gb: b["connections"] * (gb / b["gb_per_task_second"] + n * _idle(b)),
        "",
    ),
    ("task instances", lambda b, n, _: n * _starts(b), "/s"),
    ("WAL", lambda b, _, gb: 1000 * gb * b["wal_per_byte"], "MB/s"),
    ("tables and keys, a day", lambda b, _, gb: gb * _DAY / 1000 * _kept(b), "TB"),
    ("the same, a year", lambda b, _, gb: gb * _DAY * 365 / 1000 * _kept(b), "TB"),
    ("index set, a day", lambda b, _, gb: gb * _DAY / 1000 * b["index_set_per_byte"], "TB"),
    ("days until 20 TB", lambda b, _, gb: 20_000 / (gb * _DAY * _kept(b)), ""),
    ("Parquet instead, a day", lambda b, _, gb: gb * _DAY / 1000 * b["parquet_per_byte"], "TB"),
)


def base(page: str) -> dict[str, float]:
    """The numbers that all others follow from, as a table names them."""
    return {name: float(number) for name, number in _NUMBER.findall(page)}


def computed(numbers: Base) -> str:
    """The table, in Markdown."""
    talk, chains = numbers["talk_gb_per_minute"] / 60, numbers["talk_chains"]
    each = talk / chains
    cases = {
        f"{chains:.0f} chains of the talk": (round(chains), talk),
        "100, the others a tenth each": (100, talk + (100 - chains) * each / 10),
        "1000, the others a tenth each": (1000, talk + (1000 - chains) * each / 10),
        "1000 like those": (1000, 1000 * each),
    }
    lines = ["| |" + "|".join(cases) + "|", "|---|" + "---:|" * len(cases)]
    for what, amount, unit in _ROWS:
        amounts = (shown(amount(numbers, *case), unit) for case in cases.values())
        lines.append(f"| {what} | {' | '.join(amounts)} |")
    return "\n".join(lines) + "\n"


def _starts(numbers: Base) -> float:
    """Task instances a second that each chain has, however little there is to do."""
    return numbers["tasks_per_run"] / (60 * numbers["schedule_minutes"])


def _idle(numbers: Base) -> float:
    """Worker slots that a chain's starting tasks take."""
    return _starts(numbers) * numbers["start_seconds"]


def _kept(numbers: Base) -> float:
    return numbers["tables_per_byte"] + numbers["keys_per_byte"]


def main() -> None:
    """Write the page's tables."""
    page, measured = PAGE.read_text(encoding="utf-8"), base(_MEASURED.read_text(encoding="utf-8"))
    for name, number in measured.items():
        page = re.sub(
            rf"(?<=^\| `{name}` \| )[^|]+(?= \|)", f"{number:g}", page, flags=re.MULTILINE
        )
    table = computed(base(page))
    PAGE.write_text(_COMPUTED.sub(lambda _: table, page), encoding="utf-8")
    print(table)


if __name__ == "__main__":
    main()
