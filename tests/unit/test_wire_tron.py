"""A Tron node's JSON as structs: what is required, what is refused, what is kept though unknown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chainflow.errors import MalformedAnswer
from chainflow.wire import _tron_protobuf as protobuf
from chainflow.wire import tron as wire
from chainflow.wire import tron_columns
from tests import tron

Json = Any


def block(given: Json) -> wire.Block:
    """A block out of JSON."""
    return wire.decode_block(json.dumps(given).encode())


def info(**fields: object) -> wire.TransactionInfo:
    """An info with these fields."""
    (found,) = wire.decode_infos(json.dumps([{"id": "00" * 32, **fields}]).encode())
    return found


def test_absent_fields_have_their_defaults() -> None:
    """Protobuf prints no zeros and no empty lists."""
    found = block(tron.block())
    assert found.transactions == []
    assert info().log == []
    assert info().receipt == wire.Receipt()
    assert info().block_number == 0


@pytest.mark.parametrize("answer", [b"[]", b"{}", b" {} \n"])
def test_no_infos_come_in_two_forms(answer: bytes) -> None:
    """`{}` is what a node says of heights up to 0."""
    assert wire.decode_infos(answer) == []


def test_unknown_fields_are_kept_where_they_stand() -> None:
    """Each message has those of its own, as JSON text; its neighbours have none."""
    given = tron.of(
        (tron.transaction(votes=[1]), {"novel": [None]}), (tron.transaction(salt=1), {})
    )
    given.block["block_header"]["raw_data"]["novel"] = 1.50
    found = block(given.block)
    assert tron_columns.sent(found)["value.extra"] == ('{"votes":[1]}', None)
    assert found.header.extra == '{"novel":1.5}'
    assert found.header.number == tron.HEIGHT
    infos = wire.decode_infos(json.dumps(given.infos).encode())
    assert [one.extra for one in infos] == ['{"novel":[null]}', None]


def test_own_key_for_unknown_fields_cannot_be_forged() -> None:
    """A node's field of that name is unknown like any other."""
    assert info(**{"chainflow:extra": "x"}).extra == '{"chainflow:extra":"x"}'


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"fee": 2**63}, "fee"),
        ({"fee": "1"}, "fee"),
        ({"fee": 1.5}, "fee"),
        ({"blockNumber": True}, "blockNumber"),
        ({"contract_address": "0x41"}, "contract_address"),
        ({"contract_address": "41AA"}, "contract_address"),
        ({"contractResult": [None]}, "contractResult"),
        ({"log": None}, "log"),
        ({"log": [{"address": "41" + "aa" * 20}]}, "address: expected 40 digits"),
        ({"log": [{"address": "aa" * 20, "topics": ["00"]}]}, "topics: expected 64 digits"),
        ({"log": [{"address": "aa" * 20, "data": "é"}]}, "data: expected hex"),
        ({"internal_transactions": [{"hash": "1a" * 32, "note": "zz"}]}, "note: expected hex"),
        ({"log": [{"data": ""}]}, "address"),
        ({"result": "FAILED\u0000"}, "result"),
        ({"internal_transactions": [{"hash": "1a" * 32, "callValueInfo": [5]}]}, "callValueInfo"),
        ({"novel": "\u0000"}, r"U\+0000"),
        ({"log": [{"address": "aa" * 20, "novel": "\u0000"}]}, r"U\+0000 .*log\[0\]"),
    ],
)
def test_field_that_is_not_what_it_must_be_is_refused(fields: Json, where: str) -> None:
    """By its path or, where it is a text, by its column."""
    sent = block(tron.block(tron.transaction()))
    with pytest.raises(MalformedAnswer, match=where):
        tron_columns.payload(sent, tron_columns.sent(sent), [info(**fields)])


@pytest.mark.parametrize("text", [rb'"\ud800"', b'"\xff"', rb'"\x"'])
def test_unknown_field_that_is_no_text_is_refused(text: bytes) -> None:
    """PostgreSQL would refuse it later, and tell less."""
    with pytest.raises(MalformedAnswer):
        wire.decode_infos(b'[{"id":"%s","novel":%s}]' % (b"00" * 32, text))


@pytest.mark.parametrize("answer", [b"", b"{", b"5", b"null", b"[[]]", b"[" * 9999])
def test_body_that_is_no_block_is_refused(answer: bytes) -> None:
    """Whatever stands in its place."""
    for decode in (wire.decode_block, wire.decode_infos, wire.decode_header, wire.blocks):
        with pytest.raises(MalformedAnswer):
            decode(answer)


def test_header_is_read_without_the_transactions() -> None:
    """Polling for the height needs none of them, whatever they are."""
    given = {**tron.block(), "transactions": ["not read"]}
    assert wire.decode_header(json.dumps(given).encode()).transactions == []


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [(1, 127), (1, 128), (2, b"")],
        [(3, -1), (3, 2**63 - 1), (3, -(2**63))],
        [(999, b"x" * 300)],
    ],
)
def test_messages_are_written_as_another_way_has_them(pairs: list[tuple[int, int | bytes]]) -> None:
    """Varints of every length, bytes of every length; fields in their order."""
    assert protobuf.message(*pairs) == tron.encoded(*pairs)


@pytest.mark.parametrize("count", range(10))
def test_merkle_root_is_that_of_another_way_to_it(count: int) -> None:
    """An odd leaf moves up as it is."""
    leaves = [bytes([i]) for i in range(count)]
    assert protobuf.merkle_root(leaves).hex() == tron.root(leaves)
