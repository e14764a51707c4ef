"""What a made-up transaction of Sui takes and leaves: coins, balances, the clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chainflow.devnet import _sui_bcs as bcs
from chainflow.devnet import _sui_types as types
from chainflow.wire import _base58 as base58

if TYPE_CHECKING:
    import random

Value = Any  # what a type of `_sui_bcs` describes

FRAMEWORK, CLOCK = "0x2", "0x6"
# Circle's own USDC on mainnet.
USDC = "0xdba34672e30cb065b1f93e3ab55318768fd6fef66c15942c9f7cb846e2f900e7"


def type_tag(address: str, module: str, name: str, *parameters: Value) -> Value:
    """A struct's type."""
    tag = {"address": address, "module": module, "name": name, "type_params": list(parameters)}
    return {"struct": tag}


SUI_TYPE = type_tag(FRAMEWORK, "sui", "SUI")
USDC_TYPE = type_tag(USDC, "usdc", "USDC")


@dataclass(frozen=True, slots=True)
class Made:
    """One transaction and all that comes with it, as BCS; `gas` are the four amounts it paid."""

    transaction: bytes
    effects: bytes
    events: bytes | None
    objects: list[bytes]
    gas: dict[str, int]
    signed: bool


@dataclass(slots=True)
class Scene:
    """What one transaction takes and leaves while it is made up."""

    rng: random.Random
    version: int
    epoch: int
    sender: str
    digest: str = ""
    changes: list[Value] = field(default_factory=list)
    objects: list[bytes] = field(default_factory=list)

    def random_digest(self) -> str:
        """Thirty-two random bytes."""
        return base58.encode(self.rng.randbytes(32))

    def random_address(self) -> str:
        """An address or id that nothing else has."""
        return "0x" + self.rng.randbytes(32).hex()

    def reference(self, coin: Value) -> Value:
        """A coin as an input."""
        return {"objectId": coin["id"], "version": coin["version"], "digest": coin["digest"]}

    def coin(self, kind: Value, owner: str, balance: int) -> Value:
        """A coin that was there before."""
        id_, version = self.random_address(), self.version - self.rng.randint(1, 99)
        held = coin_object(kind, id_, version, owner, balance, self.random_digest())
        return {
            "id": id_,
            "version": version,
            "kind": kind,
            "owner": owner,
            "balance": balance,
            "bcs": held,
            "digest": bcs.digest("Object", held),
        }

    def spend(self, coin: Value, amount: int) -> None:
        """Leave that much less in a coin."""
        self._take(coin, {"ObjectWrite": self._written(coin, coin["balance"] - amount)}, "none")

    def give(self, kind: Value, owner: str, balance: int) -> None:
        """Make a coin."""
        coin = {"id": self.random_address(), "kind": kind, "owner": owner}
        written = self._written(coin, balance)
        self._change(coin["id"], "NotExist", {"ObjectWrite": written}, "Created")

    def accumulate(self, kind: Value, owner: str, amount: int) -> None:
        """Put money into an address balance, or take it out."""
        write = {
            "address": owner,
            "type": type_tag(FRAMEWORK, "balance", "Balance", kind),
            "operation": "Merge" if amount >= 0 else "Split",
            "value": {"Integer": abs(amount)},
        }
        self._change(self.random_address(), "NotExist", {"AccumulatorWriteV1": write}, "none")

    def tick(self, milliseconds: int) -> None:
        """Set the clock, as each commit does."""
        owner = {"Shared": {"initial_shared_version": 1}}
        before, after = (
            _clock(version, time, self.random_digest())
            for version, time in (
                (self.version - 1, milliseconds - 250),
                (self.version, milliseconds),
            )
        )
        self.objects += [before, after]
        was = {
            "version": self.version - 1,
            "digest": bcs.digest("Object", before),
            "owner": owner,
        }
        now = {"digest": bcs.digest("Object", after), "owner": owner}
        self._change(CLOCK, {"Exist": was}, {"ObjectWrite": now}, "none")

    def _take(self, coin: Value, after: Value, operation: str) -> None:
        owner = {"AddressOwner": coin["owner"]}
        before = {"version": coin["version"], "digest": coin["digest"], "owner": owner}
        self.objects.append(coin["bcs"])
        self._change(coin["id"], {"Exist": before}, after, operation)

    def _written(self, coin: Value, balance: int) -> Value:
        held = coin_object(
            coin["kind"], coin["id"], self.version, coin["owner"], balance, self.digest
        )
        self.objects.append(held)
        return {"digest": bcs.digest("Object", held), "owner": {"AddressOwner": coin["owner"]}}

    def _change(self, id_: str, before: Value, after: Value, operation: str) -> None:
        self.changes.append(
            {
                "objectId": id_,
                "input_state": before,
                "output_state": after,
                "id_operation": operation,
            }
        )


def made(
    scene: Scene,
    sent: bytes,
    gas: dict[str, int],
    status: Value,
    events: list[Value],
    *,
    gas_object: int | None,
) -> Made:
    told = bcs.encode(types.EVENTS, events) if events else None
    effects = {
        "status": status,
        "executed_epoch": scene.epoch,
        "gas_used": gas,
        "transaction_digest": scene.digest,
        "gas_object_index": gas_object,
        "events_digest": bcs.digest("TransactionEvents", told) if told else None,
        "dependencies": [scene.random_digest()],
        "lamport_version": scene.version,
        "changed_objects": scene.changes,
        "unchanged_consensus_objects": [],
        "aux_data_digest": None,
    }
    return Made(
        transaction=sent,
        effects=bcs.encode(types.EFFECTS, {"V2": effects}),
        events=told,
        objects=scene.objects,
        gas=gas,
        signed=gas_object is not None,
    )


def coin_object(
    kind: Value,
    id_: str,
    version: int,
    owner: str,
    balance: int,
    previous: str,
    *,
    rebate: int = 988_000,
) -> bytes:
    """A coin; `previous` is the transaction that wrote it."""
    move = {
        "type": "GasCoin" if kind == SUI_TYPE else {"Coin": kind},
        "has_public_transfer": True,
        "version": version,
        "contents": bytes.fromhex(id_[2:]) + balance.to_bytes(8, "little"),
    }
    return _object({"Move": move}, {"AddressOwner": owner}, previous, rebate)


def _clock(version: int, milliseconds: int, previous: str) -> bytes:
    move = {
        "type": {"Other": type_tag(FRAMEWORK, "clock", "Clock")["struct"]},
        "has_public_transfer": False,
        "version": version,
        "contents": (6).to_bytes(32, "big") + milliseconds.to_bytes(8, "little"),
    }
    return _object({"Move": move}, {"Shared": {"initial_shared_version": 1}}, previous, 0)


def _object(data: Value, owner: Value, previous: str, rebate: int) -> bytes:
    value = {
        "data": data,
        "owner": owner,
        "previous_transaction": previous,
        "storage_rebate": rebate,
    }
    return bcs.encode(types.OBJECT, value)
