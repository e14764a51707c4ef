"""The `sui.rpc.v2` messages, as much of them as is read here, as protobuf classes.

They are built from a table when this module is imported, not by `protoc`: code it generates refuses
either protobuf 4.25 or 6.33, and both are pinned by an Airflow we support. They live in a pool of
their own, so another package may define `sui.rpc.v2` as well. What is not in the table is skipped.

Source: MystenLabs/sui-apis, proto/sui/rpc/v2 (field numbers as of version 1.5.1 of pysui, too).
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

_PACKAGE = "sui.rpc.v2"
_SCALARS = {
    "string": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "uint64": FieldDescriptorProto.TYPE_UINT64,
}
# By message its fields: name, number, type; `*` marks a repeated one.
_TABLE = {
    "FieldMask": (("paths", 1, "*string"),),
    "Bcs": (("value", 2, "bytes"),),
    "CheckpointSummary": (("bcs", 1, "Bcs"),),
    "CheckpointContents": (("bcs", 1, "Bcs"),),
    "Transaction": (("bcs", 1, "Bcs"),),
    "TransactionEffects": (("bcs", 1, "Bcs"),),
    "TransactionEvents": (("bcs", 1, "Bcs"),),
    "Object": (("bcs", 1, "Bcs"),),
    "ObjectSet": (("objects", 1, "*Object"),),
    "ExecutedTransaction": (
        ("transaction", 2, "Transaction"),
        ("effects", 4, "TransactionEffects"),
        ("events", 5, "TransactionEvents"),
    ),
    "Checkpoint": (
        ("sequence_number", 1, "uint64"),
        ("digest", 2, "string"),
        ("summary", 3, "CheckpointSummary"),
        ("contents", 5, "CheckpointContents"),
        ("transactions", 6, "*ExecutedTransaction"),
        ("objects", 7, "ObjectSet"),
    ),
    "GetServiceInfoRequest": (),
    "GetServiceInfoResponse": (
        ("chain_id", 1, "string"),
        ("checkpoint_height", 4, "uint64"),
        ("lowest_available_checkpoint", 6, "uint64"),
        ("lowest_available_checkpoint_objects", 7, "uint64"),
    ),
    "GetCheckpointRequest": (("sequence_number", 1, "uint64"), ("read_mask", 3, "FieldMask")),
    "GetCheckpointResponse": (("checkpoint", 1, "Checkpoint"),),
}


def _file() -> FileDescriptorProto:
    described = FileDescriptorProto(
        name="chainflow/sui_rpc_v2.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in _TABLE.items():
        message = described.message_type.add(name=name)
        for field_name, number, kind in fields:
            plain = kind.lstrip("*")
            field = message.field.add(name=field_name, number=number)
            field.label = (
                FieldDescriptorProto.LABEL_REPEATED
                if kind.startswith("*")
                else FieldDescriptorProto.LABEL_OPTIONAL
            )
            if plain in _SCALARS:
                field.type = _SCALARS[plain]
            else:
                field.type = FieldDescriptorProto.TYPE_MESSAGE
                field.type_name = f".{_PACKAGE}.{plain}"
            if plain in _SCALARS and field.label == FieldDescriptorProto.LABEL_OPTIONAL:
                # As protoc has `optional`: absent is not zero.
                field.proto3_optional = True
                field.oneof_index = len(message.oneof_decl)
                message.oneof_decl.add(name=f"_{field_name}")
    return described


_pool = DescriptorPool()
_pool.Add(_file())


def _message(name: str) -> Any:  # noqa: ANN401 - a class made at run time
    return GetMessageClass(_pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


Checkpoint = _message("Checkpoint")
FieldMask = _message("FieldMask")
GetServiceInfoRequest = _message("GetServiceInfoRequest")
GetServiceInfoResponse = _message("GetServiceInfoResponse")
GetCheckpointRequest = _message("GetCheckpointRequest")
GetCheckpointResponse = _message("GetCheckpointResponse")
