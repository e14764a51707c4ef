"""What EVM chains hash, by PyPI's `rlp` and `trie`: apart from the client's code in every step.

A block's JSON in, its hashes and roots out; slow, and only of the forms that tests ask for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import rlp
from eth_hash.auto import keccak
from trie.hexary import HexaryTrie

HEADER = """
    parentHash sha3Uncles miner stateRoot transactionsRoot receiptsRoot logsBloom difficulty number
    gasLimit gasUsed timestamp extraData mixHash nonce
"""
ETHEREUM = """
    baseFeePerGas withdrawalsRoot blobGasUsed excessBlobGas parentBeaconBlockRoot requestsHash
    blockAccessListHash slotNumber
"""
AVALANCHE = """
    extDataHash baseFeePerGas extDataGasUsed blockGasCost blobGasUsed excessBlobGas
    parentBeaconBlockRoot timestampMilliseconds minDelayExcess targetExponent minPriceExponent
    settledHeight settledGasUnix settledGasNumerator settledExcess
"""
_BYTES = """
    parentHash sha3Uncles miner stateRoot transactionsRoot receiptsRoot logsBloom extraData mixHash
    nonce withdrawalsRoot parentBeaconBlockRoot requestsHash blockAccessListHash extDataHash
"""


def number(given: str | None) -> bytes:
    """A quantity as RLP's bytes; nothing for 0."""
    value = int(given or "0x0", 16)
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def octets(given: str | None) -> bytes:
    """A hex text's bytes; none for None."""
    return bytes.fromhex((given or "0x")[2:])


def hashed(data: bytes) -> str:
    """Keccak as a node writes it."""
    return f"0x{keccak(data).hex()}"


def typed(kind: int, fields: Sequence[Any]) -> bytes:
    """A transaction's or receipt's encoding."""
    return (bytes([kind]) if kind else b"") + bytes(rlp.encode(list(fields)))


def header_hash(block: Mapping[str, Any], fields: str) -> str:
    """The hash of a header with those fields, up to the last that it has."""
    names = fields.split()
    while block.get(names[-1]) is None:
        names.pop()
    read = {True: octets, False: number}
    return hashed(
        bytes(rlp.encode([read[name in _BYTES.split()](block.get(name)) for name in names]))
    )


def root(values: Sequence[bytes]) -> str:
    """The Merkle-Patricia root of a list."""
    trie = HexaryTrie({})
    for index, value in enumerate(values):
        trie[rlp.encode(index)] = value
    return f"0x{trie.root_hash.hex()}"


def receipt(given: Mapping[str, Any], *tail: bytes) -> bytes:
    """A receipt's encoding; `tail` is what its type has after the logs."""
    logs = [
        [octets(log["address"]), [octets(one) for one in log["topics"]], octets(log["data"])]
        for log in given["logs"]
    ]
    fields = [number(given["status"]), number(given["cumulativeGasUsed"])]
    bloom = octets(given["logsBloom"])
    return typed(int(given["type"], 16), [*fields, bloom, logs, *tail])
