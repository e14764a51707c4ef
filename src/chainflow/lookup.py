"""A word in chains.yaml to a module in a folder: the folder is the registry."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType
    from typing import Any


@cache
def names(room: str) -> tuple[str, ...]:
    """Public module names in a room such as `clients` or `datasets.evm`, sorted; maybe none.

    The room is looked into and not imported: a parse of DAGs has no use for its code.
    """
    try:
        found = find_spec(f"chainflow.{room}")
    except ModuleNotFoundError:
        found = None
    folders = found.submodule_search_locations if found else None
    return tuple(
        sorted(m.name for m in pkgutil.iter_modules(folders or ()) if not m.name.startswith("_"))
    )


def module(room: str, name: str) -> ModuleType:
    """The module that a word names.

    Raises:
        LookupError: The room has no such module; the message lists those it has.
    """
    if name not in names(room):
        raise LookupError(f"chainflow.{room} has no {name!r}; it has {', '.join(names(room))}")
    return import_module(f"chainflow.{room}.{name}")


def schema(family: str) -> str:
    """The schema of a family's own tables, in which those of its chains are partitions.

    Its folder in `datasets` says so, because a chain may have the name of its family.
    """
    return str(import_module(f"chainflow.datasets.{family}").SCHEMA)


def schemes(family: str) -> tuple[str, ...]:
    """The schemes of URLs that the family's client asks by; where its folder is silent, HTTP's."""
    folder = import_module(f"chainflow.datasets.{family}")
    return tuple(getattr(folder, "SCHEMES", ("http", "https")))


def views() -> ModuleType:
    """The module that says which views span all families, and their columns."""
    return import_module("chainflow.datasets._views")


def members(family: str) -> Sequence[Any]:
    """What a family's tables give to those views, as its `_views.py` says; maybe nothing."""
    name = f"chainflow.datasets.{family}._views"
    try:
        return tuple(import_module(name).MEMBERS)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return ()
