"""Protobuf messages as classes that are made of a table, not by `protoc`.

Code that `protoc` generates refuses either protobuf 4.25 or 6.33, and both are pinned by an Airflow
we support. Each package lives in a pool of its own, so that another module may define it as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Table = Mapping[str, Sequence[tuple[str, int, str]]]

_SCALARS = {
    "string": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "uint64": FieldDescriptorProto.TYPE_UINT64,
    "bool": FieldDescriptorProto.TYPE_BOOL,
}


def classes(package: str, table: Table) -> Mapping[str, Any]:
    """The classes of a package's messages, by name.

    Args:
        package: Its name.
        table: By message its fields: name, number, type; `*` before a type marks a repeated one.
    """
    pool = DescriptorPool()
    pool.Add(_file(package, table))
    return {
        name: GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in table
    }


def _file(package: str, table: Table) -> FileDescriptorProto:
    described = FileDescriptorProto(
        name=f"chainflow/{package}.proto", package=package, syntax="proto3"
    )
    for name, fields in table.items():
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
                field.type_name = f".{package}.{plain}"
            if plain in _SCALARS and field.label == FieldDescriptorProto.LABEL_OPTIONAL:
                # As protoc has `optional`: absent is not zero.
                field.proto3_optional = True
                field.oneof_index = len(message.oneof_decl)
                message.oneof_decl.add(name=f"_{field_name}")
    return described
