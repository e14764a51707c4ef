"""What is proved of a Tron block before it is handed on: each test tells one lie."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

import pytest

from chainflow.clients import _tron_proof as proof
from chainflow.errors import MalformedAnswer, NotYet
from chainflow.wire import tron as wire
from tests import tron

Json = dict[str, Any]
SENT = [
    tron.transaction(to_address=tron.RECEIVER, amount=5),
    tron.transaction("TriggerSmartContract", contract_address=tron.TOKEN, data="a9059cbb"),
    tron.transaction("CreateSmartContract", new_contract={"call_value": 9}),
]


def checked(block: Json, height: int = tron.HEIGHT) -> wire.Block:
    """The block as the client takes it."""
    found = wire.decode_block(json.dumps(block).encode())
    proof.check_block(found, height)
    return found


@pytest.mark.parametrize("case", tron.odd_blocks())
def test_odd_block_is_proved(case: str) -> None:
    """Every shape that is right passes."""
    made = tron.odd_blocks()[case]
    assert checked(made.block, made.height).block_id == made.block["blockID"]


def test_recorded_transactions_are_proved() -> None:
    """In a block of ours, whose root is over them."""
    made = tron.recordings()
    assert len(checked(made.block, made.height).transactions) == 4


def test_chain_id_is_the_end_of_the_genesis_id() -> None:
    """As java-tron has it for eth_chainId."""
    assert proof.chain_id(checked(tron.genesis(), 0)) == 728126428


def in_header(name: str, value: object) -> Callable[[Json], None]:
    """A lie in the header."""

    def change(block: Json) -> None:
        block["block_header"]["raw_data"][name] = value

    return change


def in_transaction(name: str, value: object) -> Callable[[Json], None]:
    """A lie in the first transaction."""

    def change(block: Json) -> None:
        block["transactions"][0][name] = value

    return change


def in_raw(name: str, value: object) -> Callable[[Json], None]:
    """A lie in what the first transaction's sender signed."""

    def change(block: Json) -> None:
        block["transactions"][0]["raw_data"][name] = value

    return change


def in_value(name: str, value: object, of: int = 0) -> Callable[[Json], None]:
    """A lie in the parameters of a transaction's contract."""

    def change(block: Json) -> None:
        block["transactions"][of]["raw_data"]["contract"][0]["parameter"]["value"][name] = value

    return change


def _contract(block: Json) -> Json:
    contract: Json = block["transactions"][0]["raw_data"]["contract"][0]
    return contract


LIES: dict[str, tuple[Callable[[Json], None], str]] = {
    "id": (lambda b: b.update(blockID="00" * 32), "header's hash gives the id"),
    "parent": (in_header("parentHash", "00" * 32), "header's hash gives the id"),
    "time": (in_header("timestamp", tron.TIME_MS + 1), "header's hash gives the id"),
    "late": (in_header("timestamp", 2**62), "time is 4611686018427387904 ms"),
    "early": (in_header("timestamp", -1), "time is -1 ms"),
    "witness": (in_header("witness_address", tron.OTHER), "header's hash gives the id"),
    "version": (in_header("version", 35), "header's hash gives the id"),
    "state root": (in_header("accountStateRoot", "ac" * 32), "header's hash gives the id"),
    "odd hex": (in_header("witness_address", "414"), "no whole bytes of hex"),
    "height": (in_header("number", 1001), "height 1000: the answer is block 1001"),
    "one less": (lambda b: b["transactions"].pop(), "root over 2 transactions"),
    "none": (lambda b: b.pop("transactions"), "root over 0 transactions"),
    "one twice": (lambda b: b["transactions"].append(b["transactions"][0]), "root over 4"),
    "order": (lambda b: b["transactions"].reverse(), "root over 3 transactions"),
    "signature": (in_transaction("signature", ["00" * 65]), "root over 3 transactions"),
    "result": (in_transaction("ret", [{"contractRet": "REVERT"}]), "root over 3 transactions"),
    "no result": (in_transaction("ret", []), "root over 3 transactions"),
    "unknown result": (in_transaction("ret", [{"contractRet": "FINE"}]), "0: unknown result"),
    "transaction id": (in_transaction("txID", "00" * 32), "transaction 0: its hash is"),
    "raw": (in_transaction("raw_data_hex", "0a02"), "transaction 0: its hash is"),
    "amount": (in_value("amount", 6), "transaction 0: amount is not as in raw_data_hex"),
    "receiver": (in_value("to_address", tron.OTHER), "0: to_address is not"),
    "sender": (in_value("owner_address", tron.OTHER), "0: owner_address is not"),
    "no amount": (in_value("amount", 0), "0: amount is not"),
    "foreign parameter": (in_value("call_value", 5), "0: call_value is not"),
    "called": (in_value("contract_address", tron.OTHER, of=1), "1: contract_address is not"),
    "input": (in_value("data", "a9059cbc", of=1), "1: data is not"),
    "sent along": (in_value("call_value", 1, of=1), "1: call_value is not"),
    "tokens": (in_value("call_token_value", 1, of=1), "1: call_token_value is not"),
    "made with": (in_value("new_contract", {"call_value": 8}, of=2), "2: new_contract.call_value"),
    "made": (in_value("new_contract", {"call_value": 8}), "0: new_contract is not"),
    "expiration": (in_raw("expiration", 1), "0: expiration is not"),
    "reference": (in_raw("ref_block_bytes", "03e8"), "0: ref_block_bytes is not"),
    "memo": (in_raw("data", "00"), "0: data is not"),
    "fee limit": (in_raw("fee_limit", 5), "0: fee_limit is not"),
    "no contract": (in_raw("contract", []), "0: the number of contracts is 0"),
    "type": (lambda b: _contract(b).update(type="VoteWitnessContract"), "0: type is not"),
    "url": (lambda b: _contract(b)["parameter"].update(type_url="x"), "0: type_url is not"),
    "permission": (lambda b: _contract(b).update(Permission_id=2), "0: Permission_id is not"),
}


@pytest.mark.parametrize("lie", LIES)
def test_lie_in_a_block_is_found(lie: str) -> None:
    """Height and transaction are named."""
    change, words = LIES[lie]
    block = copy.deepcopy(tron.block(*SENT))
    assert checked(block)
    change(block)
    with pytest.raises(MalformedAnswer, match=words) as caught:
        checked(block)
    assert str(caught.value).startswith("height 1000: ")


def test_raw_data_that_is_no_message_is_refused() -> None:
    """Though its hash may be right."""
    tx = {**SENT[0], "raw_data_hex": "0a05", "txID": sha256(b"\x0a\x05").hexdigest()}
    with pytest.raises(MalformedAnswer, match="transaction 0: raw_data_hex: no Raw: "):
        checked(tron.block(tx))


def test_unknown_field_of_a_header_is_named_where_the_id_is_wrong() -> None:
    """A new version of Tron may hash what this release does not know."""
    block = tron.block()
    block["blockID"] = "00" * 32
    block["block_header"]["raw_data"]["novelty"] = 1
    with pytest.raises(MalformedAnswer, match=r'unknown here: \{"novelty":1\}'):
        checked(block)


def test_contract_of_an_unknown_kind_is_taken_as_the_node_tells_it() -> None:
    """Nothing is known of where its message has what; type and bytes are proved all the same."""
    block = tron.block(tron.transaction("NovelContract", to_address=tron.OTHER))
    assert checked(block).transactions[0].raw_data.contract[0].type == "NovelContract"


def infos(change: Callable[[list[Json]], None]) -> Sequence[wire.TransactionInfo]:
    """What becomes of a block's infos after a change."""
    block = checked(tron.block(*SENT))
    given = [tron.info(tx, tron.block(*SENT)) for tx in SENT]
    change(given)
    ids = [tx["txID"] for tx in SENT]
    return proof.matched_infos(block, ids, wire.decode_infos(json.dumps(given).encode()))


def test_infos_come_in_the_order_of_the_transactions() -> None:
    """Whatever the node's."""
    assert [info.id for info in infos(list.reverse)] == [tx["txID"] for tx in SENT]


INFO_LIES: dict[str, Callable[[list[Json]], None]] = {
    "one less": lambda given: given.remove(given[0]),
    "one twice": lambda given: given.append(given[0]),
    "one for another": lambda given: given.__setitem__(0, given[1]),
    "stranger": lambda given: given[0].update(id="00" * 32),
    "other height": lambda given: given[0].update(blockNumber=999),
    "other time": lambda given: given[1].update(blockTimeStamp=1),
}


@pytest.mark.parametrize("lie", INFO_LIES)
def test_infos_that_are_not_the_blocks_are_refused(lie: str) -> None:
    """Each transaction has one, and each is of that block."""
    with pytest.raises(MalformedAnswer, match=r"infos are not those of the 3|is of block"):
        infos(INFO_LIES[lie])


def test_no_infos_are_not_yet() -> None:
    """A node has them a moment after the block."""
    with pytest.raises(NotYet, match="no infos for 3 transactions"):
        infos(list.clear)
