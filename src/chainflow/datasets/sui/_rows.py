"""What a checkpoint holds, as rows: its transactions, their events, the balances they changed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from chainflow.datasets._rows import Rows, rows
from chainflow.errors import MalformedAnswer
from chainflow.wire import _base58 as base58
from chainflow.wire import sui as wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from chainflow.types import RawBlock
    from chainflow.wire.sui import Checkpoint, Event, Executed

    ByVersion = dict[tuple[bytes, int], bytes]

T = TypeVar("T")


class Placed(NamedTuple):
    """The transaction that something belongs to, and its place there."""

    transaction_hash: str
    transaction_index: int
    place: int


class Change(NamedTuple):
    """How much of a coin type an owner has more, or less, by a transaction."""

    owner: str
    coin_type: str
    amount: int


def transactions(blocks: Sequence[RawBlock]) -> Rows[Executed]:
    """Every transaction of the checkpoints."""
    return rows(blocks, lambda block: block.payload.transactions)


def indexes(blocks: Sequence[RawBlock]) -> list[int]:
    """The place of every transaction in its checkpoint."""
    return [i for block in blocks for i in range(len(block.payload.transactions))]


def events(blocks: Sequence[RawBlock]) -> tuple[Rows[Event], list[Placed]]:
    """Every event of the checkpoints."""
    return _placed(blocks, lambda _: lambda executed: executed.events)


def changes(blocks: Sequence[RawBlock]) -> tuple[Rows[Change], list[Placed]]:
    """Every change of a balance, those of a transaction by owner and coin type.

    Raises:
        MalformedAnswer: An object is missing, or cannot be read.
    """
    return _placed(blocks, _changes_of)


def _placed(
    blocks: Sequence[RawBlock], items: Callable[[RawBlock], Callable[[Executed], Sequence[T]]]
) -> tuple[Rows[T], list[Placed]]:
    """What `items` finds in each transaction of each block, and where it stands."""
    places: list[Placed] = []

    def found(block: RawBlock) -> list[T]:
        of_transaction = items(block)
        own: list[T] = []
        for i, executed in enumerate(block.payload.transactions):
            part = of_transaction(executed)
            if part:
                own += part
                name = base58.encode(executed.digest)
                places.extend(Placed(name, i, place) for place in range(len(part)))
        return own

    return rows(blocks, found), places


def _changes_of(block: RawBlock) -> Callable[[Executed], list[Change]]:
    checkpoint: Checkpoint = block.payload
    by_version = wire.by_version(checkpoint)

    def of_transaction(executed: Executed) -> list[Change]:
        try:
            return _changes(executed, checkpoint.objects, by_version)
        except (MalformedAnswer, KeyError) as error:
            why = "an object is missing" if isinstance(error, KeyError) else error
            raise MalformedAnswer(
                f"height {block.height}: transaction {base58.encode(executed.digest)}: {why}"
            ) from error

    return of_transaction


def _changes(
    executed: Executed, objects: dict[bytes, bytes], by_version: ByVersion
) -> list[Change]:
    """What is written less what was taken, by owner and coin type, coins and address balances.

    Source: sui-types/src/balance_change.rs, derive_balance_changes.
    """
    effects = executed.effects
    balances: Counter[tuple[str, str]] = Counter()
    taken = [objects[digest] for digest in effects.took]
    taken += [by_version[key] for key in effects.took_versions]
    _add(balances, taken, -1)
    _add(balances, (objects[digest] for digest in effects.wrote), 1)
    for owner, coin_type, amount in effects.accumulated:
        balances[owner, coin_type] += amount
    return [Change(*key, amount) for key, amount in sorted(balances.items()) if amount]


def _add(balances: Counter[tuple[str, str]], objects: Iterable[bytes], sign: int) -> None:
    for bcs in objects:
        coin = wire.coin(bcs)
        if coin is not None:
            balances[coin.owner, coin.coin_type] += sign * coin.balance
