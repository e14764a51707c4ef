"""The endpoint words of chains.yaml to URLs: where secrets enter, and are kept out of sight.

`conn:ID` is an Airflow connection, `env:NAME` a variable that holds a URL, anything else a URL.
Login and password become basic authentication and a connection's extras become headers, as in
Airflow's HTTP hook. A connection travels as the URI that Airflow writes (`Connection.get_uri()`).
"""

from __future__ import annotations

import json
import logging
import os
import re
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from chainflow.errors import InputError, UnknownConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

log = logging.getLogger(__name__)

# A node of family sui may be asked over gRPC: in the clear, or over TLS.
SCHEMES = frozenset({"http", "https", "grpc", "grpcs"})

# Extras that steer Airflow's HTTP hook rather than being sent as headers.
_OPTIONS = frozenset(
    {
        "allow_redirects",
        "cert",
        "check_response",
        "headers",
        "max_redirects",
        "proxies",
        "proxy",
        "stream",
        "timeout",
        "trust_env",
        "verify",
    }
)
# The query key under which Airflow's URIs carry extras that are not plain text.
_EXTRA = "__extra__"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One node to ask: `name` is the registry's word; URL and headers may hold keys, unshown."""

    name: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)

    @property
    def host(self) -> str:
        """Host and port, without login, path or query: what logs and errors may name."""
        return urlsplit(self.url).netloc.rpartition("@")[2]


def connection_from_environment(conn_id: str) -> str:
    """The URI of an Airflow connection, from its variable AIRFLOW_CONN_<ID> in URI or JSON form.

    Raises:
        UnknownConnection: The variable is not set.
        InputError: It holds JSON that is no connection.
    """
    variable = _variable(conn_id)
    text = os.environ.get(variable, "").strip()
    if not text:
        raise UnknownConnection(f"{variable} is not set")
    return _uri(text, variable) if text.startswith("{") else text


def resolve(
    words: Iterable[str], connection: Callable[[str], str] = connection_from_environment
) -> tuple[Endpoint, ...]:
    """The endpoints that the words name, in their order.

    Args:
        words: `conn:ID`, `env:NAME` or a URL.
        connection: The URI of an Airflow connection by its id; raises InputError if there is none.

    Returns:
        At least one endpoint; a word that names none is left out with a log line.

    Raises:
        InputError: No word names an endpoint; the message names every variable looked for.
    """
    found: list[Endpoint] = []
    missing: list[str] = []
    for word in words:
        try:
            found.append(_endpoint(word, connection))
        except InputError as error:
            missing.append(str(error))
    if not found:
        raise InputError(f"no endpoint to ask: {'; '.join(missing) or 'none is named'}")
    for reason in missing:
        log.info("endpoint skipped reason=%s", reason)
    return tuple(found)


def _variable(conn_id: str) -> str:
    return f"AIRFLOW_CONN_{conn_id.upper()}"


def _endpoint(word: str, connection: Callable[[str], str]) -> Endpoint:
    prefix, _, rest = word.partition(":")
    if prefix == "env":
        text = os.environ.get(rest, "").strip()
        if not text:
            raise InputError(f"{rest} is not set")
        return _checked(word, text, source=rest)
    if prefix != "conn":
        return _checked(word, word, source="an endpoint")
    source = f"{_variable(rest)} (connection {rest})"
    try:
        uri = connection(rest)
    except UnknownConnection:
        raise InputError(f"{source} is not set") from None
    url, headers = _decoded(uri)
    return _checked(word, url, source=source, headers=headers)


def _checked(
    name: str, url: str, *, source: str, headers: Mapping[str, str] | None = None
) -> Endpoint:
    """The endpoint, its login moved from the URL to a header."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in SCHEMES and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"\s", url):
        raise InputError(f"{source} holds no URL (expected http:// or https:// and a host)")
    login, _, netloc = parts.netloc.rpartition("@")
    given = dict(headers or {})
    if login:
        user, _, password = login.partition(":")
        pair = f"{unquote(user)}:{unquote(password)}".encode()
        given["Authorization"] = f"Basic {b64encode(pair).decode()}"
    return Endpoint(name, parts._replace(netloc=netloc, fragment="").geturl(), given)


def _decoded(uri: str) -> tuple[str, dict[str, str]]:
    """URL and headers of a connection's URI.

    The whole form is `http://https://login:password@host:port/path?extra=...`, every part optional.
    Host and path may be percent-encoded as a whole; the path may be a protocol, as Airflow's HTTP
    connections have it in their field `schema`. A URL as a provider shows it is such a URI, too.
    """
    kind, _, rest = uri.partition("://")
    protocol, found, inner = rest.partition("://")
    if found and re.fullmatch("[a-z]+", protocol):
        rest = inner
    else:
        protocol = ""
    authority, _, tail = rest.partition("?")
    authority, _, path = authority.partition("/")
    login, at, hostport = authority.rpartition("@")
    host, port = unquote(hostport), ""
    if re.search(r":\d+$", hostport):
        host, _, port = hostport.rpartition(":")
        host = unquote(host)
    if "://" in host:
        protocol, _, host = host.partition("://")
    path = unquote(path)
    if not protocol and path in {"http", "https"}:
        protocol, path = path, ""
    return _joined(protocol or kind, login + at, host, port, path), _headers(tail)


def _joined(protocol: str, login: str, host: str, port: str, path: str) -> str:
    """One URL; the host may bring a path and a query of its own."""
    name, mark, query = host.partition("?")
    name, _, inside = name.partition("/")
    if name.count(":") > 1 and not name.startswith("["):
        name = f"[{name}]"  # Airflow takes the brackets off an IPv6 address
    way = "/".join(part.strip("/") for part in (inside, path) if part.strip("/"))
    return f"{protocol}://{login}{name}{':' + port if port else ''}/{way}{mark}{query}"


def _headers(tail: str) -> dict[str, str]:
    extras: dict[str, Any] = dict(parse_qsl(tail, keep_blank_values=True))
    if _EXTRA in extras:
        extras = _object(extras[_EXTRA]) or {}
    nested = extras.get("headers")
    own = {key: text for key, text in extras.items() if key not in _OPTIONS}
    given = {**own, **(nested if isinstance(nested, dict) else {})}
    return {key: text for key, text in given.items() if isinstance(text, str)}


def _uri(text: str, variable: str) -> str:
    """The URI of a connection in JSON form, as Airflow writes it."""
    given = _object(text)
    if given is None:
        raise InputError(f"{variable} holds JSON that is no connection (expected an object)")
    protocol, found, host = str(given.get("host") or "").rpartition("://")
    login, password = given.get("login"), given.get("password")
    userinfo = quote(str(login or ""), safe="")
    userinfo += f":{quote(str(password), safe='')}" if password else ""
    extra = given.get("extra") or {}
    extras = extra if isinstance(extra, dict) else _object(str(extra)) or {}
    plain = all(isinstance(part, str) for part in extras.values())
    query = urlencode(extras if plain else {_EXTRA: json.dumps(extras)})
    kind = str(given.get("conn_type") or "http").replace("_", "-")
    return (
        f"{kind}://{protocol}{found}{userinfo}{'@' if userinfo else ''}{quote(host, safe='')}"
        f"{':' + str(given['port']) if given.get('port') else ''}"
        f"/{quote(str(given.get('schema') or ''), safe='')}{'?' + query if query else ''}"
    )


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
