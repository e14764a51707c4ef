"""The simulated EVM chains: every hash and root recomputes from what they answer.

The proofs here are written apart from the generator: they start from the served JSON, name the
fields again, and take roots from PyPI's `trie`. That the proofs are right is shown on
recorded blocks.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import rlp
from eth_hash.auto import keccak
from trie.hexary import HexaryTrie

from chainflow.devnet import _evm_events, _evm_profiles, _trie, evm
from chainflow.types import Chain

Json = Any  # whatever JSON can hold
JsonObject = Mapping[str, Json]
DATA = Path(evm.__file__).parent / "data" / "evm"
NOW = 1_800_000_000.0
USDC = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
CHAINS = {
    "ethereum": 1,
    "optimism": 10,
    "bnb": 56,
    "polygon": 137,
    "sonic": 146,
    "fantom": 250,
    "zksync": 324,
    "mantle": 5000,
    "base": 8453,
    "arbitrum": 42161,
    "celo": 42220,
    "avalanche": 43114,
    "unheard-of": 987654,
}
HEADER = """
    parentHash sha3Uncles miner stateRoot transactionsRoot receiptsRoot logsBloom difficulty number
    gasLimit gasUsed timestamp extraData mixHash nonce
"""
AFTER_LONDON = """
    baseFeePerGas withdrawalsRoot blobGasUsed excessBlobGas parentBeaconBlockRoot requestsHash
"""
AFTER_LONDON_ON_AVALANCHE = """
    extDataHash baseFeePerGas extDataGasUsed blockGasCost blobGasUsed excessBlobGas
    parentBeaconBlockRoot timestampMilliseconds minDelayExcess
"""
AS_BYTES = """
    extDataHash extraData logsBloom miner mixHash nonce parentBeaconBlockRoot parentHash
    receiptsRoot requestsHash sha3Uncles stateRoot transactionsRoot withdrawalsRoot
"""


def octets(text: str | None) -> bytes:
    """Bytes of a node's hex; none of null."""
    return bytes.fromhex((text or "0x")[2:])


def number(text: str) -> bytes:
    """A quantity as RLP has it."""
    value = int(text, 16)
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def header_hash(block: JsonObject) -> str:
    """Keccak of the header's RLP."""
    later = AFTER_LONDON_ON_AVALANCHE if "extDataHash" in block else AFTER_LONDON
    names = HEADER.split() + [name for name in later.split() if name in block]
    return "0x" + keccak(rlp.encode(list(map(header_field(block), names)))).hex()


def header_field(block: JsonObject) -> Callable[[str], bytes]:
    """What gives a header field its bytes."""
    return lambda name: octets(block[name]) if name in AS_BYTES.split() else number(block[name])


def access_list(tx: JsonObject) -> list[Any]:
    """The access list as RLP has it."""
    return [
        [octets(one["address"]), [octets(key) for key in one["storageKeys"]]]
        for one in tx["accessList"]
    ]


def authorizations(tx: JsonObject) -> list[Any]:
    """The EIP-7702 list as RLP has it."""
    return [
        [
            number(one["chainId"]),
            octets(one["address"]),
            *(number(one[name]) for name in ("nonce", "yParity", "r", "s")),
        ]
        for one in tx["authorizationList"]
    ]


def raw(tx: JsonObject) -> bytes:
    """A transaction's canonical encoding, rebuilt from its JSON."""
    kind = int(tx["type"], 16)
    call = [octets(tx["to"]), number(tx["value"]), octets(tx["input"])]
    signature = [number(tx[name]) for name in "vrs"]
    fields: list[Json]
    if kind == 0:
        fields = [*(number(tx[name]) for name in ("nonce", "gasPrice", "gas")), *call, *signature]
        return bytes(rlp.encode(fields))
    if kind == 0x7E:
        fields = [
            octets(tx["sourceHash"]),
            octets(tx["from"]),
            octets(tx["to"]),
            number(tx["mint"]),
        ]
        fields += [number(tx["value"]), number(tx["gas"]), b"", octets(tx["input"])]
    elif kind == 0x6A:
        fields = [number(tx["chainId"]), octets(tx["input"])]
    else:
        fees = ("gasPrice",) if kind == 1 else ("maxPriorityFeePerGas", "maxFeePerGas")
        fields = [number(tx[name]) for name in ("chainId", "nonce", *fees, "gas")]
        fields += [*call, access_list(tx), *tail(kind, tx), *signature]
    return bytes([kind]) + bytes(rlp.encode(fields))


def tail(kind: int, tx: JsonObject) -> list[Any]:
    """What the later types have after the access list."""
    if kind == 3:
        hashes = [octets(one) for one in tx["blobVersionedHashes"]]
        return [number(tx["maxFeePerBlobGas"]), hashes]
    if kind == 4:
        return [authorizations(tx)]
    return [octets(tx["feeCurrency"])] if kind == 0x7B else []


def raw_receipt(receipt: JsonObject) -> bytes:
    """A receipt's canonical encoding, rebuilt from its JSON."""
    kind = int(receipt["type"], 16)
    logs = [
        [octets(log["address"]), [octets(topic) for topic in log["topics"]], octets(log["data"])]
        for log in receipt["logs"]
    ]
    fields: list[Json] = [number(receipt["status"]), number(receipt["cumulativeGasUsed"])]
    fields += [octets(receipt["logsBloom"]), logs]
    if kind == 0x7E:
        fields += [number(receipt["depositNonce"]), number(receipt["depositReceiptVersion"])]
    if kind == 0x7B:
        fields.append(number(receipt["baseFee"]))
    return (bytes([kind]) if kind else b"") + bytes(rlp.encode(fields))


def root(values: Sequence[bytes]) -> str:
    """The Merkle-Patricia root of a list."""
    trie = HexaryTrie({})
    for index, value in enumerate(values):
        trie[rlp.encode(index)] = value
    return "0x" + trie.root_hash.hex()


def bloom(receipts: Sequence[JsonObject]) -> str:
    """The bloom of all logs, bit by bit."""
    bits = bytearray(256)
    for log in (log for receipt in receipts for log in receipt["logs"]):
        for item in (log["address"], *log["topics"]):
            hashed = keccak(octets(item))
            for pair in (hashed[0:2], hashed[2:4], hashed[4:6]):
                bit = int.from_bytes(pair, "big") % 2048
                bits[255 - bit // 8] |= 1 << (bit % 8)
    return "0x" + bits.hex()


def prove(block: JsonObject, receipts: Sequence[JsonObject]) -> None:
    """Fail unless hash, roots, bloom and counts are those of the content."""
    sound = [not state_sync(tx) for tx in block["transactions"]]
    transactions = [tx for tx, rooted in zip(block["transactions"], sound, strict=True) if rooted]
    rooted_receipts = [r for r, rooted in zip(receipts, sound, strict=True) if rooted]
    assert [tx["hash"] for tx in transactions] == [
        "0x" + keccak(raw(tx)).hex() for tx in transactions
    ]
    assert block["transactionsRoot"] == root([raw(tx) for tx in transactions])
    assert block["receiptsRoot"] == root([raw_receipt(r) for r in rooted_receipts])
    assert block["logsBloom"] == bloom(rooted_receipts)
    assert int(block["gasUsed"], 16) == sum(int(r["gasUsed"], 16) for r in receipts)
    if block.get("withdrawals"):
        rows = [[*map(withdrawal_field(row), row)] for row in block["withdrawals"]]
        assert block["withdrawalsRoot"] == root([rlp.encode(row) for row in rows])


def withdrawal_field(row: JsonObject) -> Callable[[str], bytes]:
    """What gives a withdrawal's field its bytes."""
    return lambda name: octets(row[name]) if name == "address" else number(row[name])


def state_sync(tx: JsonObject) -> bool:
    """Whether it is Bor's transaction that no root knows."""
    return int(tx["from"], 16) == 0 and tx["type"] == "0x0"


def simulated(name: str, *, backlog: int = 40, seed: int = 7) -> evm.Evm:
    """A simulated chain with a block a second."""
    chain = Chain(name, "evm", CHAINS[name], 60.0)
    return evm.simulate(chain, seed=seed, began=NOW, interval=1.0, backlog=backlog)


def ask(chain: evm.Evm, method: str, *params: object) -> Json:
    """The result of one call."""
    answer = chain.respond(json.dumps({"id": 1, "method": method, "params": params}).encode())
    return json.loads(answer)["result"]


@cache
def blocks_of(name: str) -> list[tuple[JsonObject, Sequence[JsonObject]]]:
    """Blocks and receipts of the chain that `simulated` gives, made once for all that read them."""
    return list(pairs(simulated(name)))


def pairs(chain: evm.Evm) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """All its blocks with their receipts."""
    for height in range(chain.first, chain.head + 1):
        block = ask(chain, "eth_getBlockByNumber", hex(height), True)
        yield block, ask(chain, "eth_getBlockReceipts", hex(height))


@pytest.mark.parametrize(
    "file", sorted(DATA.glob("*/*.json")), ids=lambda f: f"{f.parent.name}-{f.stem}"
)
def test_recorded_block_proves_itself(file: Path) -> None:
    """The proofs of this file hold for what real nodes answered, so they are right."""
    recorded = json.loads(file.read_text())
    prove(recorded["block"], recorded["receipts"])
    if file.parent.name != "fantom":  # its hash is that of an event
        assert recorded["block"]["hash"] == header_hash(recorded["block"])


@pytest.mark.parametrize("name", CHAINS)
def test_generated_blocks_link_and_belong_together(name: str) -> None:
    """Parents, hashes, indexes and times of blocks, transactions, receipts and logs agree."""
    parent = None
    for block, receipts in blocks_of(name):
        assert parent is None or block["parentHash"] == parent["hash"]
        assert parent is None or int(block["timestamp"], 16) >= int(parent["timestamp"], 16)
        transactions = block["transactions"]
        place = {"blockHash": block["hash"], "blockNumber": block["number"]}
        for part in (*transactions, *receipts, *(log for r in receipts for log in r["logs"])):
            assert part.items() >= place.items()
        assert [r["transactionHash"] for r in receipts] == [tx["hash"] for tx in transactions]
        assert [int(tx["transactionIndex"], 16) for tx in transactions] == [*range(len(receipts))]
        indexes = [int(log["logIndex"], 16) for r in receipts for log in r["logs"]]
        assert indexes == [*range(len(indexes))]
        parent = block


@pytest.mark.parametrize("name", sorted(set(CHAINS) - {"zksync"}))
def test_generated_roots_and_hashes_recompute(name: str) -> None:
    """Hashes of transactions, the three roots, and the bloom are those of the content."""
    for block, receipts in blocks_of(name):
        prove(block, receipts)


@pytest.mark.parametrize("name", sorted(set(CHAINS) - {"zksync", "fantom"}))
def test_generated_block_hash_is_that_of_the_header(name: str) -> None:
    """The hash is the keccak of the header's RLP where the real chain's is."""
    for block, _ in blocks_of(name):
        assert block["hash"] == header_hash(block)


def test_generated_zksync_has_no_roots() -> None:
    """As on the real chain all roots are zero, so nothing recomputes."""
    for block, _ in pairs(simulated("zksync", backlog=3)):
        assert {block[f"{name}Root"] for name in ("state", "transactions", "receipts")} == {
            "0x" + "00" * 32
        }


@pytest.mark.parametrize(
    ("name", "opening", "some"),
    [
        ("ethereum", "0x2", {"0x0", "0x1", "0x2", "0x3"}),
        ("base", "0x7e", {"0x7e", "0x0", "0x2"}),
        ("celo", "0x7e", {"0x7e", "0x7b"}),
        ("arbitrum", "0x6a", {"0x6a", "0x0", "0x2"}),
        ("zksync", "", {"0x71"}),
    ],
)
def test_generated_transactions_are_of_the_chains_types(
    name: str, opening: str, some: set[str]
) -> None:
    """Each chain has its own transaction types, and the system's transaction comes first."""
    blocks = [block for block, _ in blocks_of(name)][1:]
    types = [[tx["type"] for tx in block["transactions"]] for block in blocks]
    assert {one for block in types for one in block} >= some
    if opening in ("0x7e", "0x6a"):
        assert {block[0] for block in types} == {opening}


def test_generated_polygon_state_sync_is_outside_the_roots() -> None:
    """At a sprint's end stands Bor's transaction, hashed from height and block hash."""
    found = 0
    for block, _ in blocks_of("polygon"):
        for tx in filter(state_sync, block["transactions"]):
            key = b"matic-bor-receipt-" + int(block["number"], 16).to_bytes(8, "big")
            assert tx["hash"] == "0x" + keccak(key + octets(block["hash"])).hex()
            found += 1
    assert found >= 2


def test_generated_bnb_ends_with_the_validators_transaction() -> None:
    """The last transaction is free and its gas limit is near 2^63."""
    for block, _ in pairs(simulated("bnb", backlog=3)):
        last = block["transactions"][-1]
        assert (last["gas"], last["gasPrice"]) == (hex(2**63 - 1), "0x0")


def test_generated_ethereum_moves_usdc_and_tokens_of_every_standard() -> None:
    """ERC-20 transfers of the chain's own USDC, ERC-721 and both ERC-1155 events occur."""
    logs = [
        log for _, rs in pairs(simulated("ethereum", backlog=200)) for r in rs for log in r["logs"]
    ]
    transfer, *others = (
        "0x" + keccak(signature.encode()).hex()
        for signature in (
            "Transfer(address,address,uint256)",
            "TransferSingle(address,address,address,uint256,uint256)",
            "TransferBatch(address,address,address,uint256[],uint256[])",
        )
    )
    topics = [log["topics"] for log in logs]
    assert {3, 4} == {len(one) for one in topics if one and one[0] == transfer}
    assert USDC in {log["address"] for log in logs if log["topics"][:1] == [transfer]}
    assert {one[0] for one in topics if one} >= set(others)
    assert [] in topics


def test_simulation_begins_with_the_recorded_blocks() -> None:
    """Sonic's seven recorded blocks come first, and the generated ones stand on the last."""
    chain = simulated("sonic", backlog=9)
    files = sorted((DATA / "sonic").glob("*.json"), key=lambda file: int(file.stem))
    recorded = [json.loads(file.read_text()) for file in files]
    blocks = list(pairs(chain))
    assert blocks[:7] == [(one["block"], one["receipts"]) for one in recorded]
    assert blocks[7][0]["parentHash"] == recorded[-1]["block"]["hash"]


def test_simulation_is_determined_by_chain_and_seed() -> None:
    """The same chain and seed give the same blocks, another seed or chain others."""
    assert list(pairs(simulated("base"))) == blocks_of("base")
    assert simulated("base").tip != simulated("base", seed=8).tip
    assert simulated("base").tip != simulated("mantle").tip


def test_simulation_makes_forgotten_blocks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers for heights that are no longer kept are the same as they were."""
    remembering = blocks_of("celo")
    monkeypatch.setattr(evm, "_KEPT_BLOCKS", 3)
    forgetting = simulated("celo")
    assert list(pairs(forgetting)) == remembering
    assert len(forgetting.kept) == 3
    transaction = remembering[0][0]["transactions"][0]["hash"]
    assert ask(forgetting, "eth_getTransactionReceipt", transaction) is None
    assert len(forgetting.transactions) < 60


def test_simulation_answers_tags_and_hashes() -> None:
    """Tags name the heights they should, and a hash finds the block and receipts of its number."""
    chain = simulated("ethereum")
    head = ask(chain, "eth_getBlockByNumber", "latest", False)
    assert int(head["number"], 16) == chain.head == chain.first + 39
    assert head["transactions"] == [
        tx["hash"] for tx in ask(chain, "eth_getBlockByHash", head["hash"], True)["transactions"]
    ]
    by_tag = {
        tag: int(ask(chain, "eth_getBlockByNumber", tag, False)["number"], 16)
        for tag in ("earliest", "safe", "finalized")
    }
    assert by_tag == {
        "earliest": chain.first,
        "safe": chain.head - 10,
        "finalized": chain.head - 10,
    }
    receipts = ask(chain, "eth_getBlockReceipts", {"blockHash": head["hash"]})
    assert receipts == ask(chain, "eth_getBlockReceipts", head["hash"])
    assert [
        ask(chain, "eth_getTransactionReceipt", r["transactionHash"]) for r in receipts
    ] == receipts


def test_simulation_has_nothing_beyond_its_heights() -> None:
    """Past the head, below the first height and for unknown hashes the answer is null."""
    chain = simulated("ethereum", backlog=3)
    for where in (hex(chain.head + 1), hex(chain.first - 1)):
        assert ask(chain, "eth_getBlockByNumber", where, True) is None
        assert ask(chain, "eth_getBlockReceipts", where) is None
    for method in ("eth_getBlockByHash", "eth_getTransactionReceipt"):
        assert ask(chain, method, "0x" + "ab" * 32) is None


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (b"{", -32700),
        (b"17", -32600),
        (b"[]", -32600),
        (b'{"id":1}', -32600),
        (b'{"id":1,"method":"eth_getLogs","params":[{}]}', -32601),
        (b'{"id":1,"method":"eth_getBlockByNumber","params":["newest",true]}', -32602),
        (b'{"id":1,"method":"eth_getBlockByNumber","params":[17,true]}', -32602),
        (b'{"id":1,"method":"eth_getBlockByNumber","params":[]}', -32602),
        (b'{"id":1,"method":"eth_getTransactionReceipt","params":["0xzz"]}', -32602),
        (b'{"id":1,"method":"eth_chainId","params":{"a":1}}', -32602),
    ],
)
def test_simulation_names_what_is_wrong_with_a_request(asked: bytes, code: int) -> None:
    """Each bad request has the error code that nodes give it."""
    answer = json.loads(simulated("base", backlog=1).respond(asked))
    assert answer["error"]["code"] == code


def test_simulation_grows_when_it_is_due() -> None:
    """A block is due each interval after the beginning, none before."""
    chain = simulated("base", backlog=5)
    head = chain.head
    assert [chain.due(NOW + late) - head for late in (-9.0, 0.0, 0.9, 1.0, 61.5)] == [
        0,
        0,
        0,
        1,
        61,
    ]
    chain.grow()
    assert chain.head == head + 1
    newest = ask(chain, "eth_getBlockByNumber", "latest", False)
    assert int(newest["timestamp"], 16) == NOW + 1


def test_generate_makes_heavy_linked_blocks() -> None:
    """The benchmark's blocks are mainnet-like, prove themselves and link."""
    made = [(json.loads(b), json.loads(r)) for b, r in evm.generate(1, 3)]
    for block, receipts in made:
        prove(block, receipts)
        assert block["hash"] == header_hash(block)
        assert 100 < len(receipts) < 300
    assert [block["parentHash"] for block, _ in made[1:]] == [b["hash"] for b, _ in made[:2]]


@pytest.mark.parametrize("count", [0, 1, 2, 16, 17, 127, 128, 129, 300])
def test_root_is_that_of_the_trie_package(count: int) -> None:
    """The root of a list equals the one that PyPI's trie computes item by item."""
    rng = random.Random(count)  # noqa: S311 - sample values
    values = [rng.randbytes(rng.randrange(1, 90)) for _ in range(count)]
    assert "0x" + _trie.root(values).hex() == root(values)


def test_profiles_have_each_chains_usdc() -> None:
    """A known chain id has its own USDC, an unknown one an invented token."""
    assert "0x" + _evm_profiles.profile(1).usdc == USDC
    assert len(_evm_profiles.profile(987654).usdc) == 40


def test_deeds_reach_the_largest_amount() -> None:
    """The maximum of uint256 occurs, as it does on mainnet."""
    rng = random.Random(1)  # noqa: S311 - sample deeds
    cast = _evm_events.cast(rng, bytes(20))
    deeds = [_evm_events.deed(rng, cast, bytes(20)) for _ in range(2000)]
    assert _evm_events.word(2**256 - 1) in {e.data for d in deeds for e in d.events if e.data}
