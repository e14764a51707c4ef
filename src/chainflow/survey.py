"""What every endpoint of the chains says at this moment, each asked by itself."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from chainflow import clients, endpoints
from chainflow.errors import InputError, WorkError, WrongChain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from chainflow.clients import Probed
    from chainflow.endpoints import Endpoint
    from chainflow.types import Chain

# What an endpoint can do is asked on top of its heights, and waited for so long.
_PROBE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One endpoint as it showed itself; None where it could not be told.

    `endpoint` is its host, or its word of the registry where that names none; `right_chain` whether
    it serves the chain of the registry; `behind` how many blocks its head is below the newest of
    the chain's endpoints; `latency_ms` the time of one question for the heights; `batches` and
    `receipts` as in `clients.Probed`; `error` why it is of no use.
    """

    chain: str
    endpoint: str
    right_chain: bool | None = None
    head: int | None = None
    behind: int | None = None
    latency_ms: int | None = None
    batches: bool | None = None
    receipts: bool | None = None
    error: str | None = None


def survey(chains: Iterable[Chain], connection: Callable[[str], str]) -> list[Seen]:
    """Every endpoint of every live chain, asked at once; in the registry's order."""
    live = [chain for chain in chains if chain.status == "live"]
    return asyncio.run(_all(live, connection))


def useless(seen: Iterable[Seen]) -> list[str]:
    """The chains of which no endpoint is of use."""
    every = list(seen)
    used = {one.chain for one in every if one.error is None}
    return list(dict.fromkeys(one.chain for one in every if one.chain not in used))


async def _all(chains: Sequence[Chain], connection: Callable[[str], str]) -> list[Seen]:
    words = [(chain, word) for chain in chains for word in chain.endpoints]
    # Names are looked up in threads: a few that nobody answers for shall hold up no others.
    names = ThreadPoolExecutor(max(1, len(words)), "names")
    asyncio.get_running_loop().set_default_executor(names)
    found = await asyncio.gather(*(_word(chain, word, connection) for chain, word in words))
    newest: dict[str, int] = {}
    for one in found:
        newest[one.chain] = max(newest.get(one.chain, 0), one.head or 0)
    return [
        one if one.head is None else replace(one, behind=newest[one.chain] - one.head)
        for one in found
    ]


async def _word(chain: Chain, word: str, connection: Callable[[str], str]) -> Seen:
    try:
        (endpoint,) = endpoints.resolve([word], connection)
    except InputError as error:
        return Seen(chain.name, word, error=str(error))
    heights, said = await asyncio.gather(_heights(chain, endpoint), _said(chain, endpoint))
    if said is None:
        return heights
    return replace(heights, batches=said.batches, receipts=said.receipts)


async def _heights(chain: Chain, endpoint: Endpoint) -> Seen:
    clock = asyncio.get_running_loop().time
    try:
        async with clients.connect(chain, [endpoint]) as client:
            await client.heights()  # with connecting, and with asking which chain it is
            began = clock()
            head = (await client.heights()).head
    except WrongChain as error:
        return Seen(chain.name, endpoint.host, right_chain=False, error=str(error))
    except WorkError as error:
        return Seen(chain.name, endpoint.host, error=str(error))
    right = None if chain.chain_id is None else True
    latency_ms = round(1000 * (clock() - began))
    return Seen(chain.name, endpoint.host, right, head, latency_ms=latency_ms)


async def _said(chain: Chain, endpoint: Endpoint) -> Probed | None:
    """What the endpoint can do; None where it does not say in time, which its heights tell of."""
    ask = clients.probes().get(chain.family)
    if ask is None:
        return None
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            return await ask(endpoint)
    except (TimeoutError, WorkError):
        return None
