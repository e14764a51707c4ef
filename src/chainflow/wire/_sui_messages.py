"""The `sui.rpc.v2` messages, as much of them as is read here, as protobuf classes.

What is not in the table is skipped.

Source: MystenLabs/sui-apis, proto/sui/rpc/v2 (field numbers as of version 1.5.1 of pysui, too).
"""

from __future__ import annotations

from chainflow.wire._protobuf import classes

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

_made = classes("sui.rpc.v2", _TABLE)
Checkpoint = _made["Checkpoint"]
FieldMask = _made["FieldMask"]
GetServiceInfoRequest = _made["GetServiceInfoRequest"]
GetServiceInfoResponse = _made["GetServiceInfoResponse"]
GetCheckpointRequest = _made["GetCheckpointRequest"]
GetCheckpointResponse = _made["GetCheckpointResponse"]
