"""What PostgreSQL's refusals mean to us, and how long work waits for a store that went away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from psycopg2 import errorcodes
from tenacity import AsyncRetrying, Retrying, retry_if_exception, wait_exponential_jitter

from chainflow.errors import (
    ChainflowError,
    InputError,
    StoreBusy,
    StoreOutdated,
    StoreUnavailable,
    TerminalError,
)

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")

log = logging.getLogger(__name__)

# A restart takes seconds, the failover of a managed database up to two minutes. Whoever waits holds
# what it has fetched; a task that gives up fetches it again.
WAIT_SECONDS = 120.0
_WAIT = wait_exponential_jitter(initial=0.25, max=8.0, jitter=0.5)

_MEANT: Mapping[str, tuple[type[ChainflowError], str]] = {
    errorcodes.DISK_FULL: (
        TerminalError,
        "its disk is full, nothing was merged: make room there and run again",
    ),
    errorcodes.OUT_OF_MEMORY: (
        StoreUnavailable,
        "it is out of memory, nothing was merged: give it more, or run fewer tasks at a time",
    ),
    errorcodes.TOO_MANY_CONNECTIONS: (
        StoreUnavailable,
        "it has no connection left: raise max_connections, or the limit of the role or database,"
        " or run fewer tasks at a time",
    ),
    errorcodes.READ_ONLY_SQL_TRANSACTION: (
        StoreUnavailable,
        "it takes no writes, nothing was merged: is it a standby? Let the store's URL name the"
        " primary, or all servers and target_session_attrs=read-write",
    ),
    errorcodes.LOCK_NOT_AVAILABLE: (
        StoreBusy,
        "somebody else holds a lock for longer than lock_timeout, nothing was merged:"
        " pg_blocking_pids() tells who, and the store's URL may allow for more",
    ),
    errorcodes.QUERY_CANCELED: (
        StoreBusy,
        "a statement was stopped, nothing was merged: if its time was too short, raise"
        " statement_timeout in the store's URL",
    ),
}
_UNDEFINED = frozenset(
    {
        errorcodes.INVALID_SCHEMA_NAME,
        errorcodes.UNDEFINED_TABLE,
        errorcodes.UNDEFINED_COLUMN,
        errorcodes.UNDEFINED_FUNCTION,
    }
)
# Connection exceptions, rolled back by the server, and the server going down or coming up.
_TRANSIENT_CLASSES = frozenset({"08", "40", "57"})
# A connection that was never made has no code, only libpq's and the server's words.
_WORDS: Mapping[str, str] = {
    "too many clients": errorcodes.TOO_MANY_CONNECTIONS,
    "too many connections": errorcodes.TOO_MANY_CONNECTIONS,
    "remaining connection slots": errorcodes.TOO_MANY_CONNECTIONS,
    "session is read-only": errorcodes.READ_ONLY_SQL_TRANSACTION,
}
_REFUSED = (
    "authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "invalid dsn",
    "invalid connection option",
    "invalid integer value",
    "no password supplied",
)


def meant(error: BaseException, where: str) -> ChainflowError:
    """What an error of PostgreSQL or its driver means: try again, look, migrate, or correct.

    Args:
        error: The driver's.
        where: What the message calls the store.
    """
    told, code = _told(error)
    if code in _MEANT:
        kind, advice = _MEANT[code]
        return kind(f"{where}: {advice} ({told})")
    if code == errorcodes.UNDEFINED_TABLE and 'relation "staging.' in told:
        return StoreUnavailable(f"{where}: staged rows are gone, stage them again ({told})")
    if code in _UNDEFINED and "chainflow" in told:
        return StoreOutdated(f"{where}: {told}: run `chainflow db upgrade`")
    if not code and any(sign in told for sign in _REFUSED):
        return InputError(f"{where}: {told}")
    if not code or code[:2] in _TRANSIENT_CLASSES:
        return StoreUnavailable(f"{where}: {told}")
    return TerminalError(f"{where}: {told}")


def outlast(work: Callable[[], T]) -> T:
    """What work on the store returns, begun again while the store is away for a short time.

    The work must be such that doing it twice is doing it once: a COMMIT may have arrived although
    its connection broke.

    Raises:
        StoreUnavailable: The store was away for longer, or `StoreBusy`: that has waited already.
    """
    return Retrying(**_POLICY)(work)


async def outlast_in_thread(work: Callable[[], T]) -> T:
    """As `outlast`, each attempt in a thread; a cancelled wait ends at once."""
    return await AsyncRetrying(**_POLICY)(asyncio.to_thread, work)


def _told(error: BaseException) -> tuple[str, str]:
    """The error in one line, and its code; of a connection that was never made, what it means."""
    code: str = getattr(error, "pgcode", None) or ""
    lines = [" ".join(line.split()) for line in str(error).split("\n") if line[:1].strip()]
    # Each server of several has its line; of a statement's error the first says it.
    told = lines[0] if code and lines else "; ".join(lines) or type(error).__name__
    return told, code or next((code for sign, code in _WORDS.items() if sign in told), "")


def _is_away(error: BaseException) -> bool:
    return isinstance(error, StoreUnavailable) and not isinstance(error, StoreBusy)


def _has_waited(state: RetryCallState) -> bool:
    # Not since the start: the store may break off work that took minutes.
    return state.idle_for >= WAIT_SECONDS


def _tell(state: RetryCallState) -> None:
    log.warning(
        "waiting for the store waited_seconds=%.1f of=%.0f reason=%s",
        state.idle_for,
        WAIT_SECONDS,
        state.outcome and state.outcome.exception(),
    )


def _give_up(state: RetryCallState) -> NoReturn:
    error = state.outcome and state.outcome.exception()
    waited = f"; gave up after waiting {state.idle_for:.0f} s for it" if state.idle_for else ""
    raise StoreUnavailable(f"{error}{waited}") from None


_POLICY: Mapping[str, Any] = {
    "retry": retry_if_exception(_is_away),
    "wait": _WAIT,
    "stop": _has_waited,
    "before_sleep": _tell,
    "retry_error_callback": _give_up,
}
