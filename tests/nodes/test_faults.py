"""Every fault of the proxy before a node: the tables hold the node's own rows, or none.

In front of the devnet everywhere, and of anvil where it is installed.
"""

from __future__ import annotations

import random
import shutil
import ssl
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count, cycle
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from chainflow import clients, pipeline, poll
from chainflow.clients import evm
from chainflow.endpoints import connection_from_environment as no_connection
from chainflow.errors import (
    AnswerTooLarge,
    MalformedAnswer,
    NodeUnavailable,
    NotYet,
    RateLimited,
    RequestRefused,
    WorkError,
    WrongChain,
)
from chainflow.testing import anvil, faults
from chainflow.testing.faults import FAULTS
from chainflow.types import Chain
from tests import soak, truth
from tests.dags.nodes import frozen
from tests.fake_node import FAST

BLOCKS = 16
DATASETS = ("blocks", "transactions", "logs", "token_transfers", "withdrawals")
PATIENT = replace(
    FAST, request_seconds=0.5, deadline_seconds=30.0, heights_seconds=30.0, body_bytes=2**22
)
# The pause before a second attempt would end beyond every deadline.
HASTY = replace(PATIENT, request_seconds=1.0, backoff_seconds=60.0, backoff_max_seconds=60.0)

# How a run ends whose only endpoint answers so always; None: as if nothing were wrong.
ENDS: dict[str, type[WorkError] | None] = {
    "429 with Retry-After": RateLimited,
    "429 without Retry-After": RateLimited,
    "401": RequestRefused,
    "500": NodeUnavailable,
    "502 HTML page": NodeUnavailable,
    "503 with Retry-After": RateLimited,
    "redirect": RequestRefused,
    "HTML page": NodeUnavailable,
    "empty body": NodeUnavailable,
    "cut body": NodeUnavailable,
    "cut between chunks": NodeUnavailable,
    "cut gzip": NodeUnavailable,
    "no gzip": NodeUnavailable,
    "slow drip": NodeUnavailable,
    "no answer": NodeUnavailable,
    "connection reset": NodeUnavailable,
    "no HTTP": NodeUnavailable,
    "huge body": AnswerTooLarge,
    "gzip bomb": AnswerTooLarge,
    "two documents": NodeUnavailable,
    "invalid UTF-8": NodeUnavailable,
    "NUL in a text": MalformedAnswer,
    "deep JSON": NodeUnavailable,
    "batch out of order": None,
    "batch too short": None,
    "single error for a batch": None,
    "single answer for a batch": None,
    "wrong id": NodeUnavailable,
    "duplicate id": MalformedAnswer,
    "shifted id": MalformedAnswer,
    "null id": NodeUnavailable,
    "id as text": None,
    "neither result nor error": NodeUnavailable,
    "rate limit as an error": RateLimited,
    "internal error": NodeUnavailable,
    "null block": NotYet,
    "null receipts": NotYet,
    "a null among receipts": NotYet,
    "no receipts": NotYet,
    "a receipt too few": MalformedAnswer,
    "a receipt too many": MalformedAnswer,
    "receipts out of order": MalformedAnswer,
    "empty logs": MalformedAnswer,
    "empty logs and bloom": MalformedAnswer,
    "a log too few": MalformedAnswer,
    "stale head": None,
    "a head beyond 64 bits": MalformedAnswer,
    "a head of 4000 digits": MalformedAnswer,
    "another chain id": WrongChain,
    "another height's block": MalformedAnswer,
    "another block's receipts": MalformedAnswer,
    "another block's receipts, disguised": MalformedAnswer,
    "a dropped transaction": MalformedAnswer,
    "a dropped transaction, its receipt there": MalformedAnswer,
    "an altered byte in the block's hash": MalformedAnswer,
    "an altered byte in the parent's hash": MalformedAnswer,
    "an altered byte in the header": MalformedAnswer,
    "an altered byte in a transaction": MalformedAnswer,
    "an altered byte in a transaction's hash": MalformedAnswer,
    "an altered byte in a receipt": MalformedAnswer,
    "an altered byte in a log": MalformedAnswer,
    "a missing field": MalformedAnswer,
    "a field of another type": MalformedAnswer,
    "a number beyond 64 bits": MalformedAnswer,
    "a number of 400 digits": MalformedAnswer,
    "a time beyond all calendars": MalformedAnswer,
}
# Said once by the only endpoint, these end the run: asking again is for a person to decide.
FOR_GOOD = {"401", "redirect", "another chain id", "huge body", "gzip bomb"}
# Each of these costs half a second and more.
SLOW = {"slow drip", "no answer", "gzip bomb", "429 with Retry-After", "503 with Retry-After"}


def every(*, but: Collection[str] = ()) -> pytest.MarkDecorator:
    """One test for each fault."""
    return pytest.mark.parametrize("fault", [name for name in FAULTS if name not in but])


@dataclass(frozen=True, slots=True)
class Subject:
    """A node, its chain's entry, and the rows of an undisturbed run."""

    url: str
    chain: Chain
    rows: truth.Rows

    @property
    def heights(self) -> set[int]:
        """What an undisturbed run merges."""
        return {height for height, _ in self.rows["blocks"]}

    def at(self, *urls: str) -> Chain:
        """The entry with these endpoints."""
        return replace(self.chain, endpoints=urls)


@contextmanager
def a_devnet() -> Iterator[tuple[str, Chain]]:
    """A simulated ethereum, its first blocks recorded ones, its head standing still."""
    with frozen("ethereum", blocks=BLOCKS) as nodes:
        first = nodes.simulations["ethereum"].first
        yield f"{nodes.url}/ethereum", Chain("devnet", "evm", 1, 5.0, start=first)


@contextmanager
def an_anvil() -> Iterator[tuple[str, Chain]]:
    """A real node whose blocks have some transfers each."""
    if anvil.find() is None and shutil.which("npm") is None:
        pytest.skip("node and npm are not installed here")
    with anvil.start("--no-mining") as node:
        token = node.deploy_token()
        for height in range(2, BLOCKS):
            for value in range(1, 4):
                node.transfer(token, 2 * height * value)
            node.mine()
        yield node.url, Chain("anvil", "evm", 31337, 5.0)


@pytest.fixture(scope="module", params=[a_devnet, an_anvil])
def node(request: pytest.FixtureRequest, shared_engine: Engine) -> Iterator[Subject]:
    """A node whose blocks have transactions and logs, and what the tables must hold of it."""
    with request.param() as (url, chain):
        entry = replace(chain, finality_tag="finalized", datasets=DATASETS, endpoints=(url,))
        sync(shared_engine, entry)
        yield Subject(url, entry, truth.rows(shared_engine, entry))


# Elsewhere it would be the same once more, and cost as much.
on_the_devnet = pytest.mark.parametrize("node", [a_devnet], indirect=True)


@pytest.fixture
def engine(shared_engine: Engine, node: Subject) -> Engine:
    """A store with nothing of the node's chain in it."""
    truth.forget(shared_engine, node.chain)
    return shared_engine


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients ask again until it works, after milliseconds."""
    monkeypatch.setattr(clients, "connect", partial(evm.connect, limits=PATIENT))


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients give up after one attempt."""
    monkeypatch.setattr(clients, "connect", partial(evm.connect, limits=HASTY))


def sync(engine: Engine, chain: Chain) -> None:
    """Merge all that is final by what the chain's endpoints say."""
    seen = poll.observe(engine, chain, no_connection)
    blocks = pipeline.wanted_range(chain, seen)
    assert blocks is not None
    pipeline.sync(engine, chain, blocks, no_connection, run_id="test")


def assert_whole(engine: Engine, node: Subject, *, stale: bool = False) -> None:
    """The tables hold all that is final, row for row; if need be after the next, honest run."""
    found = truth.assert_only(engine, node.chain, node.rows)
    if stale:
        assert found < node.heights
        sync(engine, node.at(node.url))
        found = truth.assert_only(engine, node.chain, node.rows)
    assert found == node.heights


def test_every_fault_has_its_end() -> None:
    """No fault is without a test, and they are at least twenty-five kinds."""
    assert set(ENDS) == set(FAULTS)
    assert len(FAULTS) >= 25


def test_the_nodes_are_rich_enough(node: Subject) -> None:
    """What a fault shall leave out must be there."""
    for dataset in ("transactions", "logs", "token_transfers"):
        per_height = [height for height, _ in node.rows[dataset]]
        assert len(per_height) > 2 * len(set(per_height)) > BLOCKS


@every(but={name for name, error in ENDS.items() if error is None})
@pytest.mark.usefixtures("hasty")
def test_a_fault_that_lasts_is_told_and_none_of_it_is_merged(
    node: Subject, engine: Engine, fault: str
) -> None:
    """The error names chain and endpoint, in one short line; sound blocks before it are merged."""
    with faults.running(node.url, FAULTS[fault]) as url, pytest.raises(WorkError) as ended:
        sync(engine, node.at(url))
    assert type(ended.value) is ENDS[fault]
    assert str(ended.value).startswith(f"{node.chain.name} ")
    assert url.split("/")[2] in str(ended.value)
    assert len(str(ended.value)) < 1000
    assert truth.assert_only(engine, node.chain, node.rows) < node.heights


@pytest.mark.parametrize("fault", [name for name, error in ENDS.items() if error is None])
@pytest.mark.usefixtures("patient")
def test_a_fault_that_does_no_harm_is_lived_with(node: Subject, engine: Engine, fault: str) -> None:
    """However long it lasts, what is merged is the node's own."""
    with faults.running(node.url, FAULTS[fault]) as url:
        sync(engine, node.at(url))
    assert_whole(engine, node, stale=fault == "stale head")


@on_the_devnet
@every(but=FOR_GOOD)
@pytest.mark.usefixtures("patient")
def test_a_fault_that_passes_is_asked_again(node: Subject, engine: Engine, fault: str) -> None:
    """Said twice between honest answers, of the heights or of blocks, it leaves no trace."""
    schedule = [None, FAULTS[fault], None, FAULTS[fault]]
    with faults.running(node.url, schedule) as url:
        sync(engine, node.at(url))
    assert_whole(engine, node, stale=fault == "stale head")


@on_the_devnet
@pytest.mark.usefixtures("hasty")
def test_a_redirect_is_told_with_what_to_do_and_no_key(
    node: Subject, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the endpoint's key nor the path that it is sent to is in the error or a log."""
    caplog.set_level("DEBUG", "chainflow")
    with faults.running(node.url, FAULTS["redirect"]) as url:
        keyed = f"{url}/v2/the-own-key?token=the-own-key"
        with pytest.raises(RequestRefused, match="HTTP 307: a redirect to http, host 127") as told:
            sync(engine, node.at(keyed))
    assert "put the address it leads to into the chain's endpoints" in str(told.value)
    assert "endpoint=127.0.0.1:" in caplog.text
    assert not [word for word in ("own-key", "another-key") if word in f"{told.value}{caplog.text}"]


@on_the_devnet
@every()
@pytest.mark.usefixtures("patient")
def test_a_fault_beside_an_honest_endpoint_costs_no_row(
    node: Subject, engine: Engine, fault: str
) -> None:
    """The other endpoint is asked for whatever the first gets wrong, and for its heights anyway."""
    with faults.running(node.url, FAULTS[fault]) as url:
        sync(engine, node.at(url, node.url))
    assert_whole(engine, node)


@pytest.mark.usefixtures("patient")
def test_a_node_that_flaps_between_two_heights_ends_whole(node: Subject, engine: Engine) -> None:
    """Every second answer comes from a backend behind the other."""
    with faults.running(node.url, cycle([None, FAULTS["stale head"]])) as url:
        sync(engine, node.at(url))
        assert truth.assert_only(engine, node.chain, node.rows)
    sync(engine, node.at(node.url))
    assert_whole(engine, node)


@on_the_devnet
@pytest.mark.usefixtures("patient")
def test_a_storm_of_faults_ends_whole(node: Subject, engine: Engine) -> None:
    """Any mixture, run after run: what is merged is always true, and in the end all of it."""
    quick = [fault for name, fault in FAULTS.items() if name not in SLOW]
    for _ in range(soak.times(2, 300)):
        truth.forget(engine, node.chain)
        some = (random.choice([None, None, random.choice(quick)]) for _ in count())  # noqa: S311
        with faults.running(node.url, some) as url:
            for _ in range(20):
                with suppress(WorkError):
                    sync(engine, node.at(url))
                if truth.assert_only(engine, node.chain, node.rows) == node.heights:
                    break
        sync(engine, node.at(node.url))
        assert_whole(engine, node)


@pytest.mark.usefixtures("hasty")
def test_a_server_without_tls_is_told(node: Subject, engine: Engine) -> None:
    """HTTPS asked of a server that speaks HTTP."""
    with faults.running(node.url) as url, pytest.raises(NodeUnavailable, match="cannot connect"):
        sync(engine, node.at(url.replace("http:", "https:")))
    assert truth.assert_only(engine, node.chain, node.rows) == set()


@pytest.mark.usefixtures("hasty")
def test_a_certificate_of_nobody_is_refused(node: Subject, engine: Engine, tmp_path: Path) -> None:
    """A stranger in the middle learns nothing, and is told as what it is."""
    with (
        faults.running(node.url, tls=_untrusted(tmp_path)) as url,
        pytest.raises(NodeUnavailable, match="certificate verify failed"),
    ):
        sync(engine, node.at(url))
    assert truth.assert_only(engine, node.chain, node.rows) == set()


def _untrusted(folder: Path) -> ssl.SSLContext:
    """TLS for 127.0.0.1 with a certificate that signs itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context
