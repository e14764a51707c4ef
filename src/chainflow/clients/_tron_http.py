"""One question to a Tron full node over HTTP, and what its refusals mean.

A node says what is wrong with status 200 and `{"Error": "class ... : words"}`; so it does when it
has too much to do. TronGrid adds its own words with status 403 and 429.

Source: tronprotocol/java-tron, Util.printErrorMsg, RateLimiterServlet, HttpApiAccessFilter,
LiteFnQueryHttpFilter; developers.tron.network, rate limits of TronGrid.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from chainflow.clients import _refusals
from chainflow.errors import NodeUnavailable, RateLimited, Unsupported, WorkError

if TYPE_CHECKING:
    from chainflow.clients._http import Node, Reply

_OK = 200
# Looked for before the words that every family's nodes share.
_PHRASES: tuple[tuple[type[WorkError], str], ...] = (
    (RateLimited, r"lack of computing resources|frequency limit|suspended for|daily usage"),
    (Unsupported, r"this api is (unavailable|closed)|lite ?full ?node"),
)
_SUSPENDED = re.compile(r"suspended for (\d{1,6}) ?s")


class _Said(msgspec.Struct):
    Error: Any = None


_said = msgspec.json.Decoder(_Said)


async def ask(node: Node, path: str, **parameters: int) -> bytes:
    """What a node answers, which is JSON and no refusal.

    Args:
        node: The endpoint.
        path: Of the API, such as `wallet/getnowblock`.
        parameters: Of the question.

    Raises:
        WorkError: The refusal, or the trouble on the way.
    """
    reply = await node.post(msgspec.json.encode(parameters), path)
    body = reply.body.strip()
    if reply.status == _OK and body[:1] == b"[":
        return body
    try:
        error = _said.decode(body).Error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _no_answer(node, reply, path) from None
    if reply.status != _OK or error is not None:
        raise _refusal(node, reply, path, str(error) if error is not None else body.decode())
    return body


def _no_answer(node: Node, reply: Reply, path: str) -> WorkError:
    """What a body is that is no JSON object."""
    page = reply.body.lstrip()[:1] == b"<"
    if reply.status != _OK:
        # A page of HTML is written for people: only its status can be relied upon.
        return _refusal(node, reply, path, "a page" if page else node.excerpt(reply.body))
    if not reply.body.strip():
        return NodeUnavailable(f"{path}: an empty body")
    what = "an HTML page" if page else "no whole JSON"
    return NodeUnavailable(f"{path}: {what}: {node.excerpt(reply.body)}")


def _refusal(node: Node, reply: Reply, path: str, words: str) -> WorkError:
    status = "" if reply.status == _OK else f"HTTP {reply.status}: "
    text = f"{path}: {status}{node.excerpt(words)}"
    kind = next((k for k, phrase in _PHRASES if re.search(phrase, words.lower())), None)
    kind = kind or _refusals.by_text(words)
    if kind is None:
        kind = NodeUnavailable if reply.status == _OK else _refusals.by_status(reply.status)
    if kind is RateLimited or reply.retry_after_seconds is not None:
        told = _SUSPENDED.search(words)
        wish = reply.retry_after_seconds if told is None else float(told[1])
        return RateLimited(text, wish)
    return kind(text)
