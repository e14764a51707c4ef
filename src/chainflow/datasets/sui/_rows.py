"""What a checkpoint holds, as rows: its transactions, their events, the balances they changed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import pyarrow as pa

from chainflow.datasets._rows import Rows, owned, rows
from chainflow.datasets.sui._digests import digests
from chainflow.errors import MalformedAnswer
from chainflow.wire import _base58 as base58
from chainflow.wire import sui as wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chainflow.datasets._columns import Values
    from chainflow.types import RawBlock
    from chainflow.wire.sui import Checkpoint, Effects, Event, Executed

    ByVersion = Mapping[tuple[bytes, int], bytes]

K = TypeVar("K")
T = TypeVar("T")


class Changes(NamedTuple):
    """Changes of balances, as columns: how much an owner has more of a coin, or less."""

    owner: list[str]
    coin_type: list[str]
    amount: list[str]


@dataclass(frozen=True, slots=True)
class Parts(Generic[T]):
    """What transactions hold many of; `places[i]` is the position of item i's transaction."""

    sent: Rows[Executed]
    counts: Sequence[int]
    rows: Rows[T]
    places: Sequence[int]

    def columns(self, index: str) -> dict[str, Values]:
        """Whose each item is, and its index within the transaction, under that name."""
        places = pa.array(self.places, pa.int64())
        inside = chain.from_iterable(map(range, self.counts))
        return {
            "transaction_hash": hashes(self.sent.items).take(places),
            "transaction_index": indexes(self.sent.blocks).take(places),
            index: pa.array(inside, pa.int64()),
        }

    def whose(self, positions: Sequence[int]) -> dict[str, Values]:
        """As `columns` without an index, of few of the items."""
        places = [self.places[i] for i in positions]
        return {
            "transaction_hash": hashes([self.sent.items[i] for i in places]),
            "transaction_index": indexes(self.sent.blocks).take(pa.array(places, pa.int64())),
        }


def transactions(blocks: Sequence[RawBlock]) -> Rows[Executed]:
    """Every transaction of the checkpoints."""
    return rows(blocks, lambda block: block.payload.transactions)


def hashes(sent: Sequence[Executed]) -> pa.Array[Any]:
    """The digest of each transaction."""
    return digests([executed.digest for executed in sent])


def indexes(blocks: Sequence[RawBlock]) -> pa.Array[Any]:
    """The place of every transaction in its checkpoint."""
    counts = (len(block.payload.transactions) for block in blocks)
    return pa.array(chain.from_iterable(map(range, counts)), pa.int64())


def events(blocks: Sequence[RawBlock]) -> Parts[Event]:
    """Every event of the checkpoints."""
    sent = transactions(blocks)
    parts = [executed.events for executed in sent.items]
    return _parts(sent, list(chain.from_iterable(parts)), [len(part) for part in parts])


def changes(blocks: Sequence[RawBlock]) -> tuple[Parts[str], Changes]:
    """Every change of a balance, those of a transaction by owner and coin type; whose, and what.

    Raises:
        MalformedAnswer: An object is missing, or cannot be read.
    """
    found = Changes([], [], [])
    counts = [count for block in blocks for count in _add_changes(found, block)]
    return _parts(transactions(blocks), found.owner, counts), found


def _parts(sent: Rows[Executed], items: Sequence[T], counts: Sequence[int]) -> Parts[T]:
    places = owned(counts)
    return Parts(sent, counts, Rows(sent.blocks, items, [sent.owners[i] for i in places]), places)


def _add_changes(found: Changes, block: RawBlock) -> list[int]:
    """Add the changes of a checkpoint's transactions to those found; how many each has."""
    checkpoint: Checkpoint = block.payload
    by_version = wire.by_version(checkpoint)
    counts: list[int] = []
    try:
        for executed in checkpoint.transactions:
            balances = _balances(executed.effects, checkpoint.objects, by_version)
            before = len(found.owner)
            for (owner, coin_type), amount in sorted(balances.items()):
                if amount:
                    found.owner.append(owner)
                    found.coin_type.append(coin_type)
                    found.amount.append(str(amount))
            counts.append(len(found.owner) - before)
    except (MalformedAnswer, KeyError) as error:
        why = "an object is missing" if isinstance(error, KeyError) else error
        name = base58.encode(checkpoint.transactions[len(counts)].digest)
        raise MalformedAnswer(f"height {block.height}: transaction {name}: {why}") from error
    return counts


def _balances(
    effects: Effects, objects: Mapping[bytes, bytes], by_version: ByVersion
) -> dict[tuple[str, str], int]:
    """What is written less what was taken, by owner and coin type, coins and address balances.

    Source: sui-types/src/balance_change.rs, derive_balance_changes.
    """
    balances: dict[tuple[str, str], int] = {}
    _add(balances, -1, objects, effects.took)
    if effects.took_versions:
        _add(balances, -1, by_version, effects.took_versions)
    _add(balances, 1, objects, effects.wrote)
    for owner, coin_type, amount in effects.accumulated:
        key = owner, coin_type
        balances[key] = balances.get(key, 0) + amount
    return balances


def _add(
    balances: dict[tuple[str, str], int], sign: int, objects: Mapping[K, bytes], keys: Sequence[K]
) -> None:
    """Add what coins among some objects hold, or take it away."""
    for key in keys:
        coin = wire.coin(objects[key])
        if coin is not None:
            whose = coin.owner, coin.coin_type
            balances[whose] = balances.get(whose, 0) + sign * coin.balance
