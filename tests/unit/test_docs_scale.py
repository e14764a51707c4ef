"""docs/scale.md says what follows from its own base."""

from __future__ import annotations

from benchmarks import scale


def test_scale_page_says_what_its_base_comes_to() -> None:
    """The second table is the one that `python -m benchmarks.scale` makes of the first."""
    page = scale.PAGE.read_text(encoding="utf-8")
    assert scale.computed(scale.base(page)) in page
