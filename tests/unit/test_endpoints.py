"""Endpoint words to URLs, and secrets that stay out of sight."""

from __future__ import annotations

import json
import logging
from base64 import b64encode

import pytest

from chainflow import endpoints
from chainflow.endpoints import Endpoint
from chainflow.errors import InputError, UnknownConnection

BASIC = {"Authorization": f"Basic {b64encode(b'me:p@ss/1').decode()}"}


def _resolved(monkeypatch: pytest.MonkeyPatch, text: str) -> Endpoint:
    monkeypatch.setenv("AIRFLOW_CONN_NODE_RPC", text)
    (endpoint,) = endpoints.resolve(["conn:node_rpc"])
    return endpoint


@pytest.mark.parametrize(
    ("uri", "url", "headers"),
    [
        ("https://node.example/v3/KEY", "https://node.example/v3/KEY", {}),
        ("http://127.0.0.1:8545", "http://127.0.0.1:8545/", {}),
        ("http://[::1]:8545/", "http://[::1]:8545/", {}),
        ("http://%3A%3A1:8545", "http://[::1]:8545/", {}),
        ("http://node.example/https", "https://node.example/", {}),
        ("http://https%3A%2F%2Fnode.example%2Fv3%2FKEY", "https://node.example/v3/KEY", {}),
        ("http://https://node.example%2Fv3%2FKEY/", "https://node.example/v3/KEY", {}),
        ("http://https://node.example%2Frpc:8443", "https://node.example:8443/rpc", {}),
        ("http://https%3A%2F%2Fnode.example%3Fk%3DKEY", "https://node.example/?k=KEY", {}),
        ("https://me:p%40ss%2F1@node.example/rpc", "https://node.example/rpc", BASIC),
        ("https://node.example/rpc?X-Key=KEY", "https://node.example/rpc", {"X-Key": "KEY"}),
        (
            "https://node.example/?__extra__=%7B%22headers%22%3A%7B%22a%22%3A%22b%22%7D%2C%22timeout%22%3A5%7D",
            "https://node.example/",
            {"a": "b"},
        ),
    ],
)
def test_connection_in_uri_form_becomes_url_and_headers(
    uri: str, url: str, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pasted URL, the forms of Airflow's HTTP hook, and those that get_uri() writes."""
    endpoint = _resolved(monkeypatch, uri)
    assert endpoint.url == url
    assert endpoint.headers == headers


@pytest.mark.parametrize(
    ("given", "url", "headers"),
    [
        ({"host": "https://node.example/v3/KEY"}, "https://node.example/v3/KEY", {}),
        ({"host": "https://node.example/rpc?k=KEY"}, "https://node.example/rpc?k=KEY", {}),
        (
            {"conn_type": "http", "host": "node.example", "schema": "https", "port": 8443},
            "https://node.example:8443/",
            {},
        ),
        ({"conn_type": "http", "host": "node.example"}, "http://node.example/", {}),
        (
            {"conn_type": "chainflow_rpc", "host": "https://node.example", "schema": "rpc"},
            "https://node.example/rpc",
            {},
        ),
        (
            {"host": "https://node.example", "login": "me", "password": "p@ss/1"},
            "https://node.example/",
            BASIC,
        ),
        (
            {"host": "https://node.example", "extra": {"X-Key": "KEY", "verify": "false"}},
            "https://node.example/",
            {"X-Key": "KEY"},
        ),
        (
            {"host": "https://node.example", "extra": '{"X-Key": "KEY", "timeout": 5}'},
            "https://node.example/",
            {"X-Key": "KEY"},
        ),
    ],
)
def test_connection_in_json_form_becomes_url_and_headers(
    given: dict[str, object],
    url: str,
    headers: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As Airflow's HTTP hook reads the same fields."""
    endpoint = _resolved(monkeypatch, json.dumps(given))
    assert endpoint.url == url
    assert endpoint.headers == headers


def test_connection_of_a_database_keeps_its_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store reads its own connection through the same function."""
    given = {"conn_type": "postgres", "host": "db", "login": "me", "password": "p@ss/1"}
    monkeypatch.setenv(
        "AIRFLOW_CONN_CHAINFLOW_DB",
        json.dumps({**given, "port": 5432, "schema": "lake", "extra": {"sslmode": "require"}}),
    )
    uri = endpoints.connection_from_environment("chainflow_db")
    assert uri == "postgres://me:p%40ss%2F1@db:5432/lake?sslmode=require"


def test_connection_that_is_not_set_is_told_by_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The operator sees which variable to set."""
    monkeypatch.delenv("AIRFLOW_CONN_NODE_RPC", raising=False)
    with pytest.raises(UnknownConnection, match="AIRFLOW_CONN_NODE_RPC is not set"):
        endpoints.connection_from_environment("node_rpc")


def test_words_are_resolved_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connection, variable and plain URL, each under the word of the registry."""
    monkeypatch.setenv("NODE_URL", " https://:KEY@two.example/rpc?k=1 ")
    words = ("conn:one", "env:NODE_URL", "https://three.example")
    found = endpoints.resolve(words, lambda conn_id: f"https://{conn_id}.example")
    assert tuple(endpoint.name for endpoint in found) == words
    assert [endpoint.url for endpoint in found] == [
        "https://one.example/",
        "https://two.example/rpc?k=1",
        "https://three.example",
    ]
    assert found[1].headers == {"Authorization": f"Basic {b64encode(b':KEY').decode()}"}


def test_word_without_an_endpoint_is_left_out_quietly(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The chain goes on with the others; --debug and Airflow's log name the variables alone."""
    monkeypatch.delenv("AIRFLOW_CONN_NODE_RPC", raising=False)
    monkeypatch.setenv("NODE_URL", "htps://SECRET@node.example")
    with caplog.at_level(logging.INFO):
        found = endpoints.resolve(["conn:node_rpc", "env:NODE_URL", "http://127.0.0.1:8545"])
    assert {record.levelname for record in caplog.records} == {"INFO"}
    assert [endpoint.host for endpoint in found] == ["127.0.0.1:8545"]
    assert "AIRFLOW_CONN_NODE_RPC" in caplog.text
    assert "NODE_URL holds no URL" in caplog.text
    assert "SECRET" not in caplog.text


def test_no_endpoint_at_all_names_every_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says all that was looked for."""
    for name in ("AIRFLOW_CONN_NODE_RPC", "NODE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match=r"AIRFLOW_CONN_NODE_RPC .* is not set; NODE_URL is not"):
        endpoints.resolve(["conn:node_rpc", "env:NODE_URL"])
    with pytest.raises(InputError, match="none is named"):
        endpoints.resolve([])


@pytest.mark.parametrize(
    "text",
    [
        "SECRET",
        "wss://SECRET.example",
        "https://",
        "https://node.example:SECRET",
        "https://SECRET@[::1",
        "https://a b/SECRET",
        "postgres://SECRET@db/x",
        '{"host": "SECRET", "conn_type": "generic"}',
        '{"host": "SECRET"',
        "{}",
    ],
)
def test_connection_that_is_no_url_is_refused_without_showing_it(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it holds may be a secret that stands in the wrong place."""
    monkeypatch.setenv("AIRFLOW_CONN_NODE_RPC", text)
    with pytest.raises(InputError, match="AIRFLOW_CONN_NODE_RPC") as caught:
        endpoints.resolve(["conn:node_rpc"])
    assert "SECRET" not in f"{caught.value!r}{caught.value.__cause__!r}"


def test_endpoint_shows_its_host_and_nothing_else() -> None:
    """Neither repr nor host carries login, path, query or headers."""
    endpoint = Endpoint("env:URL", "https://SECRET:SECRET@h:1/SECRET?SECRET", {"a": "SECRET"})
    assert endpoint.host == "h:1"
    assert "SECRET" not in f"{endpoint!r} {endpoint} {endpoint.host}"
    assert len({endpoint, endpoint}) == 1
