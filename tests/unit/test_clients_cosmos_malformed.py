"""Whatever a node says in place of a right answer: the truth is given out, or an error of ours.

What a header proves must come out as the chain made it. Events, logs and a few fields more are in
no hash: there the rows must hold exactly what the node said.
"""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from chainflow import datasets
from chainflow.clients import _cosmos_hashes as hashes
from chainflow.clients import _cosmos_span as spans
from chainflow.errors import ChainflowError, MalformedAnswer, NotYet, WorkError
from chainflow.types import BlockRange, RawBlock
from tests import cosmos_truth
from tests.contract.malformed import Mutation, mutations
from tests.cosmos import ALL, Recorded, block, raw, recordings
from tests.cosmos_node import FakeNode, chain, fetch, made_answers
from tests.fake_node import SOON

Row = dict[str, Any]
DATASETS = datasets.get("cosmos", (*ALL, "cctp_messages"))
# Of a block, what its header does not prove; of a transaction, what the next header proves.
UNPROVEN = {"parts_hash", "parts_total", "evidence", "extra"}
RESULTS = ("code", "gas_wanted", "gas_used", "result_data")


@dataclass(frozen=True)
class Case:
    """A height whose answers are to be changed."""

    recorded: Recorded
    base64_events: bool

    def rows(self, block: Any, results: Any) -> dict[str, list[Row]]:  # noqa: ANN401 - any JSON
        """What answers like these mean."""
        return cosmos_truth.rows(block, results, base64_events=self.base64_events)

    @cached_property
    def above(self) -> RawBlock:
        """The block above, as far as it proves this one."""
        right = self.recorded.raw()
        results = hashes.results_hash(right.payload.results.txs_results or ())
        id_ = {"hash": right.hash, "parts": {"total": 1, "hash": "DC" * 32}}
        proof = results.hex().upper()
        return raw(block(right.height + 1, last_block_id=id_, last_results_hash=proof), None)

    def taken(self, block: bytes, results: bytes) -> RawBlock:
        """What the client makes of two answers, the block above being as the chain has it."""
        height = self.recorded.height
        span = spans.Span(
            BlockRange(height, height + 1),
            None,
            None,
            results=True,
            verify="roots",
            above=self.above,
        )
        span.kept[spans._BLOCK, height] = msgspec.Raw(block)
        span.kept[spans._RESULTS, height] = msgspec.Raw(results)
        span.whole[height] = spans._whole(span, height)
        for _, trouble in spans._disprove(span):
            raise trouble
        return span.whole[height]


HEIGHT = 200_000_000


def _made(network: str, height: int = HEIGHT, before: int = 0) -> Case:
    answers = made_answers(network, height, before=before)
    return Case(Recorded(network, height, *answers), base64_events=False)


# The smallest recorded one with a transaction; later dialects are the devnet's.
CASES = {
    "0.34": Case(next(r for r in recordings() if str(r) == "crypto-org-chain-mainnet-1-439"), True),
    "0.37": _made("injective-1"),
    "0.38": _made("dydx-mainnet-1"),
    # One that has a transfer to another chain, and one from there.
    "bridge": _made("noble-1", 200_000_022, before=2),
}
every_case = pytest.mark.parametrize("name", CASES)
often = settings(max_examples=80, deadline=None)


def tables(block: RawBlock) -> dict[str, list[Row]]:
    """The decoded rows, in the types of PostgreSQL."""
    from tests.contract.test_recorded_cosmos import arrow_rows

    return {d.name: arrow_rows(d, d.decode([block])) for d in DATASETS}


def without_extra(rows: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """The rows without `extra`, which holds whatever key was invented."""
    return {n: [{k: v for k, v in r.items() if k != "extra"} for r in t] for n, t in rows.items()}


def bridge_events(results: Any) -> list[Any]:  # noqa: ANN401 - any JSON
    """The events of CCTP in an answer."""
    events = [event for one in results["txs_results"] or () for event in one["events"] or ()]
    return [event for event in events if event["type"].startswith("circle.cctp")]


def assert_as_said(bridged: list[Row], events: list[Row]) -> None:
    """The rows of cctp_messages are in their columns' bounds, and what their events say."""
    for row in bridged:
        (event,) = [one for one in events if one["event_index"] == row["log_index"]]
        said = {a["key"]: json.loads(a["value"]) for a in event["attributes"] if a["value"]}
        assert re.fullmatch("[0-9]+", str(said["amount"]), re.ASCII)
        assert row["amount"] == int(said["amount"]) < 2**256
        assert not any("\0" in value for value in row.values() if isinstance(value, str))
        assert 0 <= (row["source_domain"] or 0) < 2**32
        if row["direction"] == "burn":
            assert row["message_nonce"] == str(int(said["nonce"]))
            assert row["from_address"] == said["depositor"]
            assert row["destination_domain"] == said.get("destination_domain", 0)
        else:
            assert row["token_address"] == said["mint_token"]


def assert_nothing_wrong(case: Case, block: bytes, results: bytes) -> None:
    """The rows that come of two answers are proven, or what was said where no hash is."""
    original = case.rows(case.recorded.block, case.recorded.results)
    try:
        (block + results).decode()  # as _jsonrpc.py does
        found = tables(case.taken(block, results))
    except (MalformedAnswer, NotYet, UnicodeDecodeError):
        return
    said = case.rows(json.loads(block), json.loads(results))
    assert_as_said(found.pop("cctp_messages"), said["events"])
    assert without_extra(found) == without_extra(said)
    (header,), (proven,) = found["blocks"], original["blocks"]
    unproven = UNPROVEN | {k for k in header if k.endswith("_updates")}
    unproven |= {"event_count", "results_app_hash"}
    assert {k: v for k, v in header.items() if k not in unproven} == {
        k: v for k, v in proven.items() if k not in unproven
    }
    for one, right in zip(found["transactions"], original["transactions"], strict=True):
        assert one["raw"] == right["raw"]
        assert [one[name] for name in RESULTS] == [right[name] for name in RESULTS]


@every_case
def test_the_recorded_answers_are_taken(name: str) -> None:
    """Unchanged they pass, so that a refusal below is a refusal of the change."""
    case = CASES[name]
    answers = [json.dumps(part).encode() for part in (case.recorded.block, case.recorded.results)]
    found = tables(case.taken(*answers))
    bridged = found.pop("cctp_messages")
    assert found == case.rows(case.recorded.block, case.recorded.results)
    assert_as_said(bridged, found["events"])
    assert [row["direction"] for row in bridged] == (["mint", "burn"] if name == "bridge" else [])


@every_case
def test_a_changed_block_makes_no_wrong_row(name: str) -> None:
    """Keys dropped, nulls, other types, huge numbers, cut and garbled bodies."""
    case = CASES[name]
    results = json.dumps(case.recorded.results).encode()

    @often
    @given(mutations(case.recorded.block))
    def holds(mutation: Mutation) -> None:
        assert_nothing_wrong(case, mutation.body, results)

    holds()


@every_case
def test_changed_results_make_no_wrong_row(name: str) -> None:
    """The same of the results, with the next header as the chain has it."""
    case = CASES[name]
    block = json.dumps(case.recorded.block).encode()

    @often
    @given(mutations(case.recorded.results))
    def holds(mutation: Mutation) -> None:
        assert_nothing_wrong(case, block, mutation.body)

    holds()


def test_changed_values_of_the_bridge_make_no_wrong_row() -> None:
    """They are JSON inside an event's text, and in no hash: a row says the same, or is none."""
    case = CASES["bridge"]
    block = json.dumps(case.recorded.block).encode()
    typed = [
        {a["key"]: json.loads(a["value"]) for a in event["attributes"]}
        for event in bridge_events(case.recorded.results)
    ]

    @settings(max_examples=300, deadline=None)
    @given(mutations(typed))
    def holds(mutation: Mutation) -> None:
        results = copy.deepcopy(case.recorded.results)
        said = mutation.document
        if not isinstance(said, list) or not all(isinstance(one, dict) for one in said):
            return
        for event, values in zip(bridge_events(results), said, strict=False):
            event["attributes"] = [
                {"key": key, "value": json.dumps(value), "index": True}
                for key, value in values.items()
            ]
        assert_nothing_wrong(case, block, json.dumps(results).encode())

    holds()


def test_a_changed_reply_is_the_same_block_or_an_error_that_says_where() -> None:
    """Over HTTP, the envelope changed as well: chain, heights and endpoint stand in each error."""
    one = chain(8)
    asked = [
        {"jsonrpc": "2.0", "id": i, "method": method, "params": {"height": "5"}}
        for i, method in enumerate(("block", "block_results"), 1)
    ]
    reply = json.loads(one.respond(json.dumps(asked).encode()))
    (right,) = fetch([FakeNode(one)], BlockRange(5, 6))

    @settings(max_examples=25, deadline=None)
    @given(mutations(reply))
    def holds(mutation: Mutation) -> None:
        node = FakeNode(one)
        node.says(200, mutation.body, height=5, times=float("inf"))
        said = ""
        try:
            (block,) = fetch([node], BlockRange(5, 6), limits=SOON)
        except WorkError as error:
            said = str(error)
        else:
            assert (block.hash, block.parent_hash) == (right.hash, right.parent_hash)
            assert block.payload.block.data == right.payload.block.data
        assert not said or re.match(r"testchain \[5, 6\): 127\.0\.0\.1:\d+: ", said)

    holds()


def test_the_errors_of_tables_say_dataset_and_height() -> None:
    """What no client check refuses and no column holds: U+0000 where nobody but a node writes."""
    case = CASES["0.38"]
    results = {**case.recorded.results, "validator_updates": ["\0"]}
    block = case.taken(json.dumps(case.recorded.block).encode(), json.dumps(results).encode())
    with pytest.raises(ChainflowError, match=r"height 200000000: blocks\.validator_updates: "):
        tables(block)
