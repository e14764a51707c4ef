"""An endpoint whose blocks are not what they say: refused, told, and another one asked."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import pytest

from chainflow.errors import MalformedAnswer
from chainflow.types import BlockRange, Chain, Verify
from tests import evm, fake_node
from tests.fake_node import SOON, FakeChain, FakeNode, edit, fetch

SONIC = Chain("sonic", "evm", 146, 100.0)
RUN = BlockRange(1_000_000, 1_000_007)
BLOCK, RECEIPTS = "eth_getBlockByNumber", "eth_getBlockReceipts"
ALWAYS = float("inf")


def _sonic() -> FakeNode:
    """A node with a run of recorded blocks."""
    made = FakeChain()
    for height in RUN:
        one = evm.recorded("sonic", height)
        made.blocks[height], made.receipts[height] = one.block, one.receipts or []
    return FakeNode(made, chain_id=146)


def _liar(method: str, change: Callable[[fake_node.Json], fake_node.Json]) -> FakeNode:
    node = _sonic()
    node.react(edit(change, method=method, height=RUN.start + 3), method=method, times=ALWAYS)
    return node


def _poorer(block: fake_node.Json) -> fake_node.Json:
    first, *others = block["transactions"]
    return {**block, "transactions": [{**first, "value": "0x7"}, *others]}


def _forgetful(receipts: fake_node.Json) -> fake_node.Json:
    return [{**one, "logs": one["logs"][:-1]} for one in receipts]


LIES: dict[str, tuple[str, Callable[[fake_node.Json], fake_node.Json], str]] = {
    "header": (BLOCK, fake_node.puts(gasUsed="0x7"), "the block's hash is 0x"),
    "transaction": (BLOCK, _poorer, "the hash of transaction 0 is 0x"),
    "receipts": (RECEIPTS, _forgetful, "receiptsRoot is 0x"),
}


@pytest.mark.parametrize("lie", LIES)
def test_lone_endpoint_that_lies_ends_in_an_error(lie: str) -> None:
    """It names chain, endpoint and height, what was expected and what came."""
    method, change, words = LIES[lie]
    node = _liar(method, change)
    with pytest.raises(MalformedAnswer) as raised:
        fetch([node], RUN, of=SONIC)
    said = str(raised.value)
    assert said.startswith(f"sonic [1000001, 1000006): {node.host}: height 1000003: {words}")


@pytest.mark.parametrize("lie", LIES)
def test_another_endpoint_is_asked_and_the_lie_is_told(
    lie: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What comes is what an honest endpoint alone gives."""
    method, change, words = LIES[lie]
    liar, honest = _liar(method, change), _sonic()
    with caplog.at_level(logging.WARNING):
        found = fetch([liar, honest], RUN, of=SONIC)
    assert found == fetch([_sonic()], RUN, of=SONIC)
    assert [call["params"][0] for call in liar.calls(BLOCK)].count(hex(RUN.start + 3)) == 1
    (told,) = caplog.messages
    prefix = f"refused block chain=sonic height=1000003 endpoint={liar.host} reason=height 1000003:"
    assert told.startswith(f"{prefix} {words}")


def test_only_the_refused_height_is_asked_again() -> None:
    """The blocks beside it that are proven stay."""
    method, change, _ = LIES["receipts"]
    liar, honest = _liar(method, change), _sonic()
    fetch([liar, honest], RUN, of=SONIC)
    assert [call["params"][0] for call in honest.calls(BLOCK)] == [hex(RUN.start + 3)]
    assert [call["params"][0] for call in honest.calls(RECEIPTS)] == [hex(RUN.start + 3)]


def test_endpoint_that_lied_is_asked_last() -> None:
    """It has lost trust: what follows is asked of the other one first."""
    liar, honest = _liar(*LIES["receipts"][:2]), _sonic()
    limits = replace(fake_node.FAST, calls_per_request=2, requests_in_flight=1)
    found = fetch([liar, honest], RUN, of=SONIC, limits=limits)
    assert [block.height for block in found] == list(RUN)
    heights = {int(call["params"][0], 16) for call in liar.calls(BLOCK)}
    assert max(heights) < RUN.last
    assert RUN.last in {int(call["params"][0], 16) for call in honest.calls(BLOCK)}


def test_blocks_without_receipts_are_proven_too() -> None:
    """Where only `blocks` are wanted, their headers and transactions are still held to account."""
    with pytest.raises(MalformedAnswer, match="the hash of transaction 0"):
        fetch([_liar(BLOCK, _poorer)], RUN, ("blocks",), of=SONIC)


@pytest.mark.parametrize("verify", ["hashes", "none"])
def test_registry_may_ask_for_less(verify: Verify) -> None:
    """What the chain's entry does not want proven is taken as it comes."""
    found = fetch([_liar(BLOCK, _poorer)], RUN, of=replace(SONIC, verify=verify))
    assert found[3].payload.transactions["value"][0].as_py() == "0x7"


def test_chain_of_an_unknown_form_is_told_what_to_set() -> None:
    """Its hashes are no headers': a lie of all its endpoints would look the same."""
    node = FakeNode(fake_node.chain(3))
    with pytest.raises(MalformedAnswer, match=r"header cannot be hashed: a field .* missing"):
        fetch([node], BlockRange(0, 3), of=replace(fake_node.CHAIN, verify="roots"), limits=SOON)
    words = ("stateRoot", "transactionsRoot", "receiptsRoot", "mixHash", "sha3Uncles")
    filled = dict.fromkeys(words, "0x" + "5e" * 32)
    filled |= dict.fromkeys(("difficulty", "gasLimit", "gasUsed"), "0x0")
    filled |= {"miner": evm.SENDER, "nonce": "0x", "extraData": "0x", "logsBloom": "0x"}
    node.react(edit(fake_node.puts(**filled), method=BLOCK), times=ALWAYS)
    with pytest.raises(MalformedAnswer, match="the same, this chain needs `verify: none`"):
        fetch([node], BlockRange(0, 3), of=replace(fake_node.CHAIN, verify="hashes"), limits=SOON)
