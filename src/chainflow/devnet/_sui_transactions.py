"""Made-up transactions of Sui: payments, swaps, burns and what the system sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainflow.devnet import _sui_bcs as bcs
from chainflow.devnet import _sui_types as types
from chainflow.devnet._sui_scene import (
    FRAMEWORK,
    SUI_TYPE,
    USDC_TYPE,
    Made,
    Scene,
    Value,
    made,
    type_tag,
)
from chainflow.wire import _base58 as base58

if TYPE_CHECKING:
    from collections.abc import Callable

# Circle's packages for version 1 of its cross-chain transfer protocol.
MESSENGER = "0x2aa6c5d56376c371f88a6cc42e852824994993cb9bab8d3e6450cbe3cb32b94e"
TRANSMITTER = "0x08d87d37ba49e785dde270a83f8e979605b03dc552b5548f26fdf2f49bf7ed1b"
EXCHANGE = "0xe5c4a9e0" + "5c" * 28
PRICE = 750
_BUDGET = 5_000_000
_FAILURE_SHARE = 0.06


def prologue(scene: Scene, round_: int, milliseconds: int) -> Made:
    """The system transaction at the head of a commit."""
    data: Value = {
        "epoch": scene.epoch,
        "round": round_,
        "sub_dag_index": None,
        "commit_timestamp_ms": milliseconds,
        "consensus_commit_digest": scene.random_digest(),
        "assignments": {"CancelledTransactionsV2": []},
        "additional_state_digest": scene.random_digest(),
    }
    nothing = {"objectId": "0x0", "version": 0, "digest": base58.encode(bytes(32))}
    sent = bcs.encode(
        types.TRANSACTION,
        {
            "V1": {
                "kind": {"ConsensusCommitPrologueV4": data},
                "sender": "0x0",
                "gas_data": {"payment": [nothing], "owner": "0x0", "price": 1, "budget": 0},
                "expiration": "none",
            }
        },
    )
    scene.digest = bcs.digest("TransactionData", sent)
    scene.tick(milliseconds)
    return made(scene, sent, _gas(0, 0, 0), "Success", [], gas_object=None)


def user(scene: Scene, cast: list[str]) -> Made:
    """A transaction of one of a cast of users."""
    rng = scene.rng
    recipient = rng.choice(cast)
    gas_coin = scene.coin(SUI_TYPE, scene.sender, rng.randint(10**9, 10**12))
    make = rng.choices([_pay, _send, _swap, _burn], weights=[5, 2, 4, 1])[0]
    inputs, commands, act = make(scene, recipient)
    failed = rng.random() < _FAILURE_SHARE
    sent = bcs.encode(
        types.TRANSACTION,
        {
            "V1": {
                "kind": {"ProgrammableTransaction": {"inputs": inputs, "commands": commands}},
                "sender": scene.sender,
                "gas_data": {
                    "payment": [scene.reference(gas_coin)],
                    "owner": scene.sender,
                    "price": PRICE,
                    "budget": _BUDGET,
                },
                "expiration": "none",
            }
        },
    )
    scene.digest = bcs.digest("TransactionData", sent)
    gas = _gas(PRICE * 1000, rng.randint(2_000_000, 5_000_000), rng.randint(900_000, 4_000_000))
    scene.spend(gas_coin, gas["computation_cost"] + gas["storage_cost"] - gas["storage_rebate"])
    events = [] if failed else act()
    status = _abort(len(commands) - 1) if failed else "Success"
    return made(scene, sent, gas, status, events, gas_object=0)


def _pay(
    scene: Scene, recipient: str
) -> tuple[list[Value], list[Value], Callable[[], list[Value]]]:
    """USDC split off a coin and sent on."""
    held = scene.rng.randint(10**6, 10**12)
    amount = scene.rng.randint(1, held)
    coin = scene.coin(USDC_TYPE, scene.sender, held)
    inputs = [
        {"Object": {"ImmOrOwnedObject": scene.reference(coin)}},
        {"Pure": amount.to_bytes(8, "little")},
        {"Pure": bytes.fromhex(recipient[2:])},
    ]
    commands = [
        {"SplitCoins": {"coin": {"Input": 0}, "amounts": [{"Input": 1}]}},
        {
            "TransferObjects": {
                "objects": [{"NestedResult": {"first": 0, "second": 0}}],
                "address": {"Input": 2},
            }
        },
    ]

    def act() -> list[Value]:
        scene.spend(coin, amount)
        scene.give(USDC_TYPE, recipient, amount)
        return []

    return inputs, commands, act


def _send(
    scene: Scene, recipient: str
) -> tuple[list[Value], list[Value], Callable[[], list[Value]]]:
    """USDC from one address balance to another, without a coin."""
    amount = scene.rng.randint(1, 10**10)
    withdrawal = {
        "reservation": {"MaxAmountU64": amount},
        "type_arg": {"Balance": USDC_TYPE},
        "withdraw_from": "Sender",
    }
    inputs = [{"FundsWithdrawal": withdrawal}, {"Pure": bytes.fromhex(recipient[2:])}]
    commands = [
        _call(FRAMEWORK, "balance", "redeem_funds", [USDC_TYPE], [{"Input": 0}]),
        _call(FRAMEWORK, "balance", "send_funds", [USDC_TYPE], [{"Result": 0}, {"Input": 1}]),
    ]

    def act() -> list[Value]:
        scene.accumulate(USDC_TYPE, scene.sender, -amount)
        scene.accumulate(USDC_TYPE, recipient, amount)
        return []

    return inputs, commands, act


def _swap(scene: Scene, _: str) -> tuple[list[Value], list[Value], Callable[[], list[Value]]]:
    """SUI bought with USDC at an exchange, which tells of it."""
    paid = scene.rng.randint(10**6, 10**10)
    coin = scene.coin(USDC_TYPE, scene.sender, paid + scene.rng.randint(0, 10**9))
    pool = scene.random_address()
    shared = {"objectId": pool, "initial_shared_version": 1, "mutability": 1}
    inputs = [
        {"Object": {"SharedObject": shared}},
        {"Object": {"ImmOrOwnedObject": scene.reference(coin)}},
        {"Pure": paid.to_bytes(8, "little")},
    ]
    arguments = [{"Input": 0}, {"Input": 1}, {"Input": 2}]
    commands = [_call(EXCHANGE, "pool", "swap", [SUI_TYPE, USDC_TYPE], arguments)]

    def act() -> list[Value]:
        bought = paid * scene.rng.randint(200, 400)
        scene.spend(coin, paid)
        scene.give(SUI_TYPE, scene.sender, bought)
        contents = (
            bytes.fromhex(pool[2:]) + paid.to_bytes(8, "little") + bought.to_bytes(8, "little")
        )
        kind = type_tag(EXCHANGE, "pool", "Swapped", SUI_TYPE, USDC_TYPE)
        return [_event(scene, EXCHANGE, kind, contents)]

    return inputs, commands, act


def _burn(
    scene: Scene, recipient: str
) -> tuple[list[Value], list[Value], Callable[[], list[Value]]]:
    """USDC burnt here to be minted on Ethereum (domain 0), by version 1 of Circle's protocol."""
    amount, nonce = scene.rng.randint(10**6, 10**10), scene.rng.randint(1, 10**6)
    coin = scene.coin(USDC_TYPE, scene.sender, amount + scene.rng.randint(0, 10**9))
    inputs = [
        {"Object": {"ImmOrOwnedObject": scene.reference(coin)}},
        {"Pure": amount.to_bytes(8, "little")},
        {"Pure": bytes.fromhex(recipient[2:])},
    ]
    arguments = [{"NestedResult": {"first": 0, "second": 0}}, {"Input": 2}]
    commands = [
        {"SplitCoins": {"coin": {"Input": 0}, "amounts": [{"Input": 1}]}},
        _call(MESSENGER, "deposit_for_burn", "deposit_for_burn", [USDC_TYPE], arguments),
    ]
    sender, token = _raw(scene.sender), _raw(f"0x{1:064x}")
    mint_to, there = bytes(12) + _raw(recipient)[:20], bytes(12) + _raw(MESSENGER)[:20]
    body = _big(0, 4) + token + mint_to + _big(amount, 32) + sender
    message = _big(0, 4) + _big(8, 4) + _big(0, 4) + _big(nonce, 8) + _raw(MESSENGER) + there
    message += bytes(32) + body
    burnt = (nonce.to_bytes(8, "little"), token, amount.to_bytes(8, "little"), sender, mint_to)
    told = b"".join((*burnt, bytes(4), there, bytes(32)))

    def act() -> list[Value]:
        scene.spend(coin, amount)
        sent = type_tag(TRANSMITTER, "send_message", "MessageSent")
        deposit = type_tag(MESSENGER, "deposit_for_burn", "DepositForBurn")
        return [
            _event(scene, MESSENGER, sent, bcs.encode("bytes", message)),
            _event(scene, MESSENGER, deposit, told),
        ]

    return inputs, commands, act


def _event(scene: Scene, package: str, kind: Value, contents: bytes) -> Value:
    return {
        "package_id": package,
        "module": kind["struct"]["module"],
        "sender": scene.sender,
        "type": kind["struct"],
        "contents": contents,
    }


def _raw(address: str) -> bytes:
    return bytes.fromhex(address[2:])


def _big(number: int, size: int) -> bytes:
    return number.to_bytes(size, "big")


def _call(
    package: str, module: str, function: str, types: list[Value], arguments: list[Value]
) -> Value:
    return {
        "MoveCall": {
            "package": package,
            "module": module,
            "function": function,
            "type_arguments": types,
            "arguments": arguments,
        }
    }


def _abort(command: int) -> Value:
    location = {
        "package": EXCHANGE,
        "module": "pool",
        "function": 4,
        "instruction": 21,
        "function_name": "swap",
    }
    return {
        "Failure": {"error": {"MoveAbort": {"location": location, "code": 7}}, "command": command}
    }


def _gas(computation: int, storage: int, rebate: int) -> dict[str, int]:
    return {
        "computation_cost": computation,
        "storage_cost": storage,
        "storage_rebate": rebate,
        "non_refundable_storage_fee": rebate // 99,
    }
