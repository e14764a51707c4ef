"""A CometBFT node's JSON as structs: its dialects, what may be absent, what may not."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from chainflow.errors import MalformedAnswer
from chainflow.wire import cosmos
from chainflow.wire._extra import Wire
from tests.cosmos import block, event, read, result, results_of

Json = dict[str, Any]


def decoded(answer: Json) -> cosmos.Results:
    """The results of an answer."""
    return cosmos.decode_results(json.dumps(answer).encode())


def old(*events: Json, **fields: object) -> Json:
    """An answer of Tendermint 0.34 with those events of the block's beginning."""
    answer = results_of(5, begin_block_events=list(events), end_block_events=None)
    return {
        k: v for k, v in answer.items() if k not in ("finalize_block_events", "app_hash")
    } | fields


def wrapped(kind: str, *pairs: tuple[str, str | None]) -> Json:
    """An event as 0.34 has it."""
    coded = [(b64(key), None if value is None else b64(value)) for key, value in pairs]
    return event(kind, *[(key, value) for key, value in coded])


def b64(text: str | bytes) -> str:
    """Base64 of a text."""
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def begun(answer: Json) -> list[list[tuple[str | None, str | None]]]:
    """Keys and values of the events of a block's beginning."""
    events = decoded(answer).begin_block_events
    assert isinstance(events, list)
    return [[(a.key, a.value) for a in one.attributes or ()] for one in events]


def test_base64_attributes_are_unwrapped() -> None:
    """0.34: keys and values are base64, null stays null."""
    said = old(wrapped("transfer", ("recipient", "cosmos1x"), ("amount", None)))
    assert begun(said) == [[("recipient", "cosmos1x"), ("amount", None)]]


def test_plain_attributes_stay() -> None:
    """0.37: the same lists, plain text, though single keys and values happen to be base64 too."""
    pairs = (("receiver", "abcd"), ("ante", "test"), ("amount", "12uusdc"), ("data", "MTIz"))
    assert begun(old(event("x", *pairs))) == [list(pairs)]


@pytest.mark.parametrize("key", ["sender", "receiver", "data", "mode", "denom", "client_id"])
def test_a_usual_key_alone_is_plain(key: str) -> None:
    """An answer with one attribute only is judged right, too."""
    assert begun(old(event("x", (key, "MTIz")))) == [[(key, "MTIz")]]


def test_finalize_block_events_are_always_plain() -> None:
    """0.38: the list itself tells, whatever the keys look like."""
    answer = results_of(5, (), event("x", (b64("recipient"), b64("cosmos1x"))))
    events = decoded(answer).finalize_block_events
    assert isinstance(events, list)
    assert events[0].attributes is not None
    assert events[0].attributes[0].key == b64("recipient")


def test_each_answer_tells_its_own_dialect() -> None:
    """A chain changes it at an upgrade: nothing is remembered from one answer to the next."""
    said = (("recipient", "a"),)
    for answer in (old(wrapped("x", *said)), old(event("x", *said)), old(wrapped("x", *said))):
        assert begun(answer) == [list(said)]


def test_bytes_that_are_no_text_are_kept_beside_their_replacement() -> None:
    """0.34 let a module say any bytes (Ethermint's blooms): U+FFFD shown, base64 in `extra`."""
    given = event("bloom", (b64("bloom"), b64(b"\x00\xff")), (b64("k"), None))
    answer = old(given, wrapped("a", ("key", "value")))
    events = decoded(answer).begin_block_events
    assert isinstance(events, list)
    assert events[0].attributes is not None
    assert events[0].attributes[0].value == "\ufffd\ufffd"
    exact = [{"key": b64("bloom"), "value": b64(b"\x00\xff")}, {"key": b64("k"), "value": None}]
    assert json.loads(events[0].extra or "") == {"attributes_base64": exact}
    assert events[1].extra is None


def test_a_plain_null_character_is_kept_beside_its_replacement() -> None:
    """PostgreSQL knows no U+0000, and any contract may emit one."""
    events = decoded(results_of(5, (), event("wasm", ("k", "a\0b")))).finalize_block_events
    assert isinstance(events, list)
    assert events[0].attributes is not None
    assert events[0].attributes[0].value == "a\ufffdb"
    assert json.loads(events[0].extra or "")["attributes_base64"][0]["value"] == b64("a\0b")


def test_an_attribute_that_is_not_base64_among_others_is_malformed() -> None:
    """Half an answer in one dialect and half in another is nobody's."""
    answer = old(wrapped("x", ("recipient", "a"), ("sender", "b")), event("y", (b64("z"), "!")))
    with pytest.raises(MalformedAnswer, match="not base64 as others are: '!'"):
        decoded(answer)


def test_what_may_be_absent_may() -> None:
    """txs_results null, an event without a type, an attribute without index, key or value."""
    bare = {"attributes": [{"key": "k"}, {"value": "v"}, {}]}
    results = decoded(results_of(5, (), bare, {"type": "x"}, {"type": "y", "attributes": None}))
    assert results.txs_results is None
    events = results.finalize_block_events
    assert isinstance(events, list)
    assert [one.type for one in events] == [None, "x", "y"]
    assert [(a.key, a.value) for a in events[0].attributes or ()] == [
        ("k", None),
        (None, "v"),
        (None, None),
    ]


@pytest.mark.parametrize("lost", ["begin_block_events", "end_block_events"])
def test_a_list_of_events_that_is_lost_is_malformed(lost: str) -> None:
    """Absent is not null: an answer of 0.34 has both lists."""
    answer = old(event("x", ("k", "v")))
    del answer[lost]
    with pytest.raises(MalformedAnswer, match="neither finalize_block_events nor"):
        decoded(answer)


@pytest.mark.parametrize("lost", ["code", "data", "log", "gas_wanted", "gas_used", "events"])
def test_a_result_without_a_field_that_all_have_is_malformed(lost: str) -> None:
    """A dropped code must not read as success."""
    broken = result()
    del broken[lost]
    with pytest.raises(MalformedAnswer, match=lost):
        decoded(results_of(5, [broken]))


def objects(value: Any, path: str = "") -> Iterator[tuple[str, Json]]:  # noqa: ANN401 - any JSON
    """Every object of a struct's JSON that a struct stands for."""
    if isinstance(value, dict):
        yield path, value
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in parts:
        if isinstance(part, dict | list) and key != "last_commit":
            yield from objects(part, f"{path}.{key}")


def test_unknown_fields_are_kept_wherever_they_stand() -> None:
    """Each struct keeps in `extra`, as exact JSON, the fields that it does not name."""
    answer = block(5, [b"tx"])
    plain = cosmos.decode_block(json.dumps(answer).encode())
    for path, holder in list(objects(answer)):
        holder["added"] = {"at": path, "exact": 12345678901234567890123}
    found = cosmos.decode_block(json.dumps(answer).encode())
    texts = [part.extra for part in structs(found)]
    assert len(texts) == 10
    assert all('"exact": 12345678901234567890123' in (text or "") for text in texts)
    for part in structs(found):
        part.extra = None
    assert found == plain


def structs(part: object) -> Iterator[Wire]:
    """A struct and those in it."""
    if isinstance(part, Wire):
        yield part
        for name in part.__struct_fields__:
            yield from structs(getattr(part, name))
    elif isinstance(part, list):
        for one in part:
            yield from structs(one)


def test_unknown_fields_of_results_are_kept() -> None:
    """In a result, an event and an attribute as well; the rest is as without them."""
    one = event("x", ("k", "v"))
    one["attributes"][0]["more"] = 1
    one["seen"] = [1.50]
    answer = results_of(5, [result(one, signers=["a"])], later=None)
    found = decoded(answer)
    assert found.extra == '{"later":null}'
    (sent,) = found.txs_results or []
    assert sent.extra == '{"signers":["a"]}'
    (happened,) = sent.events or []
    assert happened.extra == '{"seen":[1.5]}'
    assert (happened.attributes or [])[0].extra == '{"more":1}'
    assert (happened.attributes or [])[0].value == "v"


def test_a_nodes_own_field_does_not_pass_for_ours() -> None:
    """A node cannot write our `extra` by giving a field of its name."""
    answer = {**results_of(5), "chainflow:extra": "mine"}
    assert decoded(answer).extra == '{"chainflow:extra":"mine"}'


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b"{", b'{"block_id":1}', b"\xff", b"[" * 5000])
def test_what_is_no_answer_is_malformed(body: bytes) -> None:
    """Whatever comes, the error is ours."""
    for decode in (cosmos.decode_block, cosmos.decode_results, cosmos.decode_status):
        with pytest.raises(MalformedAnswer):
            decode(body)


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("17", 17), ("9223372036854775807", 2**63 - 1)]
)
def test_integer_reads_decimal_text(text: str, number: int) -> None:
    """Up to 63 bits."""
    assert cosmos.integer(text, "x") == number


@pytest.mark.parametrize(
    "text", ["", "-", "x", "1.0", "1e3", " 1", "1_0", "\u0661", "0x1", "-1", "9223372036854775808"]
)
def test_integer_refuses_what_is_none(text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(MalformedAnswer, match="x is"):
        cosmos.integer(text, "x")


def test_recorded_status_is_read() -> None:
    """Of both generations of nodes."""
    for where, network, head in (
        ("gaia-local", "ibc-0", 165),
        ("kvstore-v0_34", "dockerchain", 67),
        ("kvstore-v0_38", "dockerchain", 232),
    ):
        status = cosmos.decode_status(msgspec.json.encode(read(f"{where}/status.json")))
        assert status.node_info.network == network
        assert status.sync_info.latest_block_height == str(head)
        assert not status.sync_info.catching_up


def test_recorded_evidence_is_read() -> None:
    """A block with a doubly voting validator."""
    for where in ("kvstore-v0_34", "kvstore-v0_38"):
        found = read(f"{where}/block_search_evidence.json")["blocks"]
        for one in found:
            answer = cosmos.decode_block(json.dumps(one).encode())
            assert answer.block is not None
            assert len(answer.block.evidence.evidence or ()) == 1
