"""Tron blocks for tests: recorded transactions, and blocks built by hand in a full node's JSON.

Ids and roots are right: the messages are encoded here, apart from the code under test. A hand-built
case takes the shape of a recorded one whose recording may not be copied here, or one that no
recording has.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from chainflow.clients import _tron_proof as proof
from chainflow.types import RawBlock
from chainflow.wire import tron, tron_columns

_DATA = Path(__file__).parent / "data" / "tron" / "mainnet"
Json = dict[str, Any]

HEIGHT = 1000
TIME_MS = 1_757_976_723_000
PARENT = f"{HEIGHT - 1:016x}" + "b0" * 24
WITNESS = "41" + "e1" * 20
SENDER = "41" + "aa" * 20
RECEIVER = "41" + "bb" * 20
TOKEN = "41" + "cc" * 20
OTHER = "41" + "dd" * 20
TRANSFER = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
# What java-tron makes of its configuration: the facts of the main network's first block.
GENESIS_ID = "00000000000000001ebf88508a03865c71d452e25f4d51194196a1d22b6653dc"

# Numbers of the fields in each kind of contract, and of the kinds: core/contract/*.proto.
_VALUES: dict[str, tuple[int, dict[str, int]]] = {
    "TransferContract": (1, {"owner_address": 1, "to_address": 2, "amount": 3}),
    "TransferAssetContract": (
        2,
        {"asset_name": 1, "owner_address": 2, "to_address": 3, "amount": 4},
    ),
    "VoteWitnessContract": (4, {"owner_address": 1}),
    "ParticipateAssetIssueContract": (
        9,
        {"owner_address": 1, "to_address": 2, "asset_name": 3, "amount": 4},
    ),
    "WithdrawBalanceContract": (13, {"owner_address": 1}),
    "CreateSmartContract": (
        30,
        {"owner_address": 1, "new_contract": 2, "call_token_value": 3, "token_id": 4},
    ),
    "TriggerSmartContract": (
        31,
        {
            "owner_address": 1,
            "contract_address": 2,
            "call_value": 3,
            "data": 4,
            "call_token_value": 5,
            "token_id": 6,
        },
    ),
    "DelegateResourceContract": (57, {"owner_address": 1, "balance": 3, "receiver_address": 4}),
    "NovelContract": (99, {"owner_address": 1}),
}
_RAW = {"ref_block_bytes": 1, "ref_block_hash": 4, "expiration": 8, "data": 10, "timestamp": 14}
_RAW |= {"fee_limit": 18}
_HEADER = {"timestamp": 1, "txTrieRoot": 2, "parentHash": 3, "number": 7, "witness_id": 8}
_HEADER |= {"witness_address": 9, "version": 10, "accountStateRoot": 11}
_RESULTS = ("DEFAULT", "SUCCESS", "REVERT", "", "", "", "", "", "", "", "OUT_OF_ENERGY")


def encoded(*fields: tuple[int, object]) -> bytes:
    """A protobuf message: numbers, and hex or bytes, by field number; what is 0 or None is absent.

    Empty bytes are kept: an empty message inside another is a message.
    """
    whole = b""
    for number, value in sorted(fields, key=lambda one: one[0]):
        if isinstance(value, int) and value:
            whole += _varint(number << 3) + _varint(value & (1 << 64) - 1)
        elif isinstance(value, str | bytes):
            raw = bytes.fromhex(value) if isinstance(value, str) else value
            whole += _varint(number << 3 | 2) + _varint(len(raw)) + raw
    return whole


def _varint(value: int) -> bytes:
    groups = []
    while True:
        groups.append(value & 127)
        value >>= 7
        if not value:
            return bytes([*(group | 128 for group in groups[:-1]), groups[-1]])


def root(leaves: Sequence[bytes]) -> str:
    """The merkle root over some leaves, by recursion on the level below."""
    level = [sha256(leaf).digest() for leaf in leaves]
    while len(level) > 1:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [sha256(b"".join(pair)).digest() if len(pair) == 2 else pair[0] for pair in pairs]
    return (level or [bytes(32)])[0].hex()


def leaf(tx: Json) -> bytes:
    """A transaction as the root of its block has it."""
    results = [
        encoded(
            (1, result.get("fee")),
            (2, int(result.get("ret") == "FAILED")),
            (3, _RESULTS.index(result.get("contractRet", "DEFAULT"))),
        )
        for result in tx.get("ret", [])
    ]
    signatures = [(2, signature) for signature in tx.get("signature", [])]
    return encoded((1, tx["raw_data_hex"]), *signatures, *((5, result) for result in results))


def block(
    *transactions: Json, height: int = HEIGHT, parent: str = PARENT, **header: object
) -> Json:
    """A block as a full node prints it; `header` fields are added or replaced."""
    raw: Json = {
        "number": height,
        "txTrieRoot": root([leaf(tx) for tx in transactions]),
        "witness_address": WITNESS,
        "parentHash": parent,
        "version": 34,
        "timestamp": TIME_MS,
    } | header
    whole: Json = {"blockID": "", "block_header": {"raw_data": raw, "witness_signature": "ab" * 65}}
    if transactions:
        whole["transactions"] = list(transactions)
    return sealed({**whole, "block_header": {**whole["block_header"], "raw_data": _shown(raw)}})


def sealed(given: Json) -> Json:
    """The block with the id of its header."""
    raw = given["block_header"]["raw_data"]
    header = encoded(*((_HEADER[name], raw.get(name)) for name in _HEADER))
    return {**given, "blockID": f"{raw.get('number', 0):016x}{sha256(header).hexdigest()[16:]}"}


def _shown(raw: Json) -> Json:
    """What a node prints of a message: nothing that has its default."""
    return {name: value for name, value in raw.items() if value not in (0, None)}


def transaction(kind: str = "TransferContract", *, salt: int = 0, **value: object) -> Json:
    """A transaction of one kind of contract that succeeded; `salt` makes others of its like."""
    return signed(kind, value, {"timestamp": TIME_MS - 1000 - salt})


def signed(kind: str, value: Json, raw: Json) -> Json:
    """A transaction with these parameters, and these fields of `raw_data` added or replaced."""
    given: Json = {"owner_address": SENDER} | value
    raw = {
        "ref_block_bytes": "03e7",
        "ref_block_hash": "b0" * 8,
        "expiration": TIME_MS + 57_000,
        "timestamp": TIME_MS - 1000,
    } | raw
    number, names = _VALUES[kind]
    new = given.get("new_contract")
    inner: dict[str, object] = dict(given)
    if isinstance(new, dict):
        inner["new_contract"] = encoded((5, new.get("call_value")), (7, b"Thing"))
    url = f"type.googleapis.com/protocol.{kind}"
    parameter = encoded(
        (1, url.encode()), (2, encoded(*((n, inner.get(k)) for k, n in names.items())))
    )
    contract = encoded((1, number), (2, parameter), (5, raw.get("Permission_id")))
    message = encoded((11, contract), *((n, raw.get(name)) for name, n in _RAW.items())).hex()
    shown: Json = {"parameter": {"value": given, "type_url": url}, "type": kind}
    if "Permission_id" in raw:
        shown["Permission_id"] = raw.pop("Permission_id")
    return {
        "ret": [{"contractRet": "SUCCESS"}],
        "signature": ["5e" * 65],
        "txID": sha256(bytes.fromhex(message)).hexdigest(),
        "raw_data": {"contract": [shown], **raw},
        "raw_data_hex": message,
    }


def info(tx: Json, of: Json, *logs: Json, **fields: object) -> Json:
    """The info of a transaction in a block."""
    raw = of["block_header"]["raw_data"]
    given: Json = {
        "id": tx["txID"],
        "blockNumber": raw["number"],
        "blockTimeStamp": raw["timestamp"],
        "contractResult": [""],
        "receipt": {"net_usage": 268},
    } | fields
    return given | ({"log": list(logs)} if logs else {})


def log(*topics: str, data: str = "", address: str = TOKEN) -> Json:
    """A log as an info has it."""
    return {"address": address[2:], "topics": list(topics), "data": data}


def trc20(value: int = 1, sender: str = SENDER, receiver: str = RECEIVER) -> Json:
    """A log that moves `value` of TOKEN."""
    return log(TRANSFER, word(sender[2:]), word(receiver[2:]), data=f"{value:064x}")


def word(text: str) -> str:
    """Hex as an ABI word."""
    return f"{text:0>64}"


def internal(*moved: Json, note: str = "call", **fields: object) -> Json:
    """A call inside a transaction, from TOKEN to OTHER."""
    return {
        "hash": "1a" * 32,
        "caller_address": TOKEN,
        "transferTo_address": OTHER,
        "callValueInfo": list(moved),
        "note": note.encode().hex(),
    } | fields


def genesis() -> Json:
    """The main network's first block, from the configuration of its nodes.

    Source: tronprotocol/java-tron, config.conf and BlockUtil.newGenesisBlockCapsule.
    """
    accounts = (
        ("4171b0af54e0a1182a5e0947d6a64f3b22740ef318", 99_000_000_000_000_000),
        ("41ef1bd15b5b657f69611b053a6f4fcd7268a50858", 0),
        ("4177944d19c052b73ee2286823aa83f8138cb7032f", -(2**63)),
    )
    owner = b"0x000000000000000000000".hex()
    transactions = []
    for account, amount in accounts:
        value = {"owner_address": owner, "to_address": account, "amount": amount}
        value = {name: given for name, given in value.items() if given != 0}
        raw: Json = dict.fromkeys(_RAW)
        made = signed("TransferContract", value, raw)
        made["raw_data"] = {"contract": made["raw_data"]["contract"]}
        transactions.append({k: made[k] for k in ("txID", "raw_data", "raw_data_hex")})
    motto = (
        b"A new system must allow existing systems to be linked together without requiring any "
        b"central control or coordination"
    )
    made = block(
        *transactions,
        height=0,
        parent="e58f33f9baf9305dc6f82b9f1934ea8f0ade2defb951258d50167028c780351f",
        witness_address=motto.hex(),
        version=0,
        timestamp=0,
    )
    del made["block_header"]["witness_signature"]
    return made


@dataclass(frozen=True)
class Recorded:
    """A block and its infos, as a full node answers for them."""

    block: Json
    infos: list[Json] = field(default_factory=list)

    @property
    def height(self) -> int:
        """Its height."""
        return int(self.block["block_header"]["raw_data"].get("number", 0))

    def raw(self) -> RawBlock:
        """The block in its envelope."""
        return raw(self.block, self.infos)


def raw(given: Mapping[str, Any], infos: Sequence[Mapping[str, Any]] = ()) -> RawBlock:
    """A node's JSON through the wire into the envelope, as the client would hand it over."""
    answers = json.dumps(given).encode(), json.dumps(list(infos)).encode()
    found = tron.decode_block(answers[0])
    said = tron_columns.sent(found)
    ordered = proof.matched_infos(found, said["tx_id"], tron.decode_infos(answers[1]))
    payload = tron_columns.payload(found, said, ordered)
    header = found.header
    return RawBlock(
        height=header.number,
        hash=found.block_id,
        parent_hash=header.parent_hash,
        time_ms=header.timestamp,
        payload=payload,
        size=sum(map(len, answers)),
    )


def recorded(name: str) -> Json:
    """An answer recorded from a node of the main network."""
    answer: Json = json.loads((_DATA / f"{name}.json").read_text())
    return answer


def recordings() -> Recorded:
    """A block of our own that holds the recorded transactions, one with its recorded info."""
    names = ("coin_transfer", "token_transfer", "freeze", "stake")
    transactions = [recorded(f"transaction_{name}") for name in names]
    receipt = recorded("transaction_coin_transfer_receipt")
    made = block(*transactions, height=receipt["blockNumber"], timestamp=receipt["blockTimeStamp"])
    others = [
        info(tx, made, **({"log": [trc20(25_000_000)]} if i == 0 else {}))
        for i, tx in enumerate(transactions[1:])
    ]
    return Recorded(made, [receipt, *others])


def of(*pairs: tuple[Json, Json], logs: Mapping[int, Sequence[Json]] | None = None) -> Recorded:
    """A block of transactions, each with fields of its info."""
    made = block(*(tx for tx, _ in pairs))
    infos = [
        info(tx, made, *(logs or {}).get(i, ()), **fields) for i, (tx, fields) in enumerate(pairs)
    ]
    return Recorded(made, infos)


def chain(stop: int, *, fork: str = "") -> dict[int, Recorded]:
    """Linked blocks of the heights [0, stop); a third is empty, another `fork` has other ids."""
    made: dict[int, Recorded] = {}
    parent = "0" * 64
    for height in range(stop):
        count = height % 3 if height else 0
        sent = [
            transaction(salt=height * 10 + i, to_address=RECEIVER, amount=i + 1)
            for i in range(count)
        ]
        given = block(
            *sent,
            height=height,
            parent=parent,
            timestamp=1_700_000_000_000 + 3000 * height,
            witness_address=(fork.encode().hex() or WITNESS) if height else WITNESS,
        )
        made[height] = Recorded(given, [info(tx, given) for tx in sent])
        parent = given["blockID"]
    return made


def odd_blocks() -> dict[str, Recorded]:
    """Blocks of shapes that Tron has and no recording here, by what is odd in them."""
    return {name.replace("_", "-"): made for name, made in _odd().items()}


def _odd() -> dict[str, Recorded]:
    call: Json = {"contract_address": TOKEN, "data": "a9059cbb"}
    success = {"result": "SUCCESS", "energy_usage_total": 1}
    failed = transaction("TriggerSmartContract", **call, call_value=5)
    failed["ret"] = [{"contractRet": "OUT_OF_ENERGY"}]
    oldest, bare, dear = (transaction(salt=i, to_address=RECEIVER, amount=i + 1) for i in range(3))
    oldest["ret"], dear["ret"] = [{}], [{"contractRet": "SUCCESS", "fee": 7, "ret": "FAILED"}, {}]
    del bare["ret"]
    created = transaction("CreateSmartContract", new_contract={"call_value": 9, "name": "Thing"})
    created["contract_address"] = OTHER
    novel = copy.deepcopy(transaction("NovelContract", novelty={"deep": [1, None, "Ab"]}))
    novel["visible"] = False
    novel["raw_data"]["scripts"] = "00"
    unknown = of((novel, {"novelty": True, "receipt": {"net_usage": 1, "novel_usage": 2}}))
    unknown.infos[0]["log"] = [{**log("01" * 32), "weight": 1.5}]
    unknown.infos[0]["internal_transactions"] = [internal({"callValue": 1, "x": 1}, extra="{}")]
    unknown.block["novelty"] = None
    unknown.block["block_header"]["novelty"] = {}
    unknown.block["block_header"]["raw_data"]["novelty"] = 1
    return {
        "genesis": Recorded(genesis()),
        "empty": Recorded(block()),
        "without_root": Recorded(block(txTrieRoot=None, accountStateRoot="ac" * 32, witness_id=3)),
        "internal_transactions": of(
            (
                transaction("TriggerSmartContract", **call, call_value=14_000_000),
                {
                    "contract_address": TOKEN,
                    "fee": 433_850,
                    "contractResult": ["00" * 32],
                    "receipt": {**success, "energy_fee": 433_850, "energy_penalty_total": 4},
                    "internal_transactions": [
                        internal({}),
                        internal({"callValue": 700_000}),
                        internal({"callValue": 1}, {"callValue": 2, "tokenId": "1002000"}),
                        internal({"callValue": 3, "tokenId": "1000016"}, note="create"),
                        internal({"callValue": 4}, {"callValue": 5}, note="suicide"),
                        internal({"callValue": 6}, rejected=True),
                        internal({"callValue": 7}, note="freezeForEnergy"),
                        internal(),
                    ],
                },
            ),
            logs={0: [trc20(2**256 - 1), log("01" * 32), log()]},
        ),
        "failed": of(
            (
                failed,
                {
                    "result": "FAILED",
                    "resMessage": b"Not enough energy".hex(),
                    "receipt": {"result": "OUT_OF_ENERGY"},
                    "internal_transactions": [internal({"callValue": 1}, rejected=True)],
                },
            )
        ),
        "oldest": of((oldest, {}), (bare, {"contractResult": []}), (dear, {})),
        "assets": of(
            (
                transaction(
                    "TransferAssetContract",
                    asset_name=b"1002000".hex(),
                    to_address=RECEIVER,
                    amount=5,
                ),
                {},
            ),
            (
                transaction("TransferAssetContract", asset_name="ff00", to_address=OTHER, amount=6),
                {},
            ),
            (
                transaction("TriggerSmartContract", **call, call_token_value=7, token_id=1_000_016),
                {"contract_address": TOKEN, "receipt": success},
            ),
            (
                transaction(
                    "ParticipateAssetIssueContract",
                    asset_name=b"SEED".hex(),
                    to_address=OTHER,
                    amount=8,
                ),
                {},
            ),
        ),
        "created": of(
            (created, {"contract_address": OTHER, "contractResult": ["6000", "6001"]}),
            (transaction("WithdrawBalanceContract"), {"withdraw_amount": 2**63 - 1}),
            (transaction("DelegateResourceContract", balance=4, receiver_address=OTHER), {}),
            (transaction("VoteWitnessContract", votes=[{"vote_count": 1}]), {}),
        ),
        "signed_by_several": of(
            (
                {
                    **signed(
                        "TransferContract",
                        {"amount": 1, "to_address": RECEIVER},
                        {"data": b"thanks".hex(), "fee_limit": 9, "Permission_id": 2},
                    ),
                    "signature": ["01" * 65, "02" * 65],
                },
                {"receipt": {}},
            )
        ),
        "unknown_everything": unknown,
    }
