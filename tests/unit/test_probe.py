"""What a node is asked, and the entry that follows from its answers."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from chainflow import cli, clients, lookup, probe, registry
from chainflow.clients import Probed
from chainflow.endpoints import Endpoint
from chainflow.errors import NodeUnavailable, RequestRefused
from chainflow.types import Chain, Heights
from tests.fake_node import FAST, FakeNode, chain, error, http, refused, say

FOUND = probe.Found(
    "evm",
    Probed(chain_id=1, batches=True, receipts=True),
    Heights(100, 90),
    "finalized",
    "roots",
    5.04,
)
URL = "http://127.0.0.1:8545/rpc"


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that retry in milliseconds."""

    def connect(
        chain: Chain, endpoints: Sequence[Endpoint]
    ) -> AbstractAsyncContextManager[clients.Client]:
        opened: AbstractAsyncContextManager[clients.Client] = lookup.module(
            "clients", chain.family
        ).connect(chain, endpoints, FAST)
        return opened

    monkeypatch.setattr(clients, "connect", connect)


def probed(node: FakeNode) -> probe.Found:
    """What the node is found to be."""

    async def work() -> probe.Found:
        async with node.running():
            return await probe.probe(node.endpoint)

    return asyncio.run(work())


def validated(text: str, folder: Path) -> dict[str, object]:
    """The entry of a printed text, once a registry that holds it was found sound."""
    file = folder / "chains.yaml"
    file.write_text(f"chains:\n{text}\n")
    registry.load(file)
    return dict(next(iter(yaml.safe_load(text).values())))


def test_probe_tells_what_an_evm_node_is() -> None:
    """Family, chain id, heights, the tag it serves, its rate, batches and receipts."""
    found = probed(FakeNode(chain(100), chain_id=4711, tags={"finalized": 80, "safe": 90}))
    assert (found.family, found.said.chain_id) == ("evm", 4711)
    assert (found.heights, found.tag) == (Heights(99, 80), "finalized")
    assert found.blocks_per_minute == pytest.approx(5.0)
    assert (found.said.batches, found.said.receipts) == (True, True)


def test_probe_tells_how_far_blocks_can_be_proven(tmp_path: Path) -> None:
    """A node whose hashes are its own invention needs `verify: none`, and the entry says so."""
    found = probed(FakeNode(chain(9), tags={"finalized": 5}))
    assert found.verify == "none"
    assert any("height 8" in note for note in found.notes)
    assert validated(probe.entry(found, URL, "mychain"), tmp_path)["verify"] == "none"


def test_probe_tells_what_a_poor_node_lacks() -> None:
    """No batches, no block receipts, no finality tag: each is told, none is an error."""
    found = probed(FakeNode(chain(3), batches=False, lacks=["eth_getBlockReceipts"]))
    assert (found.said.batches, found.said.receipts, found.tag) == (False, False, None)
    assert found.blocks_per_minute == pytest.approx(5.0)


def test_probe_takes_the_next_tag_where_finalized_is_not_served() -> None:
    """`safe` is better than a depth of somebody's choice."""
    assert probed(FakeNode(chain(9), tags={"safe": 5})).tag == "safe"


def test_probe_of_a_chain_with_one_block_knows_no_rate() -> None:
    """The rest is told all the same."""
    found = probed(FakeNode(chain(1), tags={"finalized": 0}))
    assert found.blocks_per_minute is None
    assert found.heights == Heights(0, 0)


def test_probe_tells_why_no_block_could_be_read() -> None:
    """A node whose blocks are nonsense is found, with the reason as a note."""
    node = FakeNode(chain(9))
    node.chain.blocks[8] = {"number": "0x8", "hash": "0x12"}
    found = probed(node)
    assert found.blocks_per_minute is None
    assert "height 8" in found.notes[0]


@pytest.mark.parametrize(
    "reaction", [http(404, "no such path"), say(error(-32601, "no such method")), http(200, "<p>")]
)
def test_probe_of_something_else_tells_what_each_family_got(reaction: object) -> None:
    """What answers, but as none of ours, is one error that names every family."""
    node = FakeNode(chain(9))
    node.react(reaction, method="eth_chainId", times=math.inf)  # type: ignore[arg-type]
    with pytest.raises((RequestRefused, NodeUnavailable)) as caught:
        probed(node)
    assert "\n" not in str(caught.value)
    assert node.host in str(caught.value)


def test_probe_of_a_dead_node_says_so_once() -> None:
    """Every family meets the same refusal: it is told once, with the host and without the path."""
    endpoint = refused("/v1/secret-api-key")
    with pytest.raises(NodeUnavailable) as caught:
        asyncio.run(probe.probe(endpoint))
    assert str(caught.value).startswith(f"{endpoint.host}: cannot connect")
    assert "secret" not in str(caught.value)
    assert str(caught.value).count("cannot connect") == 1


def test_probe_gives_up_a_node_that_never_answers(
    black_hole: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket that takes the question and says nothing is an error after the time allowed."""
    monkeypatch.setattr(probe, "_SECONDS", 0.3)
    with pytest.raises(NodeUnavailable, match=r"no answer within 0\.3 s"):
        asyncio.run(probe.probe(black_hole))


@pytest.fixture
def black_hole() -> Iterator[Endpoint]:
    """Somewhere one can connect to and never hears of."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield Endpoint("hole", f"http://127.0.0.1:{listening.getsockname()[1]}")


def test_entry_is_one_that_validate_takes(tmp_path: Path) -> None:
    """What is printed needs no edit; facts stand in comments."""
    text = probe.entry(FOUND, URL, "mychain")
    entry = validated(text, tmp_path)
    assert entry["chain_id"] == 1
    assert entry["blocks_per_minute"] == 5.0
    assert entry["endpoints"] == [URL]
    assert entry["finality"] == "finalized"
    assert "finalized 90, 10 behind, batches: yes, block receipts: yes" in text


def test_entry_of_a_node_that_told_little_is_valid_too(tmp_path: Path) -> None:
    """No rate and no tag leave values to correct, and comments that say so."""
    said = Probed(chain_id="tiny-1", lowest=7, notes=("it is still catching up",))
    found = probe.Found("evm", said, Heights(9, None), None, None, None)
    text = probe.entry(found, "env:NODE", "mychain")
    entry = validated(text, tmp_path)
    assert (entry["chain_id"], entry["start"]) == ("tiny-1", 7)
    assert entry["finality"] == {"confirmations": 64}
    for told in ("choose the confirmations", "correct blocks_per_minute", "still catching up"):
        assert told in text


def test_entry_of_a_family_that_is_asked_by_grpc_keeps_its_url(tmp_path: Path) -> None:
    """Other families' entries may not have such a URL."""
    word = "grpcs://fullnode.example:443"
    text = probe.entry(replace(FOUND, family="sui"), word, "mychain")
    assert validated(text, tmp_path)["endpoints"] == [word]


@pytest.mark.parametrize(
    ("word", "plain"),
    [
        ("conn:ethereum_rpc", True),
        ("env:NODE_URL", True),
        ("https://api.avax.network/ext/bc/C/rpc", True),
        ("https://rpc.example/ethereum_mainnet", True),
        ("https://node.example/v3/0123456789abcdef0123456789abcdef", False),
        ("https://node.example/a1b2c3d4e5", False),
        ("https://node.example/SECRETSECRETSECRETSECRET", False),
        ("https://node.example/rpc?apikey=SECRET", False),
        ("https://me:SECRET@node.example", False),
        ("https://SECRET@node.example/rpc", False),
        ("https://node.example/rpc#SECRET", False),
    ],
)
def test_entry_never_holds_what_may_be_a_key(word: str, plain: bool, tmp_path: Path) -> None:
    """Such a URL becomes a connection, and the comment names its variable."""
    text = probe.entry(FOUND, word, "mychain")
    assert (word in text) == plain
    assert ("AIRFLOW_CONN_MYCHAIN_RPC" in text) != plain
    assert "SECRET" not in text
    assert validated(text, tmp_path)["endpoints"] == [word if plain else "conn:mychain_rpc"]


def test_every_family_can_be_probed_for() -> None:
    """Each client of ours also knows how to recognise its nodes."""
    assert set(clients.probes()) == set(lookup.names("clients"))


def test_probe_with_a_word_too_many_keeps_its_keys(capsys: pytest.CaptureFixture[str]) -> None:
    """What click quotes of the words it refuses holds no URL."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["probe", "http://127.0.0.1:1/", "https://node.example/SECRET"])
    assert ended.value.code == 2
    assert "SECRET" not in capsys.readouterr().err
