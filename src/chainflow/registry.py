"""chains.yaml -> Chain objects; the only reader of that file.

Files are layered key by key, then `defaults` are laid under each entry, then pydantic looks at it:
so an explicit 0 or false wins, and every value still knows the file and line it came from.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cache, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from chainflow import lookup
from chainflow._entry import NAME, SCHEMES, Confirmations, Entry, nearest, wrong
from chainflow._yaml_lines import Located, Problem, merge, read, word
from chainflow.errors import InputError, RegistryError, UnknownChain
from chainflow.types import Chain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_VARIABLE = "CHAINFLOW_REGISTRY"
_FILE = "chains.yaml"
_SECTIONS = ("defaults", "chains")
# A chain's name is its schema in PostgreSQL; these are taken, and so is every pg_ name.
_RESERVED = frozenset({"chainflow", "staging", "public", "information_schema"})
_NEEDED = ("family", "blocks_per_minute", "endpoints")


@dataclass(frozen=True, slots=True)
class Registry:
    """The chains by name, in the file's order, and a line for everything wrong with the others."""

    chains: Mapping[str, Chain]
    problems: tuple[str, ...] = ()

    def chain(self, name: str) -> Chain:
        """The chain of that name.

        Raises:
            UnknownChain: There is none; the message names the nearest.
        """
        if name not in self.chains:
            expected = f"one of {', '.join(self.chains) or 'none: the registry is empty'}"
            raise UnknownChain(wrong(f"no chain {word(name)}", expected, name, self.chains))
        return self.chains[name]


def load(*paths: Path | str) -> Registry:
    """The chains of the files, by default those of `find`; later files win key by key.

    Raises:
        RegistryError: With every problem of every file.
    """
    registry = load_tolerant(*paths)
    if registry.problems:
        raise RegistryError(registry.problems)
    return registry


def load_tolerant(*paths: Path | str) -> Registry:
    """The good chains of the files; `problems` tells why the others are left out.

    What is wrong with a file as a whole, or with what its chains share, leaves no chain.
    """
    return _loaded([Path(path) for path in paths or find()])


def load_one(name: str, *paths: Path | str) -> Chain | None:
    """The chain of that name, as `load_tolerant` has it; None where it has none.

    A task needs only its own: in a file that is plainly laid out the other entries are not even
    read, and what is wrong with them does not matter.
    """
    files = [Path(path) for path in paths or find()]
    chain = _loaded(files, only=name).chains.get(name)
    return chain or _loaded(files).chains.get(name)


def _loaded(paths: Sequence[Path], only: str | None = None) -> Registry:
    layers, problems = _layers(paths, only)
    if len(layers) < len(paths):
        return Registry({}, _lines(paths, problems))
    root = reduce(merge, layers)
    problems += _strangers(root)
    shared = _section(root, "defaults", problems)
    entries = _section(root, "chains", problems)
    problems += _new(problems, _entry_problems(shared, needed=())[1])
    usable = all(problem.keys[:1] == ("chains",) and problem.keys[1:] for problem in problems)
    if not entries.value and not problems:
        problems.append(Problem(root.path, entries.line, ("chains",), "no chain (expected one)"))
    chains: dict[str, Chain] = {}
    for name, entry in entries.value.items():
        chain, found = _chain(name, shared, entry)
        problems += _new(problems, found)
        twice = any(problem.keys[:2] == ("chains", name) for problem in problems)
        if chain and usable and not twice:
            chains[name] = chain
    return Registry(chains, _lines(paths, problems))


def find(beside: Path | None = None) -> tuple[Path, ...]:
    """The registry's files, of which some may not exist.

    CHAINFLOW_REGISTRY, with the system's path separator between layers; else chains.yaml beside the
    given file or in the given folder, or one folder up; else in the working directory.

    Raises:
        InputError: The variable holds a URL, which is not shown.
    """
    given = os.environ.get(_VARIABLE, "")
    if "://" in given:
        raise InputError(f"{_VARIABLE} holds a URL (expected files, with {os.pathsep} in between)")
    named = tuple(Path(part) for part in given.split(os.pathsep) if part)
    if named:
        return named
    if beside is not None:
        folder = beside if beside.is_dir() else beside.parent
        for place in (folder, folder.resolve().parent):
            if (place / _FILE).is_file():
                return (place / _FILE,)
    return (Path(_FILE),)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of chains.yaml, for editors; chains.schema.json holds it."""
    from chainflow._file import File  # nothing else needs it

    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **File.model_json_schema()}


def _layers(paths: Sequence[Path], only: str | None) -> tuple[list[Located], list[Problem]]:
    layers: list[Located] = []
    problems: list[Problem] = []
    for path in paths:
        layer, found = read(path, only)
        problems += found
        layers += [layer] if layer else []
    return layers, problems


def _lines(paths: Sequence[Path], problems: Sequence[Problem]) -> tuple[str, ...]:
    """A line for each problem once, by file as given and line."""
    order = {str(path): at for at, path in enumerate(paths)}
    ranked = sorted(problems, key=lambda problem: (order[problem.path], problem.line))
    return tuple(dict.fromkeys(map(str, ranked)))


def _new(known: Sequence[Problem], found: Sequence[Problem]) -> list[Problem]:
    """Those found where nothing was wrong before: a value that is unreadable is not also wrong."""
    places = {(problem.path, problem.line, problem.keys) for problem in known}
    return [p for p in found if (p.path, p.line, p.keys) not in places]


def _problem(at: Located, message: str) -> Problem:
    return Problem(at.path, at.line, at.keys, message)


def _strangers(root: Located) -> list[Problem]:
    expected = " or ".join(_SECTIONS)
    return [
        _problem(item, wrong("unknown key", expected, key, _SECTIONS))
        for key, item in root.value.items()
        if key not in _SECTIONS
    ]


def _section(root: Located, key: str, problems: list[Problem]) -> Located:
    """The mapping under a key of the file; an empty one where there is none or something else."""
    found: Located = root.value.get(key, Located({}, root.path, root.line, (key,)))
    if isinstance(found.value, dict):
        return found
    problems.append(_problem(found, wrong(f"is {_shown(found)}", "a mapping")))
    return Located({}, found.path, found.line, found.keys)


def _chain(name: str, shared: Located, entry: Located) -> tuple[Chain | None, list[Problem]]:
    problems = [_problem(entry, text) for text in _name_problems(name)]
    if not isinstance(entry.value, dict):
        message = wrong(f"is {_shown(entry)}", "a mapping of keys such as family and endpoints")
        return None, [*problems, _problem(entry, message)]
    under = merge(Located(shared.value, entry.path, entry.line, entry.keys), entry)
    retired = _plain(under, "status") == "retired"
    checked, found = _entry_problems(under, needed=() if retired else _NEEDED)
    problems += found
    return (_frozen(name, checked) if checked and not problems else None), problems


def _name_problems(name: str) -> Iterator[str]:
    if not re.fullmatch(NAME, name):
        yield wrong(
            "is no name for a chain",
            "at most 41 lower-case letters, digits and _, beginning with a letter",
        )
    taken = {*_RESERVED, *_schemas(lookup.names("datasets"))}
    if name in taken or name.startswith("pg_"):
        yield wrong("is a reserved name", f"none of {', '.join(sorted(taken))}, nor pg_…")


@cache
def _schemas(families: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(lookup.schema, families))


def _frozen(name: str, entry: Entry) -> Chain:
    """The entry as the Chain that everything else works with."""
    finality = entry.finality
    given = entry.model_dump(exclude={"finality"}, exclude_unset=True)
    depth = finality.confirmations if isinstance(finality, Confirmations) else 0
    tag = finality if isinstance(finality, str) and finality != "head" else None
    for key in ("endpoints", "datasets", "indexes", "tags"):
        given[key] = tuple(getattr(entry, key))
    given = {"family": "", "chain_id": None, "blocks_per_minute": 0.0, **given}
    return Chain(name=name, finality_tag=tag, confirmations=depth, **given)


def _plain(entry: Located, key: str) -> object:
    return entry.value[key].plain() if key in entry.value else None


def _entry_problems(entry: Located, *, needed: Sequence[str]) -> tuple[Entry | None, list[Problem]]:
    """The entry if pydantic takes it, and everything wrong with it."""
    problems = list(_missing(entry, needed))
    checked = None
    try:
        checked = Entry.model_validate(entry.plain())
    except ValidationError as error:
        problems += _translated(entry, error)
    problems += _family_problems(entry)
    return checked, problems


def _missing(entry: Located, needed: Sequence[str]) -> Iterator[Problem]:
    """The needed keys that are absent; one that is only mistyped is told as an unknown key."""
    fields = Entry.model_fields
    meant = {nearest(key, fields) for key in entry.value if key not in fields}
    for key in needed:
        if key not in entry.value and key not in meant:
            families = f"one of {', '.join(lookup.names('clients'))}"
            expected = families if key == "family" else fields[key].title
            message = f"is missing (expected {expected})"
            yield Problem(entry.path, entry.line, (*entry.keys, key), message)


def _translated(entry: Located, error: ValidationError) -> Iterator[Problem]:
    """One problem for each value that pydantic refuses, at the value's own place."""
    seen: set[tuple[int | str, ...]] = set()
    for found in error.errors(include_url=False, include_input=False):
        at, loc = _place(entry, found["loc"])
        if loc in seen:
            continue  # the other members of a union say the same again
        seen.add(loc)
        yield _problem(at, _message(at, found["type"], found["msg"]))


def _place(entry: Located, loc: tuple[int | str, ...]) -> tuple[Located, tuple[int | str, ...]]:
    """The value that pydantic's path leads to, as far as the file has it."""
    at, depth = entry, 0
    for step in loc:
        inside = at.value
        listed = isinstance(inside, tuple) and isinstance(step, int)
        if not listed and not (isinstance(inside, dict) and step in inside):
            break
        at = inside[step]
        depth += 1
    return at, loc[:depth]


def _family_problems(entry: Located) -> Iterator[Problem]:
    """Words that name no file in the rooms of clients and datasets."""
    family, datasets = entry.value.get("family"), entry.value.get("datasets")
    known: tuple[str, ...] | None = None
    if family and isinstance(family.value, str) and family.value:
        families = lookup.names("clients")
        if family.value in families:
            known = lookup.names(f"datasets.{family.value}")
            yield from _scheme_problems(entry.value.get("endpoints"), family.value)
        else:
            message = f"unknown family {word(family.value)}"
            expected = f"one of {', '.join(families)}"
            yield _problem(family, wrong(message, expected, family.value, families))
    if datasets and isinstance(datasets.value, tuple) and datasets.value:
        yield from _dataset_problems(datasets, known)


def _scheme_problems(endpoints: Located | None, family: str) -> Iterator[Problem]:
    """URLs that are endpoints, but none that the family's client can ask."""
    legal = lookup.schemes(family)
    for item in endpoints.value if endpoints and isinstance(endpoints.value, tuple) else ():
        scheme = str(item.value).partition("://")[0]
        if scheme in SCHEMES and scheme not in legal:
            message = f"{scheme} is not how a node of family {family} is asked"
            expected = f"conn:ID, env:NAME, or a URL of {' or '.join(legal)}"
            yield _problem(item, wrong(message, expected))


def _dataset_problems(datasets: Located, known: tuple[str, ...] | None) -> Iterator[Problem]:
    words = [item.value for item in datasets.value]
    for item in datasets.value:
        if known is not None and isinstance(item.value, str) and item.value not in known:
            message = f"unknown dataset {word(item.value)}"
            expected = f"one of {', '.join(known)}"
            yield _problem(item, wrong(message, expected, item.value, known))
    if "blocks" not in words:
        yield _problem(datasets, "`blocks` is missing (expected it in every list of datasets)")


def _message(at: Located, kind: str, text: str) -> str:
    fields = Entry.model_fields
    key = at.keys[-1]
    if kind == "chainflow":
        return text
    if kind == "extra_forbidden":
        return wrong("unknown key", f"one of {', '.join(fields)}", key, fields)
    legal = {
        "status": ("live", "retired"),
        "finality": ("finalized", "safe", "head"),
        "verify": ("roots", "hashes", "none"),
        "indexes": ("hash", "address", "time"),
    }
    given = at.value if isinstance(at.value, str) else ""
    return wrong(f"is {_shown(at)}", str(fields[key].title), given, legal.get(key, ()))


def _shown(at: Located) -> str:
    """The value as a message may show it: no URL and nothing long, for it may be a secret."""
    value = at.value
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, tuple):
        return "a list" if value else "an empty list"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {value}" if abs(value) < 2**64 or value != value else "a huge number"
    if isinstance(value, str) and len(value) <= 40 and not re.search("://|@", value):
        return "an empty text" if not value else f"the text {value!r}"
    return "a text" if isinstance(value, str) else f"a {type(value).__name__}"
