"""One row per transaction, with what its info says of it.

`from_address` is the contract's owner, who signs and pays; `to_address` whoever its kind of
contract names: receiver, called contract, or who is lent resources. `value` is the sun that it
sends along, `asset_value` the units of the TRC-10 token `asset_id`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa

from chainflow.datasets._columns import columns, computed, field, table
from chainflow.datasets._extra import contradictions, extras, objects, with_unknown
from chainflow.datasets._rows import ARROW_TYPES, pc
from chainflow.datasets.tron import _address
from chainflow.datasets.tron._rows import (
    READERS,
    filled,
    joined,
    printable,
    read,
    succeeded,
    sun_paid,
)
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chainflow.datasets._columns import Values
    from chainflow.datasets._rows import Array
    from chainflow.datasets.tron._rows import Said
    from chainflow.types import RawBlock

_TYPE_URL = "type.googleapis.com/protocol."
_IN_SUN = pa.array(["TransferContract", "ParticipateAssetIssueContract"])
_FIELDS = (
    field("transaction_hash", "text", "tx_id", required=True),
    field("transaction_index", "bigint", "place", required=True),
    field("contract_type", "text", "contract.type", required=True),
    field("from_address", "text", "value.owner_address"),
    computed("to_address", "text"),
    computed("value", "numeric"),
    computed("asset_id", "text"),
    computed("asset_value", "numeric"),
    field("input", "text", "value.data"),
    computed("contract_parameter", "jsonb"),
    field("permission_id", "bigint", "contract.permission_id"),
    field("fee_limit", "numeric", "raw_data.fee_limit"),
    field("ref_block_bytes", "text", "raw_data.ref_block_bytes"),
    field("ref_block_hash", "text", "raw_data.ref_block_hash"),
    field("expiration_ms", "bigint", "raw_data.expiration"),
    field("timestamp_ms", "bigint", "raw_data.timestamp"),
    field("memo_hex", "text", "raw_data.data"),
    computed("signatures", "jsonb"),
    computed("result", "text"),
    computed("receipt_status", "bigint", required=True),
    field("contract_address", "text", "info.contract_address"),
    computed("contract_result", "text"),
    field("total_fee", "numeric", "info.fee"),
    field("energy_usage", "numeric", "receipt.energy_usage"),
    field("energy_fee", "numeric", "receipt.energy_fee"),
    field("origin_energy_usage", "numeric", "receipt.origin_energy_usage"),
    field("energy_usage_total", "numeric", "receipt.energy_usage_total"),
    field("energy_penalty_total", "numeric", "receipt.energy_penalty_total"),
    field("net_usage", "numeric", "receipt.net_usage"),
    field("net_fee", "numeric", "receipt.net_fee"),
    field("receipt_result", "text", "receipt.result"),
    field("info_result", "text", "info.result"),
    field("message_hex", "text", "info.res_message"),
    field("withdraw_amount", "numeric", "info.withdraw_amount"),
    field("unfreeze_amount", "numeric", "info.unfreeze_amount"),
    field("withdraw_expire_amount", "numeric", "info.withdraw_expire_amount"),
    computed("extra", "jsonb"),
)
COLUMNS = columns("block_number", _FIELDS)


def decode(blocks: Sequence[RawBlock]) -> pa.Table:
    """The transactions of each block, in its order."""
    found, said = joined(blocks, "transactions")
    results = said["info.contract_result"]
    values: dict[str, Values] = {
        **read("transactions", _FIELDS, found, said),
        "to_address": _address.each(_receiver(said)),
        **_amounts(said),
        "contract_parameter": with_unknown(
            said["value.extra"], {"new_contract": _objects(said["new_contract.extra"])}
        ),
        "signatures": _signatures(said["signature"]),
        "result": said["contract_ret"],
        "receipt_status": succeeded(said).cast(pa.int64()),
        "contract_result": results.values.take(_at_first(results)),
        "extra": _extra(said),
    }
    return table("transactions", COLUMNS, found, values, READERS)


def _receiver(said: Said) -> Array:
    names = ("to_address", "contract_address", "receiver_address")
    return pc.coalesce(*(filled(said[f"value.{name}"]) for name in names))


def _amounts(said: Said) -> dict[str, Array]:
    """`value` in sun; the token's number, or its name where not all had one, and its units."""
    amount, none = said["value.amount"], pa.scalar(None, pa.int64())
    in_sun = pc.is_in(said["contract.type"], _IN_SUN)
    sun = pc.if_else(in_sun, amount, sun_paid(said))
    units = pc.coalesce(amount, said["value.call_token_value"])
    name = _address.spelled(said["value.asset_name"], printable)
    return {
        "value": sun.cast(ARROW_TYPES["numeric"]),
        "asset_id": pc.coalesce(name, said["value.token_id"].cast(pa.string())),
        "asset_value": pc.if_else(in_sun, none, units).cast(ARROW_TYPES["numeric"]),
    }


def _signatures(lists: Array) -> Array:
    """JSON of the lists; hex needs no escapes."""
    inside = pc.binary_join(lists, '","')
    quoted = pc.binary_join_element_wise('["', inside, '"]', "")
    return pc.if_else(pc.equal(pc.list_value_length(lists), 0), "[]", quoted)


def _at_first(lists: Array) -> Array:
    """Where in the values of some lists each one's first stands."""
    firsts = lists.offsets[: len(lists)]
    return pc.if_else(pc.equal(pc.list_value_length(lists), 0), None, firsts)


def _extra(said: Said) -> list[str | None]:
    """What the node says that no column keeps, under the names of the messages it is in."""
    usual = pc.binary_join_element_wise(_TYPE_URL, said["contract.type"], "")
    urls = contradictions(said["parameter.type_url"], usual)
    created = contradictions(said["contract_address"], said["info.contract_address"])
    results = said["info.contract_result"]
    several = pc.indices_nonzero(pc.greater(pc.list_value_length(results), 1)).to_pylist()
    parts: dict[str, Mapping[int, object]] = {
        "transaction": _said(said["extra"], contract_address=created),
        "raw_data": _said(said["raw_data.extra"]),
        "contract": _said(said["contract.extra"]),
        "parameter": _said(said["parameter.extra"], type_url=urls),
        "ret": _objects(said["results"]),
        "info": _said(
            said["info.extra"], contractResult={row: results[row].as_py() for row in several}
        ),
        "receipt": _said(said["receipt.extra"]),
    }
    return extras([None] * len(usual), parts)


def _said(unknown: Array, **unkept: Mapping[int, object]) -> Mapping[int, msgspec.Raw]:
    return _objects(unknown) if not any(unkept.values()) else objects(with_unknown(unknown, unkept))


def _objects(texts: Array) -> Mapping[int, msgspec.Raw]:
    """As `objects`, of an array that seldom has any."""
    return objects(texts.to_pylist()) if texts.null_count < len(texts) else {}


DATASET = Dataset(
    name="transactions",
    family="tron",
    height_column="block_number",
    columns=COLUMNS,
    key=("block_number", "transaction_index"),
    decode=decode,
)
