"""One row per transaction, with what its info says of it.

`from_address` is the contract's owner, who signs and pays; `to_address` whoever its kind of
contract names: receiver, called contract, or who is lent resources. `value` is the sun that it
sends along, `asset_value` the units of the TRC-10 token `asset_id`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from chainflow.datasets._columns import columns, computed, field, table
from chainflow.datasets._extra import contradictions, extras, objects
from chainflow.datasets.tron import _address
from chainflow.datasets.tron._rows import READERS, Executed, executed, integers, printable, read
from chainflow.types import Dataset

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pyarrow as pa

    from chainflow.types import RawBlock

_TYPE_URL = "type.googleapis.com/protocol."
_IN_SUN = frozenset({"TransferContract", "ParticipateAssetIssueContract"})
_FIELDS = (
    field("transaction_hash", "text", "tx.tx_id", required=True),
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
    field("fee_limit", "numeric", "tx.raw_data.fee_limit"),
    field("ref_block_bytes", "text", "tx.raw_data.ref_block_bytes"),
    field("ref_block_hash", "text", "tx.raw_data.ref_block_hash"),
    field("expiration_ms", "bigint", "tx.raw_data.expiration"),
    field("timestamp_ms", "bigint", "tx.raw_data.timestamp"),
    field("memo_hex", "text", "tx.raw_data.data"),
    computed("signatures", "jsonb"),
    computed("result", "text"),
    computed("receipt_status", "bigint", required=True),
    field("contract_address", "text", "info.contract_address"),
    computed("contract_result", "text"),
    field("total_fee", "numeric", "info.fee"),
    field("energy_usage", "numeric", "info.receipt.energy_usage"),
    field("energy_fee", "numeric", "info.receipt.energy_fee"),
    field("origin_energy_usage", "numeric", "info.receipt.origin_energy_usage"),
    field("energy_usage_total", "numeric", "info.receipt.energy_usage_total"),
    field("energy_penalty_total", "numeric", "info.receipt.energy_penalty_total"),
    field("net_usage", "numeric", "info.receipt.net_usage"),
    field("net_fee", "numeric", "info.receipt.net_fee"),
    field("receipt_result", "text", "info.receipt.result"),
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
    found = executed(blocks)
    items = found.items
    values = {
        **read(_FIELDS, items),
        "to_address": _address.each(map(_receiver, items)),
        "value": integers(map(_sun, items), "numeric"),
        "asset_id": [_asset_id(one) for one in items],
        "asset_value": integers(map(_asset_value, items), "numeric"),
        "contract_parameter": _parameters(items),
        "signatures": [_json(one.tx.signature) for one in items],
        "result": [one.tx.ret[0].contract_ret if one.tx.ret else None for one in items],
        "receipt_status": integers(int(one.succeeded) for one in items),
        "contract_result": [next(iter(one.info.contract_result), None) for one in items],
        "extra": _extra(items),
    }
    return table("transactions", COLUMNS, found, values, READERS)


def _receiver(one: Executed) -> str | None:
    value = one.value
    return value.to_address or value.contract_address or value.receiver_address


def _sun(one: Executed) -> int | None:
    if one.contract.type in _IN_SUN:
        return one.value.amount
    made = one.value.new_contract
    return made.call_value if made is not None else one.value.call_value


def _asset_id(one: Executed) -> str | None:
    """The token's number; before all had one, its name."""
    if one.value.asset_name is not None:
        return printable(one.value.asset_name)
    return None if one.value.token_id is None else str(one.value.token_id)


def _asset_value(one: Executed) -> int | None:
    if one.contract.type in _IN_SUN:
        return None
    moved = one.value.amount
    return one.value.call_token_value if moved is None else moved


def _parameters(items: Sequence[Executed]) -> list[str | None]:
    """What the contracts say that no other column holds."""
    made = [one.value.new_contract for one in items]
    new = objects(contract.extra if contract is not None else None for contract in made)
    return extras([one.value.extra for one in items], {"new_contract": new})


def _json(given: object) -> str:
    return msgspec.json.encode(given).decode()


def _extra(items: Sequence[Executed]) -> list[str | None]:
    """What the node says that no column keeps, under the names of the messages it is in."""
    urls = contradictions(
        [one.contract.parameter.type_url for one in items],
        [_TYPE_URL + one.contract.type for one in items],
    )
    created = contradictions(
        [one.tx.contract_address for one in items], [one.info.contract_address for one in items]
    )
    parts: dict[str, Mapping[int, object]] = {
        "transaction": _said((one.tx.extra for one in items), contract_address=created),
        "raw_data": _said(one.tx.raw_data.extra for one in items),
        "contract": _said(one.contract.extra for one in items),
        "parameter": _said((one.contract.parameter.extra for one in items), type_url=urls),
        "ret": {row: _results(one) for row, one in enumerate(items) if _unusual(one)},
        "info": _said(
            (one.info.extra for one in items),
            contractResult={
                row: one.info.contract_result
                for row, one in enumerate(items)
                if len(one.info.contract_result) > 1
            },
        ),
        "receipt": _said(one.info.receipt.extra for one in items),
    }
    return extras([None] * len(items), parts)


def _said(
    unknown: Iterable[str | None], **unkept: Mapping[int, object]
) -> Mapping[int, msgspec.Raw]:
    return objects(extras(unknown, unkept))


def _unusual(one: Executed) -> bool:
    """Whether its results say more than `result` does."""
    return len(one.tx.ret) > 1 or any(
        result.fee is not None or result.ret is not None or result.extra for result in one.tx.ret
    )


def _results(one: Executed) -> list[dict[str, object]]:
    return [
        {"contractRet": result.contract_ret, "fee": result.fee, "ret": result.ret}
        | (msgspec.json.decode(result.extra) if result.extra else {})
        for result in one.tx.ret
    ]


DATASET = Dataset(
    name="transactions",
    family="tron",
    height_column="block_number",
    columns=COLUMNS,
    key=("block_number", "transaction_index"),
    decode=decode,
)
