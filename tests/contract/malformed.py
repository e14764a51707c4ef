"""What can be wrong with a node's answer, made of an answer that is right.

    @given(mutations(recorded))
    def test_no_answer_makes_a_wrong_row(mutation: Mutation) -> None: ...

Some mutations do no harm (an optional field dropped, a fee that is another number): whether rows
may come of one is for the family's test to say, by holding them against the mutated answer itself.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from hypothesis import strategies as st

Json = Any  # a node's JSON, of any shape
Path = tuple[str | int, ...]

_STRANGERS: tuple[Json, ...] = (
    *(None, True, False, 0, -1, 1.5, 2**31, 2**63, 2**64, 2**256, -(2**63), 10**400),
    *("", "x", "0x", "-1", "\x00", "ÿ", "1" * 400, [], {}, [None], {"x": None}),
)


class Mutation(NamedTuple):
    """A changed answer: what was done to it, in words, and the body to send."""

    label: str
    body: bytes

    @property
    def document(self) -> Json:
        """The body read as JSON; None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


def mutations(document: Json) -> st.SearchStrategy[Mutation]:
    """One change at one place of a JSON answer, or a body that is cut or garbled.

    A key or item dropped or doubled, a value replaced by null, by another type or by a huge number,
    one character of a text changed, two neighbours in a list exchanged.
    """
    places = list(_places(document))
    changed = st.builds(
        lambda path, change: _changed(document, path, change),
        st.sampled_from(places),
        st.one_of(
            st.sampled_from((_drop, _double, _exchange)),
            st.sampled_from(_STRANGERS).map(_replace),
            st.builds(_character, st.integers(0, 10**4), st.sampled_from("0f9Zé")),
        ),
    )
    return st.one_of(changed, changed, changed, corruptions(json.dumps(document).encode()))


def corruptions(body: bytes) -> st.SearchStrategy[Mutation]:
    """A body of any format cut short, or with one byte changed."""
    place = st.integers(0, max(0, len(body) - 1))
    cut = place.map(lambda at: Mutation(f"cut at byte {at}", body[:at]))
    garbled = st.builds(
        lambda at, byte: Mutation(
            f"byte {at} is {byte:#04x}", body[:at] + bytes([byte]) + body[at + 1 :]
        ),
        place,
        st.integers(0, 255),
    )
    return st.one_of(cut, garbled)


Holder = Any  # the dict or list that a place is in
Change = Callable[[Holder, Any], str]


def _places(document: Json, path: Path = ()) -> Iterator[Path]:
    """The path to every key and item, outer ones first."""
    parts: Any = ()
    if isinstance(document, dict):
        parts = document.items()
    elif isinstance(document, list):
        parts = enumerate(document)
    for key, part in parts:
        yield (*path, key)
        yield from _places(part, (*path, key))


def _changed(document: Json, path: Path, change: Change) -> Mutation:
    whole = copy.deepcopy(document)
    holder = whole
    for key in path[:-1]:
        holder = holder[key]
    what = change(holder, path[-1])
    return Mutation(f"{'.'.join(map(str, path))} {what}", json.dumps(whole).encode())


def _drop(holder: Holder, key: Any) -> str:  # noqa: ANN401 - a name or a number
    del holder[key]
    return "dropped"


def _double(holder: Holder, key: Any) -> str:  # noqa: ANN401 - a name or a number
    if isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    else:
        holder[f"{key}_"] = copy.deepcopy(holder[key])
    return "doubled"


def _exchange(holder: Holder, key: Any) -> str:  # noqa: ANN401 - a name or a number
    other = (key + 1) % len(holder) if isinstance(holder, list) else next(iter(holder))
    holder[key], holder[other] = holder[other], holder[key]
    return f"exchanged with {other}"


def _replace(value: Json) -> Change:
    def change(holder: Holder, key: Any) -> str:  # noqa: ANN401 - a name or a number
        holder[key] = copy.deepcopy(value)
        return f"is {str(value)[:20]!r}"

    return change


def _character(at: int, character: str) -> Change:
    def change(holder: Holder, key: Any) -> str:  # noqa: ANN401 - a name or a number
        given = holder[key]
        if not isinstance(given, str) or not given:
            return _drop(holder, key)
        place = at % len(given)
        holder[key] = given[:place] + character + given[place + 1 :]
        return f"has {character!r} at {place}"

    return change
