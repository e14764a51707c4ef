"""What an HTTP answer, or the lack of one, means in words that hold no key."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Mapping


def elsewhere(response: aiohttp.ClientResponse) -> str:
    """Where a redirect leads, by its host: the rest may hold a key."""
    try:
        target = urlsplit(response.headers.get("Location", ""))
        host = target.netloc.rpartition("@")[2]
    except ValueError:
        host = ""
    where = f"to {target.scheme or 'the same scheme'}, host {host}" if host else "to another path"
    return (
        f"HTTP {response.status}: a redirect {where}, which is not followed: it could take a key "
        "to a stranger; if it is right, put the address it leads to into the chain's endpoints"
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from seconds or an HTTP date; None if there is none that can be read."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", text):
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def trouble(error: Exception) -> str:
    """What went wrong on the way; aiohttp's own texts may hold the URL."""
    match error:
        case aiohttp.ClientPayloadError():
            return "the body was cut short"
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed before an answer"
        case aiohttp.ClientConnectorError():
            reason = error.os_error
            return f"cannot connect: {reason.strerror or type(reason).__name__}"
        case aiohttp.ClientResponseError():
            return "an answer that is no HTTP"
        case OSError():
            return f"connection broken: {error.strerror or type(error).__name__}"
    return type(error).__name__
