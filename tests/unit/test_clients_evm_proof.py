"""What a block's own hash, bloom and roots prove of it, and what they cannot."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from chainflow.clients import _evm_agree as agree
from chainflow.clients import _evm_roots as roots
from chainflow.clients._evm_proof import Proof
from chainflow.clients._evm_unproven import UNPROVEN
from chainflow.devnet import evm as devnet
from chainflow.errors import MalformedAnswer
from chainflow.types import Chain, Verify
from chainflow.wire import evm as wire
from chainflow.wire.evm_columns import told
from tests import evm
from tests import evm_oracle as oracle
from tests.evm import Json, Recorded, recorded

CHAIN_IDS = {
    "arbitrum": 42161,
    "arbitrum-sepolia": 421614,
    "base-goerli": 84531,
    "ethereum": 1,
    "fantom": 250,
    "polygon": 137,
    "sonic": 146,
    "zksync": 324,
}
SIMULATED = {
    **CHAIN_IDS,
    "avalanche": 43114,
    "base": 8453,
    "bnb": 56,
    "celo": 42220,
    "mantle": 5000,
    "optimism": 10,
    "unheard-of": 987654,
}
NOW = 1_800_000_000.0


def chain(name: str, verify: Verify = "roots", chain_id: int | str | None = None) -> Chain:
    """A chain of that name; with no id, of the one it has."""
    return Chain(name, "evm", chain_id or SIMULATED.get(name), 60.0, verify=verify)


def check(of: Chain | Proof, block: Mapping[str, Any], receipts: list[Json] | None) -> None:
    """Pass, or raise what the client would."""
    made = wire.decode_block(json.dumps(block).encode())
    given = None if receipts is None else wire.decode_receipts(json.dumps(receipts).encode())
    height = int(made.number, 16)
    agree.check_block(made, height)
    if given is not None:
        agree.check_receipts(made, given, told(made, given), height, system_logs=False)
    (of if isinstance(of, Proof) else Proof(of)).check(made, given, height)


def sealed(block: Json, receipts: list[Json], fields: str = oracle.HEADER) -> Json:
    """The block under the true hash of its header, which its parts name."""
    block["hash"] = oracle.header_hash(block, fields)
    for part in (*block["transactions"], *receipts, *(log for r in receipts for log in r["logs"])):
        part["blockHash"] = block["hash"]
    return block


def london(name: str = "ethereum") -> tuple[Json, list[Json]]:
    """A recorded block of few transactions, with all its receipts, to be changed."""
    heights = {"ethereum": 13998626, "sonic": 1000001, "polygon": 23887160}
    return _copy(name, heights[name])


def _copy(name: str, height: int) -> tuple[Json, list[Json]]:
    one = recorded(name, height)
    assert one.receipts is not None
    return copy.deepcopy(one.block), copy.deepcopy(one.receipts)


HEADER = oracle.HEADER + oracle.ETHEREUM
RECORDINGS = [one for one in evm.recordings() if one.chain in CHAIN_IDS]


# What is right passes


@pytest.mark.parametrize("verify", ["roots", "hashes", "none"])
@pytest.mark.parametrize("one", RECORDINGS, ids=str)
def test_recorded_block_is_proven(one: Recorded, verify: Verify) -> None:
    """Of every chain and fork recorded, with its receipts where they are all there."""
    check(chain(one.chain, verify), one.block, one.receipts if one.complete else None)


def test_every_recorded_chain_is_proven() -> None:
    """No recording is left out for want of a chain id."""
    assert {one.chain for one in evm.recordings()} == set(CHAIN_IDS)


@pytest.mark.parametrize("name", SIMULATED)
def test_simulated_block_is_proven(name: str) -> None:
    """The devnet's chains pass as the chains whose ids they have."""
    simulated = devnet.simulate(chain(name), seed=7, began=NOW, interval=1.0, backlog=20)
    proofs = Proof(chain(name)), Proof(chain(name, "hashes"))
    for height in range(simulated.first, simulated.head + 1):
        block = _asked(simulated, "eth_getBlockByNumber", hex(height), True)
        receipts = _asked(simulated, "eth_getBlockReceipts", hex(height))
        for proof in proofs:
            check(proof, block, receipts)


def _asked(simulated: devnet.Evm, method: str, *params: object) -> Any:  # noqa: ANN401 - JSON
    body = json.dumps({"id": 1, "method": method, "params": params}).encode()
    return json.loads(simulated.respond(body))["result"]


# What is altered is refused

# No hash covers these: what a node derives or adds, and what only it knows.
_DERIVED = {
    "block": {"size", "totalDifficulty", "l1BlockNumber", "sendCount", "sendRoot"}
    | {"epoch", "timestampNano"},
    "transactions": {"blockTimestamp"},
    "receipts": {"effectiveGasPrice", "to", "contractAddress", "gasUsedForL1", "l1BlockNumber"},
    # The tables take it from the block, and keep what differs in `extra`.
    "logs": {"blockTimestamp"},
}
# What a type's encoding does not hold: the price paid, not bid; an internal transaction's fillings.
_UNSIGNED = {
    "0x0": {"chainId"},
    "0x2": {"gasPrice"},
    "0x6a": {"gasPrice", "nonce", "gas", "to", "value", "v", "r", "s"},
}


def _leaves(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(part, (*path, key))


def _covered(answer: Json, path: tuple[str | int, ...]) -> bool:
    """Whether a hash covers that text of a block or its receipts."""
    names = [step for step in path if isinstance(step, str)]
    where, name = next(n for n in reversed(names[:-1]) if n in _DERIVED), names[-1]
    if where == "transactions":
        tx = answer["block"]["transactions"][path[2]]
        return name not in _DERIVED[where] | _UNSIGNED.get(tx["type"], set())
    return name not in _DERIVED[where]


@pytest.mark.parametrize(
    ("name", "height"),
    [
        ("ethereum", 1000000),
        ("ethereum", 13998626),
        ("polygon", 23887160),
        ("sonic", 1000001),
        ("arbitrum", 150000000),
    ],
)
def test_any_altered_digit_is_refused(name: str, height: int) -> None:
    """In every field that the hashes cover; and it is written down here which they do not."""
    one = recorded(name, height)
    answer: Json = copy.deepcopy({"block": one.block, "receipts": one.receipts})
    proof = Proof(chain(name))
    for path in _leaves(answer):
        *way, last = path
        holder: Any = answer
        for step in way:
            holder = holder[step]
        given = holder[last]
        if given == "0x":
            continue
        covered = _covered(answer, path)
        holder[last] = f"{given[:-1]}{int(given[-1], 16) ^ 1:x}"
        if covered:
            with pytest.raises(MalformedAnswer):
                check(proof, answer["block"], answer["receipts"])
        else:
            check(proof, answer["block"], answer["receipts"])
        holder[last] = given


def _without_transaction(block: Json, receipts: list[Json]) -> None:
    block["transactions"].pop()
    receipts.pop()


def _twice(block: Json, receipts: list[Json]) -> None:
    for rows in (block["transactions"], receipts):
        last = copy.deepcopy(rows[-1])
        last["transactionIndex"] = hex(len(rows))
        for log in last.get("logs", ()):
            log["transactionIndex"] = hex(len(rows))
        rows.append(last)


def _without_log(_: Json, receipts: list[Json]) -> None:
    next(one for one in receipts if one["logs"])["logs"].pop()


def _without_logs(_: Json, receipts: list[Json]) -> None:
    for one in receipts:
        one.update(logs=[], logsBloom="0x" + "0" * 512)


def _blanks(block: Json, _: list[Json]) -> None:
    tx = next(one for one in block["transactions"] if len(one["input"]) > 6)
    tx["input"] = f"0x  {tx['input'][4:]}"


FAULTS: dict[str, tuple[Callable[[Json, list[Json]], None], str]] = {
    "a transaction dropped": (_without_transaction, "transactionsRoot is 0x"),
    "a transaction doubled": (_twice, "transactionsRoot is 0x"),
    "a log dropped": (_without_log, "receiptsRoot is 0x"),
    "all logs dropped": (_without_logs, "receiptsRoot is 0x"),
    "an empty hash": (lambda b, _: b.update(receiptsRoot=None), "the header cannot be hashed"),
    "a gas limit that is none": (lambda b, _: b.update(gasLimit="0xg"), "header cannot be hashed"),
    "blanks for a byte": (_blanks, r"transaction \d+ cannot be hashed: there are blanks"),
    "another type in a receipt": (
        lambda _, r: r[0].update(type="0x3"),
        r"receipt 0 is of type 0x3, its transaction of 0x",
    ),
    "another sender in a receipt": (
        lambda _, r: r[0].update({"from": "0x" + "aa" * 20}),
        r"receipt 0 is from 0xaaaa.*, its transaction from 0x",
    ),
    "another share of the gas": (
        lambda _, r: r[0].update(gasUsed="0x1"),
        r"receipt 0 says 1 gas used, its place \d+",
    ),
    "a log of another transaction's place": (
        lambda _, r: next(one for one in r if one["logs"])["logs"][0].update(
            transactionIndex="0x63"
        ),
        "a log with another transaction's index",
    ),
    "a withdrawal from nowhere": (
        lambda b, _: b.update(
            withdrawals=[
                {"index": "0x1", "validatorIndex": "0x2", "address": evm.TOKEN, "amount": "0x3"}
            ]
        ),
        "withdrawalsRoot is missing, but what came gives 0x",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_told_by_what_was_expected_and_what_came(fault: str) -> None:
    """The error names the height, the thing, and both values."""
    change, words = FAULTS[fault]
    block, receipts = london()
    change(block, receipts)
    with pytest.raises(MalformedAnswer, match=f"^height 13998626: .*{words}"):
        check(chain("ethereum"), block, receipts)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_without_log, r"logsBloom is not that of the 1 logs that came: \d+ of its bits have no"),
        (lambda b, _: b.update(gasUsed="0x1"), r"the block's hash is 0x\w{64}, but what came"),
    ],
)
def test_hashes_prove_header_and_logs(
    change: Callable[[Json, list[Json]], None], words: str
) -> None:
    """The header by its hash, the logs by its bloom."""
    block, receipts = london("sonic")
    change(block, receipts)
    with pytest.raises(MalformedAnswer, match=words):
        check(chain("sonic", "hashes"), block, receipts)


def test_hashes_leave_the_roots_alone() -> None:
    """What only a root would show passes, as the operator said."""
    block, receipts = london()
    block["transactions"][0]["value"] = "0x7"
    receipts[0]["gasUsed"] = "0x7"
    check(chain("ethereum", "hashes"), block, receipts)
    with pytest.raises(MalformedAnswer):
        check(chain("ethereum"), block, receipts)


def test_none_proves_nothing() -> None:
    """For chains whose hashes mean something else."""
    block, receipts = london()
    block["gasUsed"], receipts[0]["logs"] = "0x7", []
    check(chain("ethereum", "none"), block, receipts)


def test_blocks_without_receipts_are_proven_as_far_as_they_go() -> None:
    """Where no dataset needs receipts, header and transactions are still proven."""
    block, _ = london()
    check(chain("ethereum"), block, None)
    block["transactions"][0]["value"] = "0x7"
    with pytest.raises(MalformedAnswer, match="the hash of transaction 0 is 0x"):
        check(chain("ethereum"), block, None)


@pytest.mark.parametrize(
    ("part", "verify"), [("stateRoot", "none"), ("value", "hashes"), ("address", "hashes")]
)
def test_error_names_the_key_that_asks_for_less(part: str, verify: str) -> None:
    """Whether a chain's form is new or its node lies cannot be seen; the operator decides."""
    block, receipts = london("sonic")
    holder = {
        "stateRoot": block,
        "value": block["transactions"][0],
        "address": next(one for one in receipts if one["logs"])["logs"][0],
    }[part]
    holder[part] = f"0x{'7' * (len(holder[part]) - 2)}"
    with pytest.raises(MalformedAnswer, match=f"every endpoint.*needs `verify: {verify}`$"):
        check(chain("a new one", chain_id=99999), block, receipts)


# Chains and types that cannot be proven whole


def _novel(kind: str, *, root: bool = True) -> tuple[Json, list[Json]]:
    """A block whose first transaction is of a type that nobody knows, and its receipt with it."""
    block, receipts = london()
    block["transactions"][0]["type"] = receipts[0]["type"] = kind
    if root:
        encoded = [oracle.receipt({"type": "0x0", **one}) for one in receipts]
        block["receiptsRoot"] = oracle.root(encoded)
    return sealed(block, receipts, HEADER), receipts


def test_unknown_type_is_taken_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Its receipt proves the type; how it is encoded is not known, so its own fields are not."""
    block, receipts = _novel("0x99")
    proof = Proof(chain("ethereum"))
    with caplog.at_level(logging.WARNING):
        check(proof, block, receipts)
        check(proof, block, receipts)
    (told,) = caplog.messages
    assert "chain=ethereum height=13998626 type=0x99" in told


def test_unknown_type_does_not_open_the_door_to_the_others() -> None:
    """The other transactions keep their hashes, the receipts their root."""
    block, receipts = _novel("0x99")
    block["transactions"][1]["value"] = "0x7"
    with pytest.raises(MalformedAnswer, match="the hash of transaction 1"):
        check(chain("ethereum"), block, receipts)
    with pytest.raises(MalformedAnswer, match="receiptsRoot"):
        check(chain("ethereum"), *_novel("0x99", root=False))


def test_state_sync_is_outside_of_polygons_roots_alone() -> None:
    """On another chain the same transaction is one too many."""
    block, receipts = london("polygon")
    made = wire.decode_block(json.dumps(block).encode())
    place = {"transactionHash": agree.state_sync_hash(made), "transactionIndex": "0x1"}
    zero = {"from": "0x" + "0" * 40, "to": "0x" + "0" * 40}
    added = {"hash": place["transactionHash"], "transactionIndex": "0x1", "type": "0x0", **zero}
    block["transactions"].append({**block["transactions"][0], **added})
    log = {**receipts[0]["logs"][0], **place}
    receipts.append({**receipts[0], **place, **zero, "logs": [log], "cumulativeGasUsed": "0x0"})
    check(chain("polygon"), block, receipts)
    log["topics"] = [evm.TRANSFER, "0x" + "5e" * 32]
    for verify in ("roots", "hashes"):
        check(chain("polygon", verify), block, receipts)
        with pytest.raises(MalformedAnswer):
            check(chain("ethereum", verify), block, receipts)


def test_state_sync_that_roots_know_leaves_one_root_unproven() -> None:
    """Since PIP-74 it is of type 0x7f, and its receipt is proven like any other."""
    block, receipts = _novel("0x7f")
    check(chain("polygon"), block, receipts)


def _helicon() -> tuple[Json, list[Json]]:
    """An Avalanche block since Helicon: bloom and receiptsRoot are of the block it settles."""
    block, receipts = london()
    block |= {"extDataHash": "0x" + "5e" * 32, "settledHeight": "0xd599e0", "settledExcess": "0x0"}
    block |= {"receiptsRoot": "0x" + "11" * 32, "logsBloom": "0x" + "00" * 256}
    return sealed(block, receipts, oracle.HEADER + oracle.AVALANCHE), receipts


@pytest.mark.parametrize("verify", ["roots", "hashes"])
def test_receipts_of_a_block_that_settles_others_are_held_to_their_own_blooms(
    verify: Verify,
) -> None:
    """Nothing in the block proves them; a log lost on the way is still seen."""
    check(chain("avalanche", verify), *_helicon())
    block, receipts = _helicon()
    _without_log(block, receipts)
    with pytest.raises(MalformedAnswer, match="logsBloom is not that"):
        check(chain("avalanche", verify), block, receipts)


def test_fantom_is_proven_by_what_its_node_vouches_for() -> None:
    """Its header is no hash's; roots and bloom are checked where the node computes them."""
    one = recorded("fantom", 2)
    assert one.receipts is not None
    zeros = {"receiptsRoot": "0x" + "0" * 64, "logsBloom": "0x" + "0" * 512}
    check(chain("fantom"), {**one.block, **zeros, "gasLimit": "0x1"}, one.receipts)
    for change in ({"transactionsRoot": "0x" + "11" * 32}, {"receiptsRoot": "0x" + "11" * 32}):
        with pytest.raises(MalformedAnswer):
            check(chain("fantom"), {**one.block, **change}, one.receipts)
    bloom = {"logsBloom": "0x" + "0" * 511 + "1"}
    with pytest.raises(MalformedAnswer, match="logsBloom"):
        check(chain("fantom"), {**one.block, **bloom}, one.receipts)


def test_receipts_before_byzantium_are_proven_where_their_roots_are_kept() -> None:
    """Without them the bloom is what is left."""
    one = recorded("ethereum", 1000000)
    receipts = [{**row, "root": None, "status": "0x1"} for row in one.receipts or ()]
    check(chain("ethereum"), one.block, receipts)
    place = {"blockHash": one.block["hash"], "blockNumber": one.block["number"]}
    named = {"transactionHash": receipts[0]["transactionHash"], "transactionIndex": "0x0"}
    receipts[0]["logs"] = [evm.log(0, evm.TRANSFER, **place, **named)]
    with pytest.raises(MalformedAnswer, match="logsBloom"):
        check(chain("ethereum"), one.block, receipts)


def test_hashes_of_any_length_are_told_apart() -> None:
    """Rows of a store may hold such: a digit that went from one hash to the next is found."""
    block = wire.decode_block(json.dumps(recorded("ethereum", 18000000).block).encode())
    one, two = block.transactions[1:3]
    one.hash, two.hash = one.hash + two.hash[:1], two.hash[1:]
    with pytest.raises(MalformedAnswer, match="the hash of transaction 1 is 0x"):
        roots.check_transactions(block, len(block.transactions), 18000000)


def test_withdrawals_are_proven_but_on_the_op_stack() -> None:
    """A deposit opens each of its blocks, and withdrawalsRoot is that of a storage there."""
    block, receipts = _copy("ethereum", 18000000)
    block["withdrawals"].pop()
    with pytest.raises(MalformedAnswer, match="withdrawalsRoot is 0x"):
        check(chain("ethereum"), block, receipts)
    block["withdrawals"] = None
    with pytest.raises(MalformedAnswer, match="withdrawalsRoot is 0x"):
        check(chain("ethereum"), block, receipts)
    block, receipts = _copy("base-goerli", 1041847)
    block |= {"withdrawalsRoot": "0x" + "5e" * 32, "withdrawals": []}
    check(chain("base"), sealed(block, receipts, HEADER), receipts)


def test_genesis_may_hold_anything_for_its_roots() -> None:
    """Hardhat's does; the header's hash stands for it."""
    block = copy.deepcopy(recorded("polygon", 0).block)
    block["transactionsRoot"] = block["receiptsRoot"] = "0x" + "c5" * 32
    check(chain("polygon"), sealed(block, [], HEADER), [])
    with pytest.raises(MalformedAnswer, match="the block's hash"):
        check(chain("polygon"), {**block, "timestamp": "0x1"}, [])


@pytest.mark.parametrize("chain_id", UNPROVEN)
def test_what_cannot_be_proven_is_told_once_with_its_reason(
    chain_id: int, caplog: pytest.LogCaptureFixture
) -> None:
    """In the log of the first block that it is left out of."""
    one = recorded("polygon", 9013766)
    proof = Proof(chain("odd", chain_id=chain_id))
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            try:
                check(proof, one.block, [])
            except MalformedAnswer:
                continue
    reasons = [line for line in caplog.messages if line.startswith("unproven blocks chain=odd")]
    assert len(reasons) == len(UNPROVEN[chain_id])
    for line, odd in zip(reasons, UNPROVEN[chain_id], strict=True):
        assert line.endswith(f"reason={odd.why}")
