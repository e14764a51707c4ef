"""Audits and repairs beside what else happens: a node that lacks a height, a reorganisation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import Engine

from chainflow import audit, pipeline
from chainflow.audit import _node
from chainflow.errors import MalformedAnswer
from chainflow.store import rewind
from chainflow.store.rewind import Reorg
from chainflow.testing import faults
from chainflow.types import Batch, BlockRange
from tests.contract.test_audit import AT, BLOCKS, OTHER, Stored, first, secret, stored
from tests.dags.nodes import Nodes, frozen


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """A simulated chain whose head stands still."""
    with frozen("ethereum", blocks=BLOCKS) as serving:
        yield serving


@pytest.fixture
def ethereum(nodes: Nodes, engine: Engine, tmp_path: Path) -> Stored:
    """It, synced to its head."""
    return stored(nodes, engine, tmp_path, "ethereum")


def test_merged_heights_above_the_head_are_forgotten_and_the_rest_is_repaired(
    ethereum: Stored,
) -> None:
    """No node has them, so they are no damage that could be read again."""
    before, stop = ethereum.rows(), ethereum.blocks.stop
    ethereum.do(
        "UPDATE chainflow.progress SET merged = merged"
        f" + int8multirange(int8range({stop}, {stop + 50}))",
        first("transactions", ""),
    )
    assert ethereum.repaired(ethereum.audited()) == [(AT, AT + 1)]
    assert ethereum.rows() == before


def test_range_that_cannot_be_read_keeps_no_other_from_being_repaired(ethereum: Stored) -> None:
    """It is told in the end, and is still what it was."""
    height = ethereum.blocks.start + AT
    odd = faults.FAULTS["an altered byte in the header"]
    fault = replace(odd, calls=lambda call: call["params"][:1] == [hex(height)])
    before = ethereum.rows()
    ethereum.do(*(f"DELETE FROM {{c}}.{{t}} WHERE {{h}} = {at}" for at in ("{n}", "{m}")))
    with faults.running(ethereum.chain.endpoints[0], fault) as url:
        chain = replace(ethereum, chain=replace(ethereum.chain, endpoints=(url,)))
        with pytest.raises(MalformedAnswer, match=f"height {height}"):
            chain.repaired(chain.audited())
    found = ethereum.audited()
    assert {blocks for one in found if one.check == "complete" for blocks in one.ranges} == {
        BlockRange(height, height + 1)
    }
    assert ethereum.repaired(found) == [(AT, AT + 1)]
    assert ethereum.rows() == before


@pytest.mark.parametrize("again", [False, True])
def test_rows_that_are_replaced_while_the_node_is_asked_are_no_finding(
    ethereum: Stored, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """Between asking and comparing a run forgets blocks, and may merge others instead."""
    chain, start = ethereum.chain, ethereum.blocks.start + OTHER
    differing = _node._differing

    def beside(engine: Engine, *given: Any) -> Any:  # noqa: ANN401 - passed on
        old = rewind.merged_hash(engine, chain, ethereum.height, start)
        reorg = Reorg(start, old or "", "0xnew")
        rewind.rewind(engine, chain, reorg, height_column=ethereum.height, run_id="beside")
        if again:
            replaced = Batch(BlockRange(start, ethereum.blocks.stop), chain.datasets)
            pipeline.ingest(engine, chain, replaced, secret, run_id="beside")
            ethereum.do("UPDATE {c}.blocks SET size = size + 1 WHERE {h} >= {m}")
        return differing(engine, *given)

    monkeypatch.setattr(_node, "_differing", beside)
    assert ethereum.audited(node=True) == []
    monkeypatch.undo()
    ethereum.do(first("blocks", "size = size + 1"))
    found = audit.audit(ethereum.engine, chain, connection=secret)
    at = ethereum.blocks.start + AT
    assert {one.check for one in found} == {"as_the_node"}
    assert BlockRange(at, at + 1) in found[0].ranges
