"""Lines of the report: what was measured, what it came to, which bar it is held to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `met` is None where there is no bar."""

    what: str
    value: str
    bar: str = ""
    met: bool | None = None

    def __str__(self) -> str:
        said = "" if self.met is None else ", met" if self.met else ", **missed**"
        return f"| {self.what} | {self.value} | {self.bar}{said} |"


def at_least(what: str, value: float, bar: float, unit: str = "") -> Line:
    """A line with a bar from below."""
    return Line(what, shown(value, unit), f">= {shown(bar, unit)}", value >= bar)


def at_most(what: str, value: float, bar: float, unit: str = "") -> Line:
    """A line with a bar from above."""
    return Line(what, shown(value, unit), f"<= {shown(bar, unit)}", value <= bar)


def plain(what: str, value: float, unit: str = "") -> Line:
    """A line without a bar."""
    return Line(what, shown(value, unit))


def shown(value: float, unit: str = "") -> str:
    """Three digits that count, or all before the point."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    text = f"{value:,.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{text} {unit}".rstrip()
