"""What the sender of a Tron transaction signed, as protobuf classes: fields that become columns.

Built from a table when this module is imported, as those of Sui are, and for the same reasons. What
is not in the table is skipped; bytes are not looked at.

Source: tronprotocol/java-tron, core/Tron.proto and core/contract/*.proto.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

if TYPE_CHECKING:
    from collections.abc import Mapping

_PACKAGE = "protocol"
_OWNER = {"owner_address": 1}
_CALLED = _OWNER | {"contract_address": 2}
_LENT = _OWNER | {"receiver_address": 4}
_FROZEN = _OWNER | {"receiver_address": 15}

CONTRACTS: Mapping[str, Mapping[str, int]] = {
    "TransferContract": _OWNER | {"to_address": 2, "amount": 3},
    "TransferAssetContract": {"asset_name": 1, "owner_address": 2, "to_address": 3, "amount": 4},
    "TriggerSmartContract": _CALLED
    | {"call_value": 3, "data": 4, "call_token_value": 5, "token_id": 6},
    "CreateSmartContract": _OWNER | {"new_contract": 2, "call_token_value": 3, "token_id": 4},
    "ParticipateAssetIssueContract": _OWNER | {"to_address": 2, "asset_name": 3, "amount": 4},
    "FreezeBalanceContract": _FROZEN,
    "UnfreezeBalanceContract": _FROZEN,
    "DelegateResourceContract": _LENT,
    "UnDelegateResourceContract": _LENT,
    "UpdateSettingContract": _CALLED,
    "UpdateEnergyLimitContract": _CALLED,
    "ClearABIContract": _CALLED,
    "AccountUpdateContract": {"owner_address": 2},
    "SetAccountIdContract": {"owner_address": 2},
    "FreezeBalanceV2Contract": _OWNER,
    "UnfreezeBalanceV2Contract": _OWNER,
    "WithdrawExpireUnfreezeContract": _OWNER,
    "CancelAllUnfreezeV2Contract": _OWNER,
    "WithdrawBalanceContract": _OWNER,
    "VoteWitnessContract": _OWNER,
    "AccountCreateContract": _OWNER,
    "AccountPermissionUpdateContract": _OWNER,
}
"""By kind of contract, the parameters that become columns, and the numbers of their fields."""

RAW_DATA = {
    "ref_block_bytes": 1,
    "ref_block_hash": 4,
    "expiration": 8,
    "data": 10,
    "timestamp": 14,
    "fee_limit": 18,
}
"""As CONTRACTS, of the message that is signed; beside these it has the contract."""

_TABLE: Mapping[str, Mapping[str, int]] = {
    **CONTRACTS,
    "SmartContract": {"call_value": 5},
    "Any": {"type_url": 1, "value": 2},
    "Contract": {"parameter": 2, "permission_id": 5},
    "Raw": {**RAW_DATA, "contract": 11},
}
_NESTED = {"new_contract": "SmartContract", "parameter": "Any", "contract": "Contract"}
_NUMBERS = frozenset({"amount", "call_value", "call_token_value", "token_id", "permission_id"})
_NUMBERS |= {"expiration", "timestamp", "fee_limit"}


def _file() -> FileDescriptorProto:
    described = FileDescriptorProto(name="chainflow/tron.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _TABLE.items():
        message = described.message_type.add(name=name)
        for field_name, number in fields.items():
            field = message.field.add(name=field_name, number=number)
            many = field_name == "contract"
            field.label = (
                FieldDescriptorProto.LABEL_REPEATED if many else FieldDescriptorProto.LABEL_OPTIONAL
            )
            if field_name in _NESTED:
                field.type = FieldDescriptorProto.TYPE_MESSAGE
                field.type_name = f".{_PACKAGE}.{_NESTED[field_name]}"
            elif field_name in _NUMBERS:
                field.type = FieldDescriptorProto.TYPE_INT64
            else:
                field.type = FieldDescriptorProto.TYPE_BYTES
    return described


_pool = DescriptorPool()
_pool.Add(_file())


@cache
def message(name: str) -> Any:  # noqa: ANN401 - a class made at run time
    """The class of a message: `Raw`, or a kind of contract of CONTRACTS."""
    return GetMessageClass(_pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
