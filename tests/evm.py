"""EVM blocks for tests: those recorded from real nodes, and those built by hand in a node's JSON.

A hand-built case takes the shape of a recorded one whose recording may not be copied here, or one
that no recording has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainflow.types import RawBlock
from chainflow.wire import evm, evm_columns

_DATA = Path(__file__).parent / "data" / "evm"
Json = dict[str, Any]


@dataclass(frozen=True)
class Recorded:
    """A block as its node gave it; `receipts` is None where the recording has none."""

    chain: str
    block: Json
    receipts: list[Json] | None

    def __str__(self) -> str:
        return f"{self.chain}-{int(self.block['number'], 16)}"

    @property
    def complete(self) -> bool:
        """Whether every transaction has its receipt here."""
        return self.receipts is not None and len(self.receipts) == len(self.block["transactions"])

    def raw(self) -> RawBlock:
        """The block in its envelope."""
        return raw(self.block, self.receipts or [])


def recordings() -> list[Recorded]:
    """Every recorded block with full transactions, by chain and height."""
    found = [_recorded(path.parent) for path in _DATA.glob("*/*/block.json")]
    return sorted(found, key=lambda one: (one.chain, int(one.block["number"], 16)))


def recorded(chain: str, height: int) -> Recorded:
    """One recorded block."""
    return _recorded(_DATA / chain / str(height))


def _recorded(folder: Path) -> Recorded:
    receipts = folder / "receipts.json"
    return Recorded(
        chain=folder.parent.name,
        block=json.loads((folder / "block.json").read_text()),
        receipts=json.loads(receipts.read_text()) if receipts.exists() else None,
    )


def raw(block: Mapping[str, Any], receipts: Sequence[Mapping[str, Any]] = ()) -> RawBlock:
    """A node's JSON through the wire into the envelope."""
    answers = json.dumps(block).encode(), json.dumps(list(receipts)).encode()
    payload = evm_columns.payload(evm.decode_block(answers[0]), evm.decode_receipts(answers[1]))
    return RawBlock(
        height=int(payload.block.number, 16),
        hash=payload.block.hash,
        parent_hash=payload.block.parent_hash,
        time_ms=int(payload.block.timestamp, 16) * 1000,
        payload=payload,
        size=sum(map(len, answers)),
    )


HEIGHT = 1000
HASH = "0x" + "b1" * 32
SENDER = "0x" + "aa" * 20
RECEIVER = "0x" + "bb" * 20
TOKEN = "0x" + "cc" * 20
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
_PLACE = {"blockHash": HASH, "blockNumber": hex(HEIGHT)}


def block(*transactions: Json, **fields: object) -> Json:
    """A block of height 1000 in the node's JSON; `fields` are added or replaced."""
    header = {
        "number": hex(HEIGHT),
        "hash": HASH,
        "parentHash": "0x" + "b0" * 32,
        "timestamp": "0x65000000",
        "nonce": "0x0000000000000042",
        "miner": "0x" + "00" * 20,
        "difficulty": "0x0",
        "gasLimit": "0x1c9c380",
        "gasUsed": "0x5208",
        "size": "0x220",
        "extraData": "0x",
        "uncles": [],
        "transactions": list(transactions),
    }
    return header | fields


def transaction(index: int = 0, **fields: object) -> Json:
    """Transaction `index` of the block: legacy, 21,000 gas."""
    return {
        **_PLACE,
        "hash": f"0x{index + 1:064x}",
        "transactionIndex": hex(index),
        "type": "0x0",
        "from": SENDER,
        "to": RECEIVER,
        "nonce": "0x1",
        "value": "0x0",
        "gas": "0x5208",
        "gasPrice": "0x3b9aca00",
        "input": "0x",
        "v": "0x25",
        "r": "0x1",
        "s": "0x2",
    } | fields


def receipt(index: int = 0, *logs: Json, **fields: object) -> Json:
    """The receipt of transaction `index`, with logs that name it."""
    named = {
        **_PLACE,
        "transactionHash": f"0x{index + 1:064x}",
        "transactionIndex": hex(index),
    }
    return {
        **named,
        "type": "0x0",
        "from": SENDER,
        "to": RECEIVER,
        "status": "0x1",
        "gasUsed": "0x5208",
        "cumulativeGasUsed": "0x5208",
        "contractAddress": None,
        "logs": [{**named, **log} for log in logs],
    } | fields


def log(index: int = 0, *topics: str, data: str = "0x", **fields: object) -> Json:
    """A log of TOKEN for `receipt`."""
    return {
        "address": TOKEN,
        "topics": list(topics),
        "data": data,
        "logIndex": hex(index),
        "removed": False,
    } | fields


MAX_UINT256 = hex(2**256 - 1)


def odd_blocks() -> dict[str, Recorded]:
    """Blocks of shapes that real chains have and no recording here, by what is odd in them."""
    return {name.replace("_", "-"): Recorded(name, *made) for name, made in _odd().items()}


def _odd() -> dict[str, tuple[Json, list[Json]]]:
    zero = "0x" + "00" * 20
    return {
        # Polygon 63434768: from and to are zero, unsigned, and the node has no receipt for it.
        "state_sync_without_receipt": (
            block(
                transaction(0),
                transaction(1, **{"from": zero}, to=zero, gas="0x0", r="0x0", s="0x0", v="0x0"),
            ),
            [receipt(0)],
        ),
        # Polygon since PIP-74: type 0x7f, with a receipt.
        "state_sync_with_receipt": (
            block(transaction(0, **{"from": zero}, to=zero, type="0x7f", gas="0x0")),
            [receipt(0, log(0, "0x" + "01" * 32), **{"from": zero}, to=zero, type="0x7f")],
        ),
        # Optimism: the block's first transaction; unsigned, pays no gas, minted.
        "deposit": (
            block(
                transaction(
                    type="0x7e",
                    sourceHash="0x" + "5e" * 32,
                    mint=MAX_UINT256,
                    isSystemTx=False,
                    gasPrice="0x0",
                    depositReceiptVersion="0x1",
                    v="0x0",
                    r="0x0",
                    s="0x0",
                ),
                withdrawals=[],
            ),
            [
                receipt(
                    type="0x7e",
                    depositNonce="0x1b2c3d",
                    depositReceiptVersion="0x1",
                    l1Fee="0x0",
                    l1GasPrice="0x1",
                    l1GasUsed="0x649",
                    l1FeeScalar="0.684",
                    l1BaseFeeScalar="0x8dd",
                    l1BlobBaseFee="0x1",
                    l1BlobBaseFeeScalar="0x101c12",
                    operatorFeeScalar="0x0",
                    operatorFeeConstant="0x0",
                    daFootprintGasScalar="0x190",
                )
            ],
        ),
        # Optimism's system transactions before Regolith carry no gas of their own.
        "system_deposit": (
            block(
                transaction(type="0x7e", sourceHash="0x" + "5e" * 32, isSystemTx=True, mint=None)
            ),
            [receipt(type="0x7e")],
        ),
        # Arbitrum 12887850, before Nitro: type 0x78, gas used above cumulative gas, no state root.
        "classic_arbitrum": (
            block(
                transaction(type="0x78", v="0x14986"),
                l1BlockNumber="0xe26ac9",
                stateRoot="0x" + "00" * 32,
                size="0x301",
            ),
            [
                receipt(
                    type="0x78",
                    l1BlockNumber="0xe26ac9",
                    gasUsedForL1="0x88734",
                    gasUsed="0xeda4b",
                    cumulativeGasUsed="0x65317",
                    effectiveGasPrice="0x1337c73d",
                )
            ],
        ),
        # Arbitrum 400553223: a field of receipts that nobody else has.
        "timeboosted": (block(transaction()), [receipt(timeboosted=False)]),
        # Old nodes leave the type of a legacy transaction out; so do their receipts.
        "missing_type": (
            block({k: v for k, v in transaction().items() if k != "type"}),
            [{k: v for k, v in receipt().items() if k != "type"}],
        ),
        "type_in_receipt_alone": (
            block({k: v for k, v in transaction().items() if k != "type"}),
            [receipt()],
        ),
        # Before Byzantium a receipt has a root and no status.
        "missing_status": (
            block(transaction()),
            [{k: v for k, v in receipt(root="0x" + "ab" * 32).items() if k != "status"}],
        ),
        # Celo 32460725: the fee is paid in a token, and the receipt has the base fee in it.
        "cip64": (
            block(
                transaction(
                    type="0x7b",
                    feeCurrency="0x2f25deb3848c207fc8e0c34035b3ba7fc157602b",
                    accessList=[],
                    maxFeePerGas="0x26442dbed",
                    maxPriorityFeePerGas="0x4d7ee",
                    chainId="0xa4ec",
                    yParity="0x0",
                )
            ),
            [receipt(type="0x7b", baseFee="0x1adff4f03")],
        ),
        # BNB's system transactions close a block.
        "gas_near_2_63": (
            block(
                transaction(0, gas=hex(2**63 - 1), gasPrice="0x0"),
                transaction(1, gas=hex(2**63)),
                gasLimit=hex(2**64 - 1),
                milliTimestamp="0x197d2b4a1f4",
            ),
            [receipt(0), receipt(1)],
        ),
        "uint256_maximum": (
            block(
                transaction(value=MAX_UINT256, gasPrice=hex(2**70), nonce=hex(2**64)),
                difficulty=MAX_UINT256,
                totalDifficulty=MAX_UINT256,
            ),
            [receipt(0, erc20(0, MAX_UINT256))],
        ),
        "blob_and_set_code": (
            block(
                transaction(
                    0,
                    type="0x3",
                    maxFeePerBlobGas="0x3b9aca00",
                    blobVersionedHashes=["0x01" + "be" * 31],
                    accessList=[{"address": TOKEN, "storageKeys": ["0x" + "01" * 32]}],
                ),
                transaction(
                    1,
                    type="0x4",
                    accessList=[],
                    authorizationList=[
                        {
                            "chainId": "0x1",
                            "address": TOKEN,
                            "nonce": "0x1",
                            "yParity": "0x0",
                            "r": "0x1",
                            "s": "0x2",
                        }
                    ],
                ),
                blobGasUsed="0x20000",
                excessBlobGas="0x0",
                withdrawals=[
                    {"index": "0x1", "validatorIndex": "0x2", "address": TOKEN, "amount": "0x3"}
                ],
            ),
            [
                receipt(0, type="0x3", blobGasUsed="0x20000", blobGasPrice="0x1"),
                receipt(1, type="0x4"),
            ],
        ),
        # Some early and odd chains count logs from 0 in every transaction.
        "log_indexes_per_transaction": (
            block(transaction(0), transaction(1), transaction(2)),
            [receipt(0, erc20(0), log(1)), receipt(1), receipt(2, erc20(0), log(1), log(2))],
        ),
        # zkSync and ZKsync OS: logs of the system belong to no transaction.
        "system_logs": (
            block(transaction()),
            [
                receipt(
                    0,
                    log(0, transactionHash="0x" + "00" * 32),
                    log(1, transactionHash=None, transactionIndex=None),
                )
            ],
        ),
        "unknown_everything": (
            block(
                transaction(
                    type="0x99", novelty={"deep": [1, None, "0xAb"]}, blockTimestamp="0x65000000"
                ),
                slotNumber="0x1",
                blockAccessListHash="0x" + "ba" * 32,
                timestampNano="0x179f",
            ),
            [
                receipt(
                    0,
                    log(0, blockTimestamp="0x65000000", surprise=None, weight=1.5),
                    log(1, removed=True, blockTimestamp="0x65000001"),
                    type="0x9a",
                    to=TOKEN,
                    novelty=True,
                )
            ],
        ),
    }


def erc20(index: int, value: str = "0x1", **fields: object) -> Json:
    """A log that moves `value` of TOKEN from SENDER to RECEIVER."""
    topics = (TRANSFER, word(SENDER), word(RECEIVER))
    return log(index, *topics, data=word(value), **fields)


def word(number: str) -> str:
    """A hex number as an ABI word."""
    return f"0x{number[2:]:0>64}"
