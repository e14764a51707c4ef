"""Files that a word names know no other of their kind; what they share is private, beside them.

import-linter would want them listed. The folders say which there are.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache

import grimp
import pytest

from chainflow import lookup

FAMILIES = lookup.names("clients")


@cache
def graph() -> grimp.ImportGraph:
    """Who imports whom at run time."""
    return grimp.build_graph("chainflow", exclude_type_checking_imports=True)


def chains(modules: Collection[str]) -> set[str]:
    """By which modules some of these, or what is in them, import others of these."""
    there = {module for module in modules if module in graph().modules}
    assert len(there) > 1
    found = graph().find_illegal_dependencies_for_layers(layers=(there,))
    return {f"{one.importer} -> {one.imported}" for one in found}


@pytest.mark.parametrize("room", ["audit", "clients", "datasets", "devnet", "wire"])
def test_a_family_knows_no_other(room: str) -> None:
    """Whoever adds one, or throws one out, reads that one alone."""
    assert chains([f"chainflow.{room}.{family}" for family in FAMILIES]) == set()


def test_a_table_knows_no_other() -> None:
    """Nor of its own family, directly or by way of a third."""
    rooms = [f"datasets.{family}" for family in FAMILIES]
    assert chains([f"chainflow.{r}.{name}" for r in rooms for name in lookup.names(r)]) == set()


def test_a_check_knows_no_other() -> None:
    """Each is one question."""
    assert chains([f"chainflow.checks.{name}" for name in lookup.names("checks")]) == set()


def test_what_does_import_another_is_found() -> None:
    """Nothing above passes for want of looking."""
    found = chains(["chainflow.pipeline", "chainflow.line"])
    assert found == {"chainflow.pipeline -> chainflow.line"}
