"""The devnet's EVM chains send each other USDC by CCTP, each telling its own side."""

from __future__ import annotations

import json
from typing import Any

from chainflow import datasets
from chainflow.devnet import evm as devnet
from chainflow.store import known
from chainflow.types import Chain
from tests import evm

(MESSAGES,) = datasets.get("evm", ["cctp_messages"])
CONTRACTS = [row for row in known.rows("cctp_contract") if row["family"] == "evm"]
CHAINS = sorted({int(row["chain_id"]) for row in CONTRACTS})


def rows(chain_id: int, interval: float) -> list[dict[str, Any]]:
    """Burns and mints of two minutes of a chain."""
    chain = Chain(f"chain{chain_id}", "evm", chain_id, blocks_per_minute=60 / interval)
    backlog = int(120 / interval)
    made = devnet.simulate(chain, seed=7, began=1_790_000_000.0, interval=interval, backlog=backlog)
    newest = range(made.head - backlog + 1, made.head + 1)
    blocks = [evm.raw(*map(json.loads, made._answers(height))) for height in newest]
    return MESSAGES.decode(blocks).to_pylist()


def test_burns_and_mints_fit_together_across_chains() -> None:
    """What one chain burned another mints, whatever their block times; by Circle's contracts."""
    found = [
        {**row, "chain_id": str(chain_id)}
        for i, chain_id in enumerate(CHAINS)
        for row in rows(chain_id, (2.0, 5.0, 12.0)[i % 3])
    ]
    burns = {row["message_key"]: row for row in found if row["direction"] == "burn"}
    mints = {row["message_key"]: row for row in found if row["direction"] == "mint"}
    joined = burns.keys() & mints.keys()
    assert {burns[key]["cctp_version"] for key in joined} == {1, 2}
    for key in joined:
        paid = int(mints[key]["amount"]) + int(mints[key]["fee_collected"] or 0)
        assert paid == int(burns[key]["amount"])
        assert mints[key]["block_timestamp"] > burns[key]["block_timestamp"]
    told = {
        (r["chain_id"], str(r["cctp_version"]), r["address"], r["transmitter_address"])
        for r in found
    }
    columns = ("chain_id", "cctp_version", "token_messenger", "message_transmitter")
    assert told <= {tuple(row[c] for c in columns) for row in CONTRACTS}


def test_a_chain_without_the_protocol_has_none_of_it() -> None:
    """Fantom never had it."""
    assert rows(250, 5.0) == []
