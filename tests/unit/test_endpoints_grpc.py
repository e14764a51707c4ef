"""A gRPC node as an endpoint: its scheme says how it is asked, wherever the URL comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from chainflow import endpoints, registry
from chainflow.errors import InputError

ENTRY = """
chains:
  suinet:
    family: sui
    chain_id: 4btiuiMPvEENsttpZC7CZ53DruC3MAgfznDbASZ7DR6S
    blocks_per_minute: 240.0
    finality: head
    endpoints: [{endpoint}]
    datasets: [blocks]
"""


@pytest.mark.parametrize("url", ["grpcs://node.example:443", "grpc://127.0.0.1:9000"])
def test_registry_takes_a_grpc_url(tmp_path: Path, url: str) -> None:
    """As it takes an HTTP one."""
    file = tmp_path / "chains.yaml"
    file.write_text(ENTRY.format(endpoint=url))
    assert registry.load(file).chains["suinet"].endpoints == (url,)
    (endpoint,) = endpoints.resolve([url])
    assert (endpoint.url, endpoint.host) == (url, url.partition("://")[2])


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("grpcs://node.example:443", "grpcs://node.example:443/"),
        ("grpc://grpcs://node.example", "grpcs://node.example/"),
    ],
)
def test_connection_holds_a_grpc_url(monkeypatch: pytest.MonkeyPatch, uri: str, url: str) -> None:
    """In the clear by its type; over TLS where its host says so."""
    monkeypatch.setenv("AIRFLOW_CONN_SUI_RPC", uri)
    (endpoint,) = endpoints.resolve(["conn:sui_rpc"])
    assert endpoint.url == url


def test_variable_of_another_scheme_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A web socket is no endpoint."""
    monkeypatch.setenv("SUI_URL", "wss://node.example")
    with pytest.raises(InputError, match="SUI_URL holds no URL"):
        endpoints.resolve(["env:SUI_URL"])
