"""JSON-RPC 2.0 over one endpoint: calls in batches, answers matched by id, errors told apart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar, overload

import msgspec

from chainflow.clients import _refusals
from chainflow.errors import (
    AnswerTooLarge,
    NodeUnavailable,
    RateLimited,
    RequestRefused,
    Unsupported,
    WorkError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chainflow.clients._http import Node, Reply


_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)
Outcome = msgspec.Raw | WorkError
_OK = 200


class Answered(Protocol[_T_co]):
    """An answer that was read with its envelope."""

    @property
    def id(self) -> int: ...
    @property
    def result(self) -> _T_co: ...


Read = Callable[[bytes], "Sequence[Answered[_T]] | None"]
"""Reads a body of answers whole; None where it may hold any that must be read one by one."""


class Whole(NamedTuple, Generic[_T]):
    """A result that was read with its envelope; `size` is its share of the body, in bytes."""

    value: _T
    size: int


class Call(NamedTuple):
    """One call; `about` names in errors what it is for, such as `height 105`."""

    method: str
    params: tuple[Any, ...] | Mapping[str, Any]
    about: str = ""


class _Answer(msgspec.Struct, gc=False):
    id: int | str | float | None = None
    result: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


_many = msgspec.json.Decoder(list[_Answer])
_one = msgspec.json.Decoder(_Answer)


@overload
async def call(node: Node, calls: Sequence[Call]) -> list[Outcome]: ...
@overload
async def call(
    node: Node, calls: Sequence[Call], read: Read[_T] | None
) -> list[Outcome | Whole[_T]]: ...
async def call(
    node: Node, calls: Sequence[Call], read: Read[_T] | None = None
) -> list[Outcome] | list[Outcome | Whole[_T]]:
    """The result of each call, or the error in its place; a `null` result is the Raw `null`.

    Sent in batches of the endpoint's pace, smaller ones where an answer was too large; single calls
    where it takes no batches. What fails as a whole fails every call not yet answered. What `read`
    can read of a batch comes Whole: so JSON that holds what is expected is gone through once.
    """
    outcomes: dict[int, Outcome | Whole[_T]] = {}
    todo = list(range(len(calls)))
    size = node.calls.size
    while todo:
        part, todo = todo[:size], todo[size:]
        try:
            answers = await _exchange(node, [calls[i] for i in part], read)
        except AnswerTooLarge as error:
            answers = [error] * len(part)
        except WorkError as error:
            outcomes |= dict.fromkeys([*part, *todo], error)
            break
        again = [i for i, a in zip(part, answers, strict=True) if isinstance(a, AnswerTooLarge)]
        if again and len(part) > 1:
            # Smaller than what was refused, whatever others may have grown it to meanwhile.
            size = node.calls.halve(len(part))
            todo = again + todo
        outcomes |= dict(zip(part, answers, strict=True))
    return [outcomes[i] for i in range(len(calls))]


def result(outcome: Outcome) -> msgspec.Raw:
    """The result, not null.

    Raises:
        WorkError: The call's own error.
        NodeUnavailable: The result is null.
    """
    if isinstance(outcome, WorkError):
        raise outcome
    if is_null(outcome):
        raise NodeUnavailable("null where an answer must be")
    return outcome


def is_null(answer: msgspec.Raw) -> bool:
    """Whether the node said null, or nothing."""
    return len(answer) in (0, 4) and bytes(answer) in (b"", b"null")


async def _exchange(
    node: Node, calls: Sequence[Call], read: Read[_T] | None
) -> list[Outcome | Whole[_T]]:
    items = [
        {"jsonrpc": "2.0", "id": i, "method": c.method, "params": c.params}
        for i, c in enumerate(calls, 1)
    ]
    body = msgspec.json.encode(items if len(items) > 1 else items[0])
    reply = await node.post(body, calls=len(items))
    # Whoever waits to ask the node does so before this answer is gone through.
    await asyncio.sleep(0)
    outcomes = (_whole(reply, calls, read) if read else None) or _outcomes(node, reply, calls)
    if not any(isinstance(outcome, WorkError) for outcome in outcomes):
        _pace(node, len(calls), len(reply.body))
    return outcomes


def _pace(node: Node, calls: int, size: int) -> None:
    """Ask for more calls at once while answers stay small, for fewer when they do not."""
    if size > node.limits.answer_bytes:
        node.calls.fit(calls * node.limits.answer_bytes // size)
    elif calls + 1 >= node.calls.size:
        node.calls.up()


def _whole(reply: Reply, calls: Sequence[Call], read: Read[_T]) -> list[Outcome | Whole[_T]] | None:
    """The results, if the body was read whole and answers every call."""
    if reply.status != _OK or not _is_text(reply.body) or (answers := read(reply.body)) is None:
        return None
    by_id = {answer.id: answer.result for answer in answers}
    share = len(reply.body) // len(calls)
    ids = range(1, len(calls) + 1)
    return [Whole(by_id[i], share) for i in ids] if by_id.keys() >= set(ids) else None


def _is_text(body: bytes) -> bool:
    """Whether it is UTF-8."""
    if body.isascii():
        return True
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _outcomes(node: Node, reply: Reply, calls: Sequence[Call]) -> list[Outcome | Whole[_T]]:
    answers = _decode(node, reply)
    if isinstance(answers, _Answer):
        answers = _alone(node, reply, answers, calls)
    by_id = {_number(answer.id): answer for answer in answers}
    return [_outcome(node, by_id.get(i), c, reply) for i, c in enumerate(calls, 1)]


def _decode(node: Node, reply: Reply) -> list[_Answer] | _Answer:
    """The envelope, the results inside untouched but known to be UTF-8 and whole JSON."""
    body = reply.body
    if not _is_text(body):
        raise _not_json(node, reply)
    try:
        if body.lstrip()[:1] == b"[":
            return _many.decode(body)
        answer = _one.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise _not_json(node, reply) from None
    if reply.status != _OK and is_null(answer.error):
        raise _refusal(node, reply, _refusals.by_text(node.excerpt(body)))
    return answer


def _not_json(node: Node, reply: Reply) -> WorkError:
    page = reply.body.lstrip()[:1] == b"<"
    if reply.status != _OK:
        # A page of HTML is written for people: only its status can be relied upon.
        kind = None if page else _refusals.by_text(node.excerpt(reply.body))
        return _refusal(node, reply, kind)
    if not reply.body.strip():
        return NodeUnavailable("an empty body")
    what = "an HTML page" if page else "no whole JSON"
    return NodeUnavailable(f"{what}: {node.excerpt(reply.body)}")


def _refusal(node: Node, reply: Reply, kind: type[WorkError] | None) -> WorkError:
    text = f"HTTP {reply.status}: {node.excerpt(reply.body)}"
    by_status = _refusals.by_status(reply.status)
    if RateLimited in (kind, by_status) or reply.retry_after_seconds is not None:
        return RateLimited(text, reply.retry_after_seconds)
    return (kind or by_status)(text)


def _alone(node: Node, reply: Reply, answer: _Answer, calls: Sequence[Call]) -> list[_Answer]:
    """A single object as the answer to all calls, if it may be; else the error it is."""
    has_error = not is_null(answer.error)
    if len(calls) == 1:
        if has_error or _number(answer.id) == 1:
            answer.id = 1
            return [answer]
        kind = _refusals.by_text(node.excerpt(reply.body)) or NodeUnavailable
        raise kind(f"an answer to no call of ours: {node.excerpt(reply.body)}")
    error = _error(node, answer, reply) if has_error else None
    if error is None or isinstance(error, RequestRefused | Unsupported):
        node.calls.stay_at_one()
        raise AnswerTooLarge("one object in answer to a batch: it takes no batches")
    raise error


def _outcome(node: Node, answer: _Answer | None, to: Call, reply: Reply) -> Outcome:
    name = f"{to.about}: {to.method}" if to.about else to.method
    if answer is None:
        return NodeUnavailable(f"{name}: no answer of that id in the batch")
    if is_null(answer.error):
        return answer.result
    return _error(node, answer, reply, f"{name}: ")


def _error(node: Node, answer: _Answer, reply: Reply, prefix: str = "") -> WorkError:
    code, words = _code_and_words(answer.error)
    kind = _refusals.by_error(code, words)
    text = f"{prefix}error {code}: {node.excerpt(words)}"
    if kind is RateLimited or _refusals.by_status(reply.status) is RateLimited:
        return RateLimited(text, reply.retry_after_seconds)
    return kind(text)


def _code_and_words(error: msgspec.Raw) -> tuple[int, str]:
    """A JSON-RPC error's code and all its text; some gateways put a bare string in its place."""
    try:
        said = msgspec.json.decode(error)
    except RecursionError:  # passed over when the envelope was read, from a few frames above
        return 0, "an error nested too deep to be read"
    if not isinstance(said, dict):
        return 0, str(said)
    code = said.get("code")
    words = str(said.get("message") or "")
    if (data := said.get("data")) or not words:
        words += f" {msgspec.json.encode(data or said).decode()}"
    return (code if isinstance(code, int) else 0), words.strip()


def _number(given: float | str | None) -> int | None:
    if isinstance(given, str):
        return int(given) if given.isdecimal() else None
    return None if given is None else int(given)
