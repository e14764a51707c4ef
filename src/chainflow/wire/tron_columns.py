"""A proven block of a Tron node as columns of what the node said.

Structs are many small objects that cost more to keep than to make. So they live while their answer
is taken apart; what waits to become a table is columns (docs/decisions/0120, 0121).
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
from msgspec.structs import astuple

from chainflow.errors import MalformedAnswer
from chainflow.wire import tron as wire
from chainflow.wire._extra import decode
from chainflow.wire._tron_arrays import flags, lists, makers, numbers, texts, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from chainflow.wire._tron_arrays import Array, Maker

    Said = dict[str, Sequence[Any]]
    """By attribute what each of some structs says; behind a prefix, those of what is nested."""

_SUCCESS = (None, "DEFAULT", "SUCCESS")
_FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Executed:
    """What became of a block's transactions.

    Attributes:
        transactions: A row each, in their order: the attributes of `wire.tron.Transaction`, behind
            `raw_data.`, `contract.`, `parameter.`, `value.` and `new_contract.` those of what is
            nested in it, behind `info.` and `receipt.` those of its info; and of its results
            `contract_ret` of the first, `succeeded`, and `results` as JSON where there is more.
        logs: A row each: the attributes of `wire.tron.Log`, and of its transaction `tx_id` and
            `tx_place`; `place` counts through the block.
        calls: The same of internal transactions, `place` counting in the transaction; behind
            `moved.`, lists of the attributes of their values.
    """

    transactions: pa.RecordBatch
    logs: pa.RecordBatch
    calls: pa.RecordBatch


@dataclass(frozen=True, slots=True)
class Payload:
    """What a RawBlock of this family carries.

    Attributes:
        block: The block without its transactions.
        transaction_count: How many it has.
        executed: None where no dataset needed the infos.
    """

    block: wire.Block
    transaction_count: int
    executed: Executed | None


def sent(block: wire.Block) -> Said:
    """What the transactions of a block say, in their order.

    Raises:
        MalformedAnswer: The parameters of a contract are none, or it is not one contract; named by
            transaction.
    """
    own = _said(wire.Transaction, block.transactions)
    raw = _said(wire.RawData, own.pop("raw_data"), "raw_data.")
    contracts = [_only(place, given) for place, given in enumerate(raw.pop("raw_data.contract"))]
    contract = _said(wire.Contract, contracts, "contract.")
    parameter = _said(wire.Parameter, contract.pop("contract.parameter"), "parameter.")
    values = [
        decode(wire.Value, given, f"the parameters of transaction {place}")
        for place, given in enumerate(parameter.pop("parameter.value"))
    ]
    value = _said(wire.Value, values, "value.")
    made = [given or _NOTHING_MADE for given in value["value.new_contract"]]
    value["value.new_contract"] = [given is not None for given in value["value.new_contract"]]
    new = _said(wire.NewContract, made, "new_contract.")
    return own | raw | contract | parameter | value | new


def payload(block: wire.Block, said: Said, infos: Sequence[wire.TransactionInfo] | None) -> Payload:
    """A block with the infos of its transactions.

    Args:
        block: A proven block.
        said: What `sent` makes of it.
        infos: Those of its transactions, in their order; None if they were not asked for.

    Raises:
        MalformedAnswer: A text is not what it must be.
    """
    header = copy(block)
    header.transactions = []
    found = None if infos is None else _executed(said, infos)
    return Payload(header, len(block.transactions), found)


def _executed(said: Said, infos: Sequence[wire.TransactionInfo]) -> Executed:
    ids = said["tx_id"]
    info = _said(wire.TransactionInfo, infos, "info.")
    receipt = _said(wire.Receipt, info.pop("info.receipt"), "receipt.")
    logs, calls = info.pop("info.log"), info.pop("info.internal_transactions")
    rows = {"place": range(len(ids)), **said, **_results(said["ret"]), **info, **receipt}
    return Executed(
        transactions=_batch("transactions", rows),
        logs=_batch("logs", _logs(ids, logs)),
        calls=_batch("calls", _calls(ids, calls)),
    )


def _logs(ids: Sequence[str], logs: Sequence[Sequence[wire.Log]]) -> Said:
    every = list(chain.from_iterable(logs))
    return {**_said(wire.Log, every), **_of(ids, logs), "place": range(len(every))}


def _calls(ids: Sequence[str], calls: Sequence[Sequence[wire.InternalTransaction]]) -> Said:
    every = list(chain.from_iterable(calls))
    said = _said(wire.InternalTransaction, every)
    moved: Sequence[Sequence[wire.CallValue]] = said.pop("call_value_info")
    values = {
        name: [[getattr(one, attribute) for one in each] for each in moved]
        for name, attribute in _MOVED.items()
    }
    places = list(chain.from_iterable(map(range, map(len, calls))))
    return {**said, **values, **_of(ids, calls), "place": places}


def _of(ids: Sequence[str], nested: Sequence[Sequence[object]]) -> Said:
    """The transaction of everything that is nested in one."""
    places = list(chain.from_iterable(map(repeat, range(len(ids)), map(len, nested))))
    return {"tx_place": places, "tx_id": [ids[place] for place in places]}


def _results(ret: Sequence[Sequence[wire.Result]]) -> Said:
    """How the transactions ended; the oldest do not say."""
    return {
        "contract_ret": [given[0].contract_ret if given else None for given in ret],
        "succeeded": [
            all(one.contract_ret in _SUCCESS and one.ret != _FAILED for one in given)
            for given in ret
        ],
        "results": [_all_said(given) for given in ret],
    }


def _all_said(ret: Sequence[wire.Result]) -> str | None:
    """The results as JSON, where they say more than one `contract_ret`."""
    if len(ret) <= 1 and not any(one.fee is not None or one.ret or one.extra for one in ret):
        return None
    said = [
        {"contractRet": one.contract_ret, "fee": one.fee, "ret": one.ret}
        | (msgspec.json.decode(one.extra) if one.extra else {})
        for one in ret
    ]
    return msgspec.json.encode(said).decode()


def _only(place: int, contracts: Sequence[wire.Contract]) -> wire.Contract:
    if len(contracts) != 1:
        raise MalformedAnswer(
            f"transaction {place}: the number of contracts is {len(contracts)}, which must be one"
        )
    return contracts[0]


def _said(kind: type[msgspec.Struct], items: Sequence[msgspec.Struct], prefix: str = "") -> Said:
    """Every attribute of the structs; `astuple` reads them all at once, and soonest."""
    columns: Iterable[Sequence[Any]] = (
        zip(*map(astuple, items), strict=True) if items else repeat(())
    )
    return {
        prefix + name: column for name, column in zip(kind.__struct_fields__, columns, strict=False)
    }


def _batch(what: str, said: Said) -> pa.RecordBatch:
    arrays = {name: _array(name, said[name], make) for name, make in _MAKERS[what].items()}
    return pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))


def _array(name: str, column: Sequence[Any], make: Maker) -> Array:
    try:
        return make(column)
    except ValueError as error:
        raise MalformedAnswer(f"{name}: {error}") from error


_NOTHING_MADE = wire.NewContract()
_MOVED = {f"moved.{name}": name for name in wire.CallValue.__struct_fields__}
_OF_TRANSACTION: Mapping[str, Maker] = {"tx_place": numbers, "tx_id": texts, "place": numbers}
# They hold structs; or are the block's own, or proven against it.
_TAKEN_APART = frozenset({"raw_data", "contract", "parameter", "value", "receipt", "log"})
_TAKEN_APART |= {"ret", "raw_data_hex", "internal_transactions", "call_value_info"}
_TAKEN_APART |= {"id", "block_number", "block_timestamp"}

_MAKERS: Mapping[str, Mapping[str, Maker]] = {
    "transactions": {
        "place": numbers,
        **makers(wire.Transaction, but=_TAKEN_APART),
        **makers(wire.RawData, "raw_data.", but=_TAKEN_APART),
        **makers(wire.Contract, "contract.", but=_TAKEN_APART),
        **makers(wire.Parameter, "parameter.", but=_TAKEN_APART),
        **makers(wire.Value, "value.", but=frozenset({"new_contract"})),
        **makers(wire.NewContract, "new_contract."),
        **makers(wire.TransactionInfo, "info.", but=_TAKEN_APART),
        **makers(wire.Receipt, "receipt."),
        "contract_ret": words,
        "succeeded": flags,
        "results": texts,
    },
    "logs": {**makers(wire.Log), **_OF_TRANSACTION},
    "calls": {
        **makers(wire.InternalTransaction, but=_TAKEN_APART),
        **{
            f"moved.{name}": partial(lists, of=make)
            for name, make in makers(wire.CallValue).items()
        },
        **_OF_TRANSACTION,
    },
}


@cache
def schema(what: str) -> pa.Schema:
    """The columns of a part of `Executed`, by its name."""
    return _batch(what, dict.fromkeys(_MAKERS[what], ())).schema
