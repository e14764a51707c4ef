"""Cosmos blocks for tests: recorded from real nodes, and built by hand in a node's JSON."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainflow.clients._cosmos_hashes import instant
from chainflow.types import RawBlock
from chainflow.wire import cosmos as wire
from chainflow.wire.cosmos_columns import payload, transaction_hashes

_DATA = Path(__file__).parent / "data" / "cosmos"
Json = dict[str, Any]

NETWORK = "testnet-1"
ALL = ("blocks", "transactions", "events", "token_transfers")


@dataclass(frozen=True)
class Recorded:
    """A block and its results as nodes gave them."""

    chain: str
    height: int
    block: Json
    results: Json

    def __str__(self) -> str:
        return f"{self.chain}-{self.height}"

    @property
    def base64_events(self) -> bool:
        """Whether it is of Tendermint 0.34; no recording is of CometBFT 0.37."""
        return "finalize_block_events" not in self.results

    def raw(self) -> RawBlock:
        """The block in its envelope."""
        return raw(self.block, self.results)


def read(name: str) -> Json:
    """A recorded answer; without the envelope of JSON-RPC where it has a result in one."""
    answer: Json = json.loads((_DATA / name).read_text())
    return answer.get("result", answer) if "error" not in answer else answer


def recordings() -> list[Recorded]:
    """Every height of which block and results were recorded, by chain and height."""
    paths = sorted(_DATA.glob("*/*block_results*.json"))
    found = []
    for path in paths:
        block = path.parent / path.name.replace("block_results", "block")
        if block.exists():
            where = path.parent.name
            results = read(f"{where}/{path.name}")
            found.append(
                Recorded(where, int(results["height"]), read(f"{where}/{block.name}"), results)
            )
    return sorted(found, key=lambda one: (one.chain, one.height))


def halves() -> list[Recorded]:
    """Heights of which one half was recorded, the other built by hand to fit it."""
    found = []
    for height in (4555980, 137512194):
        results = read(f"injective-1/{height}.block_results.json")
        count = len(results["txs_results"] or ())
        found.append(Recorded("injective-1", height, block(height, [b"tx"] * count), results))
    neutron = read("neutron-1/22488720.block.json")
    failed = result(code=2, codespace="undefined", log="tx parse error")
    found.append(Recorded("neutron-1", 22488720, neutron, results_of(22488720, [failed])))
    # The first block of a chain, which has no transaction and no block before it.
    for where in ("kvstore-v0_34", "kvstore-v0_38"):
        first = read(f"{where}/block_at_height_1.json")
        found.append(Recorded(where, 1, first, _results_of(where, 1)))
    return found


def singles() -> list[Recorded]:
    """Transactions recorded by themselves with their results, in a block built around each."""
    found = []
    for where, name in (
        ("other", "tx-2754866"),
        ("other", "tx-4855691"),
        ("kvstore-v0_34", "tx_search_no_prove"),
        ("kvstore-v0_38", "tx_search_no_prove"),
    ):
        said = read(f"{where}/{name}.json")
        for one in said.get("txs", [said]):
            height = int(one["height"])
            results = _results_of(where, height, [one["tx_result"]])
            sent = base64.b64decode(one["tx"])
            assert hashlib.sha256(sent).hexdigest().upper() == one["hash"]
            found.append(Recorded(where, height, block(height, [sent]), results))
    return found


def _results_of(where: str, height: int, results: Sequence[Json] = ()) -> Json:
    """Results without events of the block's own, in the dialect of a folder."""
    made = results_of(height, results)
    if where != "kvstore-v0_38":
        del made["finalize_block_events"]
        made |= {"begin_block_events": None, "end_block_events": None}
    return made


def raw(block: Mapping[str, Any], results: Mapping[str, Any] | None) -> RawBlock:
    """A node's JSON through the wire into the envelope; nothing is proven."""
    texts = [json.dumps(part).encode() for part in (block, results)]
    answer = wire.decode_block(texts[0])
    assert answer.block is not None
    header = answer.block.header
    seconds, nanoseconds = instant(header.time)
    return RawBlock(
        height=int(header.height),
        hash=answer.block_id.hash,
        parent_hash=header.last_block_id.hash,
        time_ms=seconds * 1000 + nanoseconds // 10**6,
        payload=payload(
            answer.block_id,
            answer.block,
            None if results is None else wire.decode_results(texts[1]),
            transaction_hashes(answer.block),
        ),
        size=sum(map(len, texts)),
    )


HASH = "AB" * 32


def block(height: int, transactions: Sequence[bytes] = (), **fields: object) -> Json:
    """An answer to `block` in the node's JSON, built by hand; `fields` are the header's."""
    id_ = {"hash": HASH, "parts": {"total": 1, "hash": "CD" * 32}}
    names = (
        *("last_commit_hash", "data_hash", "validators_hash", "next_validators_hash"),
        *("consensus_hash", "app_hash", "last_results_hash", "evidence_hash"),
    )
    header = {
        "version": {"block": "11"},
        "chain_id": NETWORK,
        "height": str(height),
        "time": "2026-01-02T03:04:05.678901234Z",
        "last_block_id": {"hash": "BA" * 32, "parts": {"total": 1, "hash": "DC" * 32}},
        **{name: hashlib.sha256(name.encode()).hexdigest().upper() for name in names},
        "proposer_address": "EF" * 20,
    }
    return {
        "block_id": id_,
        "block": {
            "header": header | fields,
            "data": {"txs": [base64.b64encode(one).decode() for one in transactions]},
            "evidence": {"evidence": []},
            "last_commit": {},
        },
    }


def result(*events: Json, **fields: object) -> Json:
    """A transaction's result in the node's JSON."""
    return {
        "code": 0,
        "data": None,
        "log": "",
        "info": "",
        "gas_wanted": "1000",
        "gas_used": "900",
        "events": list(events),
        "codespace": "",
    } | fields


def event(kind: str | None, *pairs: tuple[str, str | None]) -> Json:
    """A plain event."""
    attributes = [{"key": key, "value": value, "index": True} for key, value in pairs]
    return {"attributes": attributes} | ({} if kind is None else {"type": kind})


def results_of(height: int, results: Sequence[Json] = (), *events: Json, **fields: object) -> Json:
    """An answer to `block_results` of CometBFT 0.38; `events` are the block's own."""
    return {
        "height": str(height),
        "txs_results": list(results) or None,
        "finalize_block_events": list(events) or None,
        "validator_updates": None,
        "consensus_param_updates": None,
        "app_hash": None,
    } | fields
