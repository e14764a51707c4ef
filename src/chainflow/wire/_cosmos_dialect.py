"""The dialects of events: base64 up to Tendermint 0.34, plain text since CometBFT 0.37.

Source: cometbft/cometbft, abci/types; docs/decisions/0090.
"""

from __future__ import annotations

import base64
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from chainflow.errors import MalformedAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chainflow.wire.cosmos import Event

_REPLACED = "\ufffd"
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


def is_base64(events: Sequence[Event]) -> bool:
    """Whether most keys of an answer are base64 of something readable.

    One plain key may look so by chance ("ante"), half of a plain answer's keys do not.
    """
    keys = [a.key for event in events for a in event.attributes or () if a.key]
    return 2 * sum(map(_looks_base64, keys)) > len(keys)


@cache
def _looks_base64(key: str) -> bool:
    try:
        decoded = base64.b64decode(key, validate=True)
        return base64.b64encode(decoded).decode() == key and decoded.decode().isprintable()
    except ValueError:
        return False


def settle(event: Event, read: Callable[[str], bytes]) -> None:
    """Make an event's attributes text that a database holds.

    Bytes that are none become U+FFFD, as nodes of the later dialects have it, and so does U+0000;
    what they were is then in `extra`.

    Args:
        event: As the node gave it; changed in place.
        read: The bytes that a text of the node stands for.
    """
    attributes = event.attributes or []
    lost = False
    given = [(a.key, a.value) for a in attributes]
    for attribute, pair in zip(attributes, given, strict=True):
        attribute.key, attribute.value = (None if t is None else _text(read(t)) for t in pair)
        lost = lost or _REPLACED in (attribute.key or "") + (attribute.value or "")
    if lost:
        exact = [
            {
                "key": None if key is None else base64.b64encode(read(key)).decode(),
                "value": None if value is None else base64.b64encode(read(value)).decode(),
            }
            for key, value in given
        ]
        known = _object.decode(event.extra or "{}")
        event.extra = msgspec.json.encode({**known, "attributes_base64": exact}).decode()


def unwrapped(text: str) -> bytes:
    """The bytes that base64 stands for."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise MalformedAnswer(f"an attribute is not base64 as others are: {text[:40]!r}") from None


def _text(said: bytes) -> str:
    return said.decode(errors="replace").replace("\0", _REPLACED)
