"""A CometBFT node's answers as structs, in whichever of its dialects they come.

Up to Tendermint 0.34 an event's keys and values are base64, later they are plain; from CometBFT
0.38 the events of a block are one list. Each answer tells its dialect itself, because a chain
changes it at an upgrade and a proxy may stand before several nodes. Attributes are plain text once
decoded here. Fields that no struct names are kept, as JSON text, in `extra`.

Source: cometbft/cometbft, rpc/core/types and abci/types, v0.34 to v0.38; docs/decisions/0090, 0091.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from chainflow.errors import MalformedAnswer
from chainflow.wire._cosmos_dialect import is_base64, settle, unwrapped
from chainflow.wire._extra import Wire, decode, strict

if TYPE_CHECKING:
    from collections.abc import Iterator

_NUL = b"\\u0000"
UInt32 = Annotated[int, Meta(ge=0, lt=2**32)]


class PartSet(Wire, kw_only=True):
    """The pieces in which a block is gossiped."""

    total: UInt32
    hash: str


class BlockId(Wire, kw_only=True):
    """What a commit signs: the header's hash, and that of the block's pieces; hex."""

    hash: str
    parts: PartSet


class Version(Wire, kw_only=True):
    """Versions of the block's and the application's protocol; absent is 0."""

    block: str = "0"
    app: str = "0"


class Header(Wire, kw_only=True):
    """A block's header; hashes and the proposer are hex, `time` is RFC 3339 in nanoseconds."""

    version: Version
    chain_id: str
    height: str
    time: str
    last_block_id: BlockId
    last_commit_hash: str
    data_hash: str
    validators_hash: str
    next_validators_hash: str
    consensus_hash: str
    app_hash: str
    last_results_hash: str
    evidence_hash: str
    proposer_address: str


class Data(Wire, kw_only=True):
    """The block's transactions, as bytes."""

    txs: list[bytes] | None


class Evidence(Wire, kw_only=True):
    """Proofs of validators' misdeeds."""

    evidence: list[msgspec.Raw] | None


class Block(Wire, kw_only=True):
    """A block; `last_commit` holds the signatures under the block below and is left unread."""

    header: Header
    data: Data
    evidence: Evidence
    last_commit: msgspec.Raw


class BlockAnswer(Wire, kw_only=True):
    """What `block` answers; no block where the node has none of that height."""

    block_id: BlockId
    block: Block | None


class Attribute(Wire, kw_only=True, omit_defaults=True):
    """One fact of an event; `index` is whether this very node can search for it, true if absent.

    Written as JSON it is key and value, and what is not as usual: an index that is not true, and
    unknown fields.
    """

    key: str | None = msgspec.field(default_factory=lambda: None)  # no default that is omitted
    value: str | None = msgspec.field(default_factory=lambda: None)
    index: bool | None = True


class Event(Wire, kw_only=True):
    """What a module of the application said had happened."""

    type: str | None = None
    attributes: list[Attribute] | None = None


class TxResult(Wire, kw_only=True):
    """What executing one transaction did."""

    code: UInt32
    data: bytes | None
    log: str
    info: str = ""
    gas_wanted: str
    gas_used: str
    events: list[Event] | None
    codespace: str = ""


class Results(Wire, kw_only=True):
    """What `block_results` answers; a list that is UNSET does not exist in the node's dialect."""

    height: str
    txs_results: list[TxResult] | None
    begin_block_events: list[Event] | UnsetType | None = UNSET
    end_block_events: list[Event] | UnsetType | None = UNSET
    finalize_block_events: list[Event] | UnsetType | None = UNSET
    validator_updates: msgspec.Raw = msgspec.Raw()
    consensus_param_updates: msgspec.Raw = msgspec.Raw()
    app_hash: str | None = None


class NodeInfo(msgspec.Struct):
    """Of `status`: the chain."""

    network: str


class SyncInfo(msgspec.Struct):
    """Of `status`: how much of the chain the node has."""

    latest_block_height: str
    earliest_block_height: str = "0"
    catching_up: bool = False


class Status(msgspec.Struct):
    """What `status` answers, as far as it matters here."""

    node_info: NodeInfo
    sync_info: SyncInfo


_status = msgspec.json.Decoder(Status)


def decode_block(answer: bytes | msgspec.Raw) -> BlockAnswer:
    """The answer to `block`.

    Raises:
        MalformedAnswer: Not JSON, or a required field is missing or has another type; the message
            names its path.
    """
    return decode(BlockAnswer, answer)


def decode_results(answer: bytes | msgspec.Raw) -> Results:
    """The answer to `block_results`, its attributes as plain text.

    Raises:
        MalformedAnswer: As `decode_block`, or it mixes dialects.
    """
    results = decode(Results, answer)
    old = UNSET not in (results.begin_block_events, results.end_block_events)
    if results.finalize_block_events is UNSET and not old:
        raise MalformedAnswer("neither finalize_block_events nor begin_ and end_block_events")
    if results.finalize_block_events is UNSET and is_base64(list(_events(results))):
        for event in _events(results):
            settle(event, unwrapped)
    elif _holds_nul(bytes(answer)):
        for event in _events(results):
            settle(event, str.encode)
    return results


def _holds_nul(answer: bytes) -> bool:
    """Whether U+0000 may be in it; that there is no escape at all is seen much sooner."""
    return b"\\" in answer and _NUL in answer


def decode_status(answer: bytes | msgspec.Raw) -> Status:
    """The answer to `status`; raises as `decode_block`."""
    return strict(_status, answer)


def integer(text: str, what: str, *, least: int = 0) -> int:
    """The number that a node's decimal text means, of at most 63 bits.

    Raises:
        MalformedAnswer: It is none.
    """
    digits = text.removeprefix("-")
    if digits.isdecimal() and digits.isascii() and len(digits) < 20:
        number = int(text)
        if least <= number < 2**63:
            return number
    raise MalformedAnswer(f"{what} is {text[:40]!r}, not a number of at most 63 bits")


def _events(results: Results) -> Iterator[Event]:
    lists = results.begin_block_events, results.end_block_events, results.finalize_block_events
    for events in lists:
        yield from events or ()
    for result in results.txs_results or ():
        yield from result.events or ()
