"""What the nodes say of their heights, kept in the store as it comes."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from chainflow import clients, endpoints, heights
from chainflow.errors import ChainflowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy.engine import Engine

    from chainflow.types import Chain, Heights

    Secrets = Callable[[str], str]
    Answers = asyncio.Queue[tuple[str, Heights | str]]


def observe(engine: Engine, chain: Chain, connection: Secrets) -> Heights:
    """The heights the chain's node says it has, kept in the store.

    Raises:
        ChainflowError: The node could not be asked; the store then holds why.
    """
    try:
        seen = asyncio.run(_ask(chain, connection))
    except ChainflowError as error:
        heights.observe_failure(engine, chain, str(error))
        raise
    heights.observe(engine, chain, seen)
    return seen


def observe_all(
    engine: Engine,
    chains: Iterable[Chain],
    connection: Secrets,
    on_kept: Callable[[], None] = lambda: None,
) -> dict[str, Heights | str]:
    """Heights of all live chains, asked at once; for one that could not be asked, why.

    Each answer is in the store as soon as it is there, whoever else is still silent. Retired chains
    are registered, so that they stand in the lag table, and never asked.

    Args:
        engine: The store.
        chains: Whose nodes are asked.
        connection: From a connection's id to its URL.
        on_kept: Called, in a thread, when the chains and whenever answers are in the store.

    Raises:
        ChainflowError: The store does not take the answers.
    """
    every = list(chains)
    refused = heights.register(engine, every)
    on_kept()
    live = [c for c in every if c.status == "live" and c.name not in refused]
    return asyncio.run(_ask_all(engine, live, connection, on_kept)) | refused


async def _ask_all(
    engine: Engine, chains: Sequence[Chain], connection: Secrets, on_kept: Callable[[], None]
) -> dict[str, Heights | str]:
    # Names are looked up in threads, by default only a few more than there are cores: a few names
    # that nobody answers for would hold up all others.
    names = ThreadPoolExecutor(max(1, len(chains)), "names")
    asyncio.get_running_loop().set_default_executor(names)
    answers: Answers = asyncio.Queue()

    async def one(chain: Chain) -> None:
        try:
            answers.put_nowait((chain.name, await _ask(chain, connection)))
        except ChainflowError as error:
            answers.put_nowait((chain.name, str(error)))

    kept = asyncio.create_task(_keep(engine, answers, len(chains), on_kept))
    await asyncio.gather(kept, *(one(chain) for chain in chains))
    return kept.result()


async def _keep(
    engine: Engine, answers: Answers, count: int, on_kept: Callable[[], None]
) -> dict[str, Heights | str]:
    """Write so many answers as they come: all that came while the last ones were written."""

    def write(said: dict[str, Heights | str]) -> None:
        heights.observe_many(engine, said)
        on_kept()

    kept: dict[str, Heights | str] = {}
    with ThreadPoolExecutor(1, "store") as store:
        while len(kept) < count:
            said = dict([await answers.get()])
            while not answers.empty():
                said |= [answers.get_nowait()]
            await asyncio.get_running_loop().run_in_executor(store, write, said)
            kept |= said
    return kept


async def _ask(chain: Chain, connection: Secrets) -> Heights:
    found = endpoints.resolve(chain.endpoints, connection)
    async with clients.connect(chain, found) as client:
        return await client.heights()
