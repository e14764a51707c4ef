"""Every endpoint asked by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial

import pytest

from chainflow import board, clients, survey
from chainflow.clients import evm
from chainflow.errors import UnknownConnection
from chainflow.survey import Seen
from chainflow.types import Chain
from tests import fake_node
from tests.fake_node import SOON, FakeNode, chain

TESTNET = replace(fake_node.CHAIN, name="testnet")


def nobody(conn_id: str) -> str:
    """No connection has been set."""
    raise UnknownConnection(conn_id)


def _survey(nodes: Sequence[FakeNode], *words: str, of: Chain = TESTNET) -> list[Seen]:
    """What a survey of these nodes, and of other words of the registry, shows."""

    async def run() -> list[Seen]:
        async with AsyncExitStack() as stack:
            for node in nodes:
                await stack.enter_async_context(node.running())
            named = (*(node.url for node in nodes), *words)
            chains = [replace(of, endpoints=named), replace(of, name="over", status="retired")]
            return await asyncio.to_thread(survey.survey, chains, nobody)

    return asyncio.run(run())


def test_survey_tells_who_lags_and_who_serves_another_chain() -> None:
    """In the registry's order, by host; what may be a key in a URL is nowhere."""
    ahead, behind = FakeNode(chain(40), path="/v1/secret-key"), FakeNode(chain(30))
    stranger = FakeNode(chain(90), chain_id=56)
    first, second, third = _survey([ahead, behind, stranger])
    assert [one.endpoint for one in (first, second, third)] == [
        node.host for node in (ahead, behind, stranger)
    ]
    assert (first.right_chain, first.head, first.behind, first.error) == (True, 39, 0, None)
    assert (second.head, second.behind) == (29, 10)
    assert (first.batches, first.receipts) == (True, True)
    assert first.latency_ms is not None
    assert (third.right_chain, third.head) == (False, None)
    assert "expected chain id 1, got 56" in str(third.error)
    assert "secret-key" not in repr((first, second, third))


def test_survey_tells_what_an_endpoint_lacks() -> None:
    """No batches, no block receipts."""
    (seen,) = _survey([FakeNode(chain(5), batches=False, lacks={"eth_getBlockReceipts"})])
    assert (seen.error, seen.batches, seen.receipts) == (None, False, False)


def test_survey_tells_why_an_endpoint_is_of_no_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is not set is told by its word, a dead host by its error."""
    monkeypatch.setattr(clients, "connect", partial(evm.connect, limits=SOON))
    good, unset, dead = _survey([FakeNode(chain(5))], "conn:nowhere", "http://127.0.0.1:9")
    assert good.error is None
    assert unset.endpoint == "conn:nowhere"
    assert "AIRFLOW_CONN_NOWHERE" in str(unset.error)
    assert dead.endpoint == "127.0.0.1:9"
    assert "cannot connect" in str(dead.error)
    assert survey.useless([good, unset, dead]) == []
    assert survey.useless([unset, dead]) == ["testnet"]


def test_table_of_endpoints_tells_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    """A line each, and the reasons below."""
    rows = [
        Seen("ethereum", "a.example", True, 25_000_000, 0, 80, batches=True, receipts=False),
        Seen("ethereum", "b.example", right_chain=False, error="expected chain id 1, got 56"),
    ]
    board.console().print(board.render_endpoints(rows))
    title, *lines = (" ".join(line.split()) for line in capsys.readouterr().out.splitlines())
    assert title.startswith("BLOCKCHAIN ENDPOINT ")
    assert lines == [
        "ethereum a.example ok 25,000,000 0 80 ms yes no ok",
        "ethereum b.example wrong - - - - - failed",
        "ethereum b.example: expected chain id 1, got 56",
    ]
