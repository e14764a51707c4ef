"""One entry of chains.yaml: its keys, what each may hold, and the JSON Schema that editors read.

A field's `title` says what is expected there and ends every error about it; its `description` is
what an editor shows. Only what a single value says is checked here; registry.py checks the rest.
"""

# Without postponed annotations: pydantic would compile each of their texts anew, a fifth of the
# time that this module takes to import.
import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from chainflow.types import IndexKind, Status, Verify

# PostgreSQL's bigint, one below its top so that a half-open range still ends inside it.
_HIGHEST = 2**63 - 2
# Airflow refuses to map a task over more.
_MOST_TASKS = 1024
NAME = r"[a-z][a-z0-9_]{0,40}"
_ID = r"[A-Za-z0-9_.-]{1,200}"
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
_ENDPOINT = "conn:ID, env:NAME, or an http(s) or grpc(s) URL that holds no key"
# grpc in the clear and grpcs over TLS: what a node of family sui may be asked by.
SCHEMES = ("http", "https", "grpc", "grpcs")
_SECRET_WORDS = re.compile(r"key|token|secret|auth|pass|sig|cred", re.IGNORECASE)


def nearest(given: str, legal: Iterable[str]) -> str | None:
    """The legal word that the given one was probably meant to be."""
    import difflib  # what only errors need, no sound registry waits for

    return next(iter(difflib.get_close_matches(given, list(legal), n=1)), None)


def wrong(message: str, expected: str, given: str = "", legal: Iterable[str] = ()) -> str:
    """An error's text: what is wrong, what was expected, the legal word nearest to the given."""
    meant = nearest(given, legal)
    hint = f"; did you mean {meant}?" if meant else ""
    return f"{message} (expected {expected}{hint})"


def _refuse(
    message: str, expected: str, given: str = "", legal: Iterable[str] = ()
) -> PydanticCustomError:
    text = wrong(message, expected, given, legal)
    return PydanticCustomError("chainflow", "{text}", {"text": text})


def _endpoint(word: str) -> str:
    """The word, if it names an endpoint and holds no secret; no error shows what may be one."""
    prefix, _, rest = word.partition(":")
    if prefix == "conn":
        if not re.fullmatch(_ID, rest):
            raise _refuse("`conn:` names no connection", "conn:ID, the id of an Airflow connection")
    elif prefix == "env":
        if not re.fullmatch(_VARIABLE, rest):
            raise _refuse("`env:` names no variable", "env:NAME, a variable that holds a URL")
    else:
        _url(word)
    return word


def _url(word: str) -> None:
    scheme = word.partition(":")[0]
    try:
        parts = urlsplit(word)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _refuse("is no URL", _ENDPOINT) from None
    if parts.scheme not in SCHEMES:
        known = ("conn", "env", *SCHEMES)
        shown = f"{scheme!r} is" if re.fullmatch("[a-z+]{1,10}", scheme) else "holds"
        raise _refuse(f"{shown} no endpoint", _ENDPOINT, scheme, known)
    if not host or port == 0 or re.search(r"\s", word):
        raise _refuse("is no URL with a host", _ENDPOINT)
    if "@" in parts.netloc or _holds_key(parts.path, parts.query, parts.fragment):
        raise _refuse(
            f"the URL of {host} holds what looks like a secret",
            "conn:ID or env:NAME, which keep it out of the file",
        )


def _holds_key(path: str, query: str, fragment: str) -> bool:
    """Whether a part looks like a key: 20 characters and more, letters with digits, or named so."""
    pairs = parse_qsl(query, keep_blank_values=True)
    pieces = [*path.split("/"), fragment, *(text for pair in pairs for text in pair)]
    named = any(_SECRET_WORDS.search(name) and text for name, text in pairs)
    return named or any(
        re.search(r"[A-Za-z0-9_.~-]{20,}", piece)
        and re.search(r"\d", piece)
        and re.search("[A-Za-z]", piece)
        for piece in pieces
    )


def _chain_id(given: int | str) -> int | str:
    if isinstance(given, str) and (not given.strip() or given.strip().isdecimal()):
        raise _refuse(f"is the text {given[:20]!r}", "a number without quotes, or a text id")
    return given


def _once(words: list[str]) -> list[str]:
    for at, given in enumerate(words):
        if given in words[:at]:
            raise _refuse(f"{given[:40]!r} stands twice", "each once")
    return words


def partial(schema: dict[str, Any]) -> None:
    """No default in the schema: leaving the key out is legal in one layer, not in all of them."""
    schema.pop("default", None)


def closed(schema: dict[str, Any]) -> None:
    """Nor any key but those the schema names."""
    partial(schema)
    schema["additionalProperties"] = False


_Word = Annotated[str, StringConstraints(min_length=1, max_length=100)]
_Minutes = Annotated[float, Field(gt=0, le=525_600, allow_inf_nan=False)]


class Confirmations(BaseModel):
    """Finality by depth, where the node's tags are missing or not to be trusted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    confirmations: Annotated[
        int,
        Field(ge=0, le=1_000_000, description="Blocks we stay below the head. Unit: blocks."),
    ]


class Entry(BaseModel):
    """One chain, or what the chains share; a key of a later file wins over the same key before."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, title="Chain")

    status: Annotated[
        Status,
        Field(
            title="live or retired",
            description="`retired`: shown with its last heights, gets no DAG and is never polled.",
        ),
    ] = "live"
    family: Annotated[
        _Word,
        Field(
            title="a family",
            description="The protocol its nodes speak, such as `evm`: a file in chainflow/clients.",
            json_schema_extra=partial,
        ),
    ] = ""
    chain_id: Annotated[
        Annotated[int, Field(ge=0, le=_HIGHEST)] | _Word,
        AfterValidator(_chain_id),
        Field(
            title="a whole number from 0, or a text id",
            description="Asked of the node before the first fetch; another answer stops the chain.",
            json_schema_extra=partial,
        ),
    ] = 0
    blocks_per_minute: Annotated[
        float,
        Field(
            gt=0,
            le=1_000_000,
            allow_inf_nan=False,
            title="a number above 0, at most 1000000, of blocks per minute",
            description="Used until enough heights were observed; then the observed rate is."
            " Unit: blocks per minute.",
            json_schema_extra=partial,
        ),
    ] = 0.0
    start: Annotated[
        int,
        Field(
            ge=0,
            le=_HIGHEST,
            title="a height: a whole number from 0 that a bigint holds",
            description="First height wanted, inclusive. Unit: height.",
        ),
    ] = 0
    finality: Annotated[
        Literal["finalized", "safe", "head"] | Confirmations,
        Field(
            title="finalized, safe, head, or {confirmations: N} with N a whole number from 0",
            description="Up to where blocks are read: a tag the node serves, `head` where every"
            " block is final, or a number of blocks below the head.",
        ),
    ] = "finalized"
    verify: Annotated[
        Verify,
        Field(
            title="roots, hashes or none",
            description="What of a block is proven before it is merged. `hashes`: the header by the"
            " block's hash, the logs by its bloom. `roots`: transactions, receipts and withdrawals"
            " by the header's roots as well. `none`: only that answers agree with each other. Of"
            " chains whose blocks do not allow it, what they allow is proven. Families evm and"
            " cosmos; tron and sui always prove what they can.",
        ),
    ] = "roots"
    max_reorg_blocks: Annotated[
        int,
        Field(
            ge=1,
            le=100_000,
            title="a whole number of blocks from 1 to 100000",
            description="How many merged blocks may give way to the chain's new ones where it calls"
            " none final; more stop the chain for a person to look. Unit: blocks.",
        ),
    ] = 512
    audit_days: Annotated[
        int,
        Field(
            ge=0,
            le=3650,
            title="a whole number of days from 0 to 3650",
            description="Within how many days the DAG `audit` looks at every merged height again;"
            " 0: never. Unit: days.",
        ),
    ] = 30
    audit_node_percent: Annotated[
        float,
        Field(
            ge=0,
            le=100,
            allow_inf_nan=False,
            title="a number from 0 to 100, of per cent",
            description="Of how much that the DAG `audit` looks at, the chain's node is asked again"
            " and every row compared: the only proof of what no hash covers, such as senders. It"
            " costs that share of all blocks once in `audit_days`. Unit: per cent of the heights.",
        ),
    ] = 0.0
    endpoints: Annotated[
        list[Annotated[str, AfterValidator(_endpoint)]],
        Field(
            min_length=1,
            title=f"a list, each one {_ENDPOINT}",
            description="Nodes to ask, by health, then in this order: `conn:ID` an Airflow"
            " connection (outside Airflow the variable AIRFLOW_CONN_<ID>), `env:NAME` a variable"
            " that holds a URL, or a URL that holds no key.",
            json_schema_extra=partial,
        ),
    ] = []
    max_requests_per_second: Annotated[
        Annotated[float, Field(ge=1, le=1_000_000, allow_inf_nan=False)] | None,
        Field(
            title="a number of requests per second from 1 to 1000000",
            description="How many requests one task sends to one endpoint at most, each call of a"
            " batch counted, as providers do; left out: as many as go well. Tasks at once are bound"
            " by `pool`. Unit: requests per second.",
            json_schema_extra=partial,
        ),
    ] = None
    cross_check_blocks: Annotated[
        Annotated[int, Field(ge=1, le=_HIGHEST)] | None,
        Field(
            title="a whole number of blocks from 1",
            description="Every so many blocks, one is asked of two endpoints by themselves: both"
            " must have the block that is to be merged, with as many rows in every table. Left out:"
            " never. Unit: blocks.",
            json_schema_extra=partial,
        ),
    ] = None
    datasets: Annotated[
        list[_Word],
        AfterValidator(_once),
        Field(
            min_length=1,
            title="a list of datasets with `blocks` among them",
            description="Tables to fill: files in chainflow/datasets/<family>; `blocks` always.",
        ),
    ] = ["blocks"]
    indexes: Annotated[
        list[IndexKind],
        AfterValidator(_once),
        Field(
            title="a list of hash, address and time, each once, or an empty list",
            description="Indexes of its tables beside the keys, for who asks by them. `hash`:"
            " blocks and transactions by hash, and what a transaction left by the transaction's."
            " `address`: rows by sender, recipient, owner, contract or token. `time`: rows by their"
            " block's time. Tables that have rows get them by the DAG `housekeeping` or by"
            " `chainflow db index`. None is dropped when it leaves the list.",
        ),
    ] = []
    schedule_minutes: Annotated[
        int,
        Field(
            ge=1,
            le=1440,
            title="a whole number of minutes from 1 to 1440",
            description="Time between two runs of the chain's DAG. Unit: minutes.",
        ),
    ] = 5
    task_minutes: Annotated[
        _Minutes,
        Field(
            title="a number of minutes above 0",
            description="Chain time that one task covers while following the head. Unit: minutes.",
        ),
    ] = 5.0
    max_tasks_per_run: Annotated[
        int,
        Field(
            ge=1,
            le=_MOST_TASKS,
            title=f"a whole number from 1 to {_MOST_TASKS}",
            description="Most tasks that one run ingests with, at once at most. Unit: tasks.",
        ),
    ] = 8
    lag_alert_minutes: Annotated[
        _Minutes,
        Field(
            title="a number of minutes above 0",
            description="Backlog up to which the chain counts as synced; also how long nothing may"
            " be merged, or the head not rise, before its state says so. Unit: minutes.",
        ),
    ] = 15.0
    env: Annotated[
        _Word, Field(title="text", description="Environment shown beside the chain: prod, stage.")
    ] = "prod"
    owner: Annotated[_Word, Field(title="text", description="Owner of the chain's DAG.")] = (
        "data-platform"
    )
    pool: Annotated[
        _Word,
        Field(title="text", description="Airflow pool of its tasks, such as one per provider."),
    ] = "default_pool"
    tags: Annotated[
        list[_Word],
        Field(title="a list of texts", description="Tags of the chain's DAG, besides its family."),
    ] = []
    description: Annotated[
        str,
        Field(title="text", description="What a reader of the DAG's page should know, Markdown."),
    ] = ""
