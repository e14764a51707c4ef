"""How blocks are fetched: one module per family, each opening a Client."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, cast

from chainflow import lookup
from chainflow.clients._pace import DEFAULT, Limits

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
    from contextlib import AbstractAsyncContextManager

    from chainflow.endpoints import Endpoint
    from chainflow.types import BlockRange, Chain, Heights, RawBlock


class Client(Protocol):
    """What every family answers about one chain; it retries and changes endpoint by itself."""

    async def heights(self) -> Heights:
        """The newest height, and the one the chain's `finality_tag` stands for.

        Raises:
            NodeUnavailable: No endpoint answered in time (transient).
            Unsupported: No endpoint serves the chain's `finality_tag`.
            WrongChain: Every endpoint serves another chain than the registry says.
        """
        ...

    def fetch(
        self, blocks: BlockRange, datasets: Collection[str]
    ) -> AsyncGenerator[RawBlock, None]:
        """Blocks of a range, with as much of each as the datasets need.

        Leaving early? Close the generator (`contextlib.aclosing`), so that requests ahead end too.

        Args:
            blocks: Heights to read; all must exist when called.
            datasets: Names of the family's datasets that the blocks are fetched for.

        Yields:
            len(blocks) blocks, ascending by height, each naming the one before it as parent.

        Raises:
            NodeUnavailable: No endpoint answered in time (transient).
            NotYet: No endpoint has a height of the range yet (transient).
            TerminalError: As its subclasses say; the message names heights and endpoints.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What a node says of itself in its family's own words; None where it cannot be told.

    `lowest` is the lowest height it serves; `batches` and `receipts` say whether it takes several
    questions in one request, and gives a block's receipts in one answer; `notes` are for a person.
    """

    chain_id: int | str | None
    lowest: int | None = None
    batches: bool | None = None
    receipts: bool | None = None
    notes: tuple[str, ...] = ()


def connect(chain: Chain, endpoints: Sequence[Endpoint]) -> AbstractAsyncContextManager[Client]:
    """A client of the chain's family, open while the context lasts; nothing is asked yet."""
    family = lookup.module("clients", chain.family)
    opened = family.connect(chain, endpoints, limits_of(chain))
    return cast("AbstractAsyncContextManager[Client]", opened)


def limits_of(chain: Chain) -> Limits:
    """The usual bounds, narrowed where the chain's entry wishes it."""
    rate = chain.max_requests_per_second
    if rate is None:
        return DEFAULT
    # No batch is more than a second's worth: its calls are sent, and counted, at one instant.
    calls = min(DEFAULT.calls_per_request, max(1, int(rate)))
    return replace(DEFAULT, calls_per_second=rate, calls_per_request=calls)


def probes() -> dict[str, Callable[[Endpoint], Awaitable[Probed]]]:
    """How each family asks a node what it is, by family; a family without `probe` is left out.

    The function raises a WorkError where the node does not answer as one of the family.
    """
    modules = {family: lookup.module("clients", family) for family in lookup.names("clients")}
    return {family: m.probe for family, m in modules.items() if hasattr(m, "probe")}
