"""Blocks of Cosmos chains: header, transactions, and what the next header says of their results."""

from __future__ import annotations

import json
from base64 import b64decode
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

from chainflow.clients import _cosmos_hashes as hashes
from chainflow.datasets.cosmos.transactions import own
from chainflow.errors import MalformedAnswer
from chainflow.types import BlockRange
from chainflow.wire import cosmos as wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chainflow.audit._rehashed import Again, Read, Row
    from chainflow.types import Chain


def rehash(chain: Chain) -> Again:
    """What proves the chain's rows, as much as `verify` proves of its blocks."""
    return partial(_failing, chain)


def left_out(chain: Chain) -> str:
    """What no hash of stored columns covers."""
    if chain.verify == "none":
        return "anything: its entry says `verify: none`"
    if chain.verify == "hashes" or "transactions" not in chain.datasets:
        return "anything but headers"
    return (
        "what no header holds: events, of results the codespace, info, log and fields unknown to"
        " this release, and of blocks parts, evidence, updates and results_app_hash"
    )


def _failing(chain: Chain, read: Read, blocks: BlockRange) -> Iterator[tuple[int, str]]:
    if chain.verify == "none":
        return
    # The header above the range says what became of the range's last transactions.
    headers = read("blocks", BlockRange(blocks.start, blocks.stop + 1)) or []
    sent = read("transactions", blocks) if chain.verify == "roots" else None
    above = {row["height"]: row for row in headers}
    for row in headers:
        if row["height"] not in blocks:
            continue
        try:
            yield from _wrong(row, "block_hash", hashes.header_hash(_header(row)))
            if sent is not None:
                own = [tx for tx in sent if tx["height"] == row["height"]]
                yield from _sent(row, own, above.get(row["height"] + 1))
        except (MalformedAnswer, ValueError) as error:
            yield row["height"], f"cannot be hashed: {error}"


def _sent(row: Row, sent: Sequence[Row], above: Row | None) -> Iterator[tuple[int, str]]:
    raws = [b64decode(tx["raw"], validate=True) for tx in sent]
    yield from _wrong(row, "data_hash", hashes.data_hash(raws))
    for tx, raw in zip(sent, raws, strict=True):
        if sha256(raw).hexdigest().upper() != tx["transaction_hash"]:
            yield row["height"], f"transaction {tx['transaction_index']}: its hash is not of `raw`"
        for column, (said,) in own([raw]).items():
            if _plain(tx[column]) != _plain(said):
                text = f"transaction {tx['transaction_index']}: {column} is not that of `raw`"
                yield row["height"], text
    if above is not None:
        results = hashes.results_hash([_result(tx) for tx in sent])
        if results.hex().upper() != above["last_results_hash"]:
            yield row["height"], "code, data or gas are not those of last_results_hash above"


def _plain(cell: object) -> object:
    """A cell to compare: a number as its digits, and JSON, which PostgreSQL spaces, as it says."""
    if isinstance(cell, str) and cell[:1] in ("[", "{"):
        try:
            return json.loads(cell)
        except ValueError:
            return cell  # a memo
    return str(cell) if isinstance(cell, int) else cell


def _wrong(row: Row, column: str, found: bytes) -> Iterator[tuple[int, str]]:
    if row[column] != found.hex().upper():
        yield row["height"], f"{column} is {row[column]}, but the rows give {found.hex().upper()}"


def _header(row: Row) -> wire.Header:
    below = wire.PartSet(total=row["parent_parts_total"], hash=row["parent_parts_hash"])
    return wire.Header(
        version=wire.Version(block=str(row["block_version"]), app=str(row["app_version"])),
        chain_id=row["network"],
        height=str(row["height"]),
        time=row["header_time"],
        last_block_id=wire.BlockId(hash=row["parent_hash"], parts=below),
        last_commit_hash=row["last_commit_hash"],
        data_hash=row["data_hash"],
        validators_hash=row["validators_hash"],
        next_validators_hash=row["next_validators_hash"],
        consensus_hash=row["consensus_hash"],
        app_hash=row["app_hash"],
        last_results_hash=row["last_results_hash"],
        evidence_hash=row["evidence_hash"],
        proposer_address=row["proposer_address"],
    )


def _result(row: Row) -> wire.TxResult:
    """As much of a result as is hashed."""
    data = row["result_data"]
    return wire.TxResult(
        code=row["code"],
        data=None if data is None else b64decode(data, validate=True),
        log="",
        gas_wanted=str(row["gas_wanted"]),
        gas_used=str(row["gas_used"]),
        events=None,
    )
