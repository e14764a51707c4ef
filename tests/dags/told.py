"""What a simulated chain's node says of its blocks, read without our clients and decoders."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import httpx
import zstandard
from eth_abi.abi import decode
from eth_utils.crypto import keccak

from chainflow.wire import _base58 as base58
from chainflow.wire import _sui_messages as sui_messages

Told = tuple[list[tuple[int, str]], list[tuple[int, str]]]
"""Height and hash of every block; height and hash of every transaction, in the chain's order."""

Read = Callable[[str, int, int], Told]
"""What a node at a URL tells of the heights from the first up to, not including, the second."""


def evm(url: str, start: int, stop: int) -> Told:
    """Ethereum's JSON-RPC."""
    blocks, transactions = [], []
    with httpx.Client() as http:
        for height in range(start, stop):
            params = (hex(height), True)
            request = {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "eth_getBlockByNumber",
                "params": params,
            }
            block = http.post(url, json=request).json()["result"]
            blocks.append((height, block["hash"]))
            transactions += [(height, one["hash"]) for one in block["transactions"]]
    return blocks, transactions


def tron(url: str, start: int, stop: int) -> Told:
    """A full node's HTTP API."""
    blocks, transactions = [], []
    with httpx.Client() as http:
        for height in range(start, stop):
            block = http.post(f"{url}/wallet/getblockbynum", json={"num": height}).json()
            blocks.append((height, block["blockID"]))
            transactions += [(height, one["txID"]) for one in block.get("transactions", ())]
    return blocks, transactions


def cosmos(url: str, start: int, stop: int) -> Told:
    """CometBFT's RPC, by URI."""
    blocks, transactions = [], []
    with httpx.Client() as http:
        for height in range(start, stop):
            found = http.get(f"{url}/block", params={"height": height}).json()["result"]
            blocks.append((height, found["block_id"]["hash"]))
            for raw in found["block"]["data"]["txs"] or ():
                digest = hashlib.sha256(base64.b64decode(raw)).hexdigest().upper()
                transactions.append((height, digest))
    return blocks, transactions


def sui(url: str, start: int, stop: int) -> Told:
    """The checkpoint store; its digests are worked out from what it serves."""
    blocks, transactions = [], []
    with httpx.Client() as http:
        for height in range(start, stop):
            packed = http.get(f"{url}/{height}.binpb.zst").content
            raw = zstandard.ZstdDecompressor().decompressobj().decompress(packed)
            found: Any = sui_messages.Checkpoint.FromString(raw)
            blocks.append((height, _digest("CheckpointSummary", found.summary.bcs.value)))
            transactions += [
                (height, _digest("TransactionData", one.transaction.bcs.value))
                for one in found.transactions
            ]
    return blocks, transactions


READ: dict[str, Read] = {"evm": evm, "tron": tron, "cosmos": cosmos, "sui": sui}


def _digest(kind: str, bcs: bytes) -> str:
    digest = hashlib.blake2b(f"{kind}::".encode() + bcs, digest_size=32).digest()
    return base58.encode(digest)


def token_transfers(log: dict[str, Any]) -> list[tuple[Any, ...]]:
    """What an EVM log says was moved: place in the event, standard, from, to, token id, value."""
    topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
    data = bytes.fromhex(log["data"][2:])
    if not topics or topics[0] not in _EVENTS:
        return []
    kind = _EVENTS[topics[0]]
    if kind is None:
        if len(topics) == 3:
            parties = map(_address, topics[1:])
            return [(0, "erc20", *parties, None, *decode(["uint256"], data))]
        parties = map(_address, topics[1:3])
        return [(0, "erc721", *parties, *decode(["uint256"], topics[3]), 1)]
    sender, receiver = map(_address, topics[2:])
    ids, values = decode([kind] * 2, data)
    moved = [(ids, values)] if isinstance(ids, int) else zip(ids, values, strict=True)
    return [(at, "erc1155", sender, receiver, *one) for at, one in enumerate(moved)]


# By the hash of an event, what its data hold twice; None where its topics decide.
_EVENTS = {
    keccak(text="Transfer(address,address,uint256)"): None,
    keccak(text="TransferSingle(address,address,address,uint256,uint256)"): "uint256",
    keccak(text="TransferBatch(address,address,address,uint256[],uint256[])"): "uint256[]",
}


def _address(word: bytes) -> str:
    return str(decode(["address"], word)[0])
