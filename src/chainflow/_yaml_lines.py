"""A YAML file as values that know where they stand, and the problems found on the way."""

from __future__ import annotations

import re
import reprlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# libyaml's loader where it is built, 7 times faster; pure Python otherwise.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Aliases of aliases grow without bound; eighteen chains hold some three hundred values.
_MOST_VALUES = 100_000
# A registry is four deep; libyaml composes by recursion in C, which ends the process where it ends.
_DEEPEST = 100
_SCALARS = frozenset(
    f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "str", "timestamp")
)


@dataclass(frozen=True, slots=True)
class Located:
    """A value with its file, the line of its key (from 1), and the keys that lead to it.

    `value` is a dict of Located by key, a tuple of Located, or a scalar.
    """

    value: Any
    path: str
    line: int
    keys: tuple[str, ...]

    def plain(self) -> object:
        """The value as YAML's own types."""
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        if isinstance(self.value, tuple):
            return [item.plain() for item in self.value]
        return self.value


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at one place of a file; its text is one line."""

    path: str
    line: int
    keys: tuple[str, ...]
    message: str

    def __str__(self) -> str:
        below = self.keys[1:] if self.keys[:1] == ("chains",) and len(self.keys) > 1 else self.keys
        where = f"{'.'.join(map(word, below))}: " if below else ""
        return f"{self.path}:{self.line}: {where}{self.message}"


def word(text: str) -> str:
    """A name as it may stand in a message: itself, or quoted and cut when it is odd.

    Never what may be a URL: that may hold a key.
    """
    if re.search("://|@", text):
        return "<a URL>"
    return text if re.fullmatch(r"[\w.-]{1,60}", text) else reprlib.repr(text)


def read(path: Path, only: str | None = None) -> tuple[Located | None, list[Problem]]:
    """A file's mapping and its problems; None when the file as a whole cannot be used.

    With `only`, the other chains' entries may be left out: then lines are not the file's.
    """
    name = str(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        return None, [Problem(name, 1, (), f"cannot be read: {reason} (expected a YAML file)")]
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        return None, [Problem(name, line, (), f"byte {error.start} is not UTF-8 (expected UTF-8)")]
    reading = _Reading(name, excerpt(text, only) if only else text)
    try:
        root = reading.root()
    except _UnusableError as unusable:
        return None, [*reading.problems, unusable.problem]
    return root, reading.problems


def excerpt(text: str, name: str) -> str:
    """A registry's text without the entries of other chains; all of it where that is not plain.

    Plain is: `chains:` in a line of its own, and the entry below a line that begins with its name,
    indented as the first entry is, without an alias.
    """
    section = re.search(r"(?:\A|\n)chains:[ \t]*(?:#.*)?\r?(?=\n)", text)
    first = section and re.compile(r"\n +(?=\w)").search(text, section.end())
    if not (section and first):
        return text
    indent = len(first[0]) - 1
    start = text.find(f"{first[0]}{name}:", first.start())
    if start < 0 or text.find(f"{first[0]}{name}:", start + 1) >= 0:
        return text
    end = re.compile(rf"\n {{0,{indent}}}(?=[^\s#])").search(text, start + 1)
    rest = re.compile(r"\n(?=[^\s#])").search(text, section.end())
    entry = text[start : end.start() if end else None]
    if re.search(r"[:,\[-]\s*\*\w", entry) or (rest and rest.start() < start):
        return text
    return text[: first.start()] + entry + (text[rest.start() :] if rest else "\n")


def merge(lower: Located, upper: Located) -> Located:
    """Both, key by key: where each has a value of its own, the upper one wins."""
    if not (isinstance(lower.value, dict) and isinstance(upper.value, dict)):
        return upper
    value = dict(lower.value)
    for key, item in upper.value.items():
        value[key] = merge(value[key], item) if key in value else item
    return Located(value, lower.path, lower.line, lower.keys)


class _UnusableError(Exception):
    """The way out of nested nodes when the file as a whole cannot be used; `read` catches it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem = problem


@dataclass
class _Reading:
    """One pass over one file; holds YAML's loader open."""

    path: str
    text: str
    problems: list[Problem] = field(default_factory=list)
    values: int = 0
    loader: Any = None

    def root(self) -> Located:
        """The file's mapping; raises _UnusableError where there is none."""
        try:
            self._bound_depth()
            self.loader = _LOADER(self.text)
            try:
                node = self.loader.get_single_node()
                return self._root(node)
            finally:
                self.loader.dispose()
        except yaml.reader.ReaderError as error:
            line = self.text.count("\n", 0, error.position) + 1
            message = "holds a control character (expected printable text)"
            raise _UnusableError(Problem(self.path, line, (), message)) from None
        except yaml.MarkedYAMLError as error:
            raise _UnusableError(self._broken(error)) from None

    def _bound_depth(self) -> None:
        """Refuse a text that nests deeper than may be composed; its events come one by one."""
        depth = 0
        for event in yaml.parse(self.text, Loader=_LOADER):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > _DEEPEST:
                mark = event.start_mark
                raise self._too_deep(mark.line + 1 if mark else 1)

    def _too_deep(self, line: int, keys: tuple[str, ...] = ()) -> _UnusableError:
        message = f"is nested too deeply (expected at most {_DEEPEST} levels)"
        return _UnusableError(Problem(self.path, line, keys, message))

    def _root(self, node: yaml.Node | None) -> Located:
        if node is None:
            message = "the file is empty (expected a mapping with `defaults` and `chains`)"
            raise _UnusableError(Problem(self.path, 1, (), message))
        line = node.start_mark.line + 1
        if not isinstance(node, yaml.MappingNode):
            message = "is no mapping (expected a mapping with `defaults` and `chains`)"
            raise _UnusableError(Problem(self.path, line, (), message))
        return self._located(node, line, (), ())

    def _broken(self, error: yaml.MarkedYAMLError) -> Problem:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        shown = self.text.splitlines()[line - 1 : line]
        tab = bool(shown) and "\t" in shown[0][: len(shown[0]) - len(shown[0].lstrip())]
        reason = (
            "a tab indents the line"
            if tab
            else " ".join((error.problem or "").removeprefix("but ").split())
        )
        expected = "spaces: YAML forbids tabs there" if tab else "YAML, one document"
        return Problem(self.path, line, (), f"cannot be read: {reason} (expected {expected})")

    def _located(
        self, node: yaml.Node, line: int, keys: tuple[str, ...], above: tuple[int, ...]
    ) -> Located:
        """The node's value, at the line of its key; `above` are the nodes it stands in."""
        self.values += 1
        if id(node) in above:
            message = "an alias (*) holds itself (expected a value that ends)"
            raise _UnusableError(Problem(self.path, line, keys, message))
        if self.values > _MOST_VALUES:
            message = f"aliases (*) make more than {_MOST_VALUES} values (expected fewer)"
            raise _UnusableError(Problem(self.path, line, keys, message))
        if len(above) > _DEEPEST:  # by aliases
            raise self._too_deep(line, keys)
        inside = (*above, id(node))
        value: Any
        if isinstance(node, yaml.MappingNode) and node.tag.endswith(":map"):
            value = self._mapping(node, keys, inside)
        elif isinstance(node, yaml.SequenceNode) and node.tag.endswith(":seq"):
            value = tuple(
                self._located(item, item.start_mark.line + 1, keys, inside) for item in node.value
            )
        else:
            value = self._scalar(node, line, keys)
        return Located(value, self.path, line, keys)

    def _mapping(
        self, node: yaml.MappingNode, keys: tuple[str, ...], above: tuple[int, ...]
    ) -> dict[str, Located]:
        value: dict[str, Located] = {}
        for key, item in self._pairs(node, keys):
            line, name = key.start_mark.line + 1, key.value
            located = self._located(item, line, (*keys, name), above)
            if name in value:
                message = f"stands twice, on lines {value[name].line} and {line} (expected once)"
                self.problems.append(Problem(self.path, line, located.keys, message))
            value.setdefault(name, located)
        return value

    def _pairs(
        self, node: yaml.MappingNode, keys: tuple[str, ...]
    ) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        """The pairs whose key is text; for any other key a problem."""
        for key, item in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag.endswith(":str"):
                yield key, item
                continue
            given = key.value if isinstance(key, yaml.ScalarNode) else "?"
            merging = key.tag.endswith(":merge")
            what = "`<<` merges nothing here" if merging else "the key is no text"
            message = f"{what} (expected text, in quotes where YAML reads it otherwise)"
            at = (*keys, given)
            self.problems.append(Problem(self.path, key.start_mark.line + 1, at, message))

    def _scalar(self, node: yaml.Node, line: int, keys: tuple[str, ...]) -> object:
        """The value of a core tag; a problem for any other, and for what is not of its tag."""
        try:
            if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
                return self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError, LookupError, AttributeError):
            pass  # PyYAML looks a text up, or takes it apart, before it asks whether it fits
        kind = node.tag.rpartition(":")[2]
        message = f"cannot be read as {word(kind)} (expected text, a number, true or false)"
        self.problems.append(Problem(self.path, line, keys, message))
        return None
