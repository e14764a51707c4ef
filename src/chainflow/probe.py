"""What a node is, asked of the node itself, and the entry of chains.yaml that follows from it."""

from __future__ import annotations

import asyncio
import logging
import math
import re
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, get_args
from urllib.parse import urlsplit

import yaml

from chainflow import clients, lookup
from chainflow.errors import (
    MalformedAnswer,
    NodeUnavailable,
    RequestRefused,
    Unsupported,
    WorkError,
)
from chainflow.types import BlockRange, Chain, Verify

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from chainflow.clients import Client, Probed
    from chainflow.endpoints import Endpoint
    from chainflow.types import Heights

log = logging.getLogger(__name__)

# For each question, retries included: a person waits.
_SECONDS = 8.0
_BLOCK_SECONDS = 4.0
# How far back the rate is looked for first, then how long the time is that it is told from.
_BLOCKS, _BLOCKS_IN_NO_TIME = 20, 600
_RATE_MINUTES = 3.0
_CONFIRMATIONS = 64
# In a path: `rpc`, `v1`, `ext`, `mainnet`; whatever is longer or holds digits may be a key.
_WORD = re.compile(r"[A-Za-z0-9._~-]{0,7}|[A-Za-z_-]{8,19}")


@dataclass(frozen=True, slots=True)
class Found:
    """A node as it showed itself.

    `tag` is the finality tag it serves, `verify` how far its newest block can be proven; None where
    it serves none, and where the block could not be read.
    """

    family: str
    said: Probed
    heights: Heights
    tag: str | None
    verify: Verify | None
    blocks_per_minute: float | None
    notes: tuple[str, ...] = ()


async def probe(endpoint: Endpoint) -> Found:
    """What the node behind an endpoint is; each family is asked whether it is one of its own.

    Raises:
        NodeUnavailable: It does not answer (transient).
        RequestRefused: It answers as no family we know; the message holds what each family got.
    """
    family, said, notes = await _recognised(endpoint)
    chain = Chain("probe", family, said.chain_id, 1.0)
    heights, tag = await _heights(chain, endpoint)
    verify, trouble = await _verify(chain, endpoint, heights.head)
    rate = None
    if verify is not None:
        async with clients.connect(replace(chain, verify="none"), [endpoint]) as client:
            rate = await _rate(client, heights.head, said.lowest or 0)
    return Found(family, said, heights, tag, verify, rate, (*notes, *trouble))


def entry(found: Found, word: str, name: str) -> str:
    """The entry of chains.yaml for a node, with what was seen of it as comments.

    Args:
        found: What `probe` found.
        word: What names the node: `conn:ID`, `env:NAME` or a URL. A URL that may hold a key is left
            out, and how to keep it is said instead.
        name: The chain's.
    """
    heights, said = found.heights, found.said
    shown = word if _is_plain(word) else f"conn:{name}_rpc"
    facts = [f"family {found.family}", f"head {heights.head}", _finality(found)]
    for what, able in (("batches", said.batches), ("block receipts", said.receipts)):
        facts += [] if able is None else [f"{what}: {'yes' if able else 'no'}"]
    comments = [", ".join(facts), *found.notes, *said.notes]
    if shown != word:
        comments.append(f"set AIRFLOW_CONN_{name.upper()}_RPC to the URL, which may hold a key")
    if found.blocks_per_minute is None:
        comments.append("correct blocks_per_minute: no two blocks were seen to tell it from")
    lines = [
        f"{name}:",
        f"  family: {found.family}",
    ]
    lines += [] if said.chain_id is None else [f"  chain_id: {_yaml(said.chain_id)}"]
    lines.append(f"  blocks_per_minute: {max(found.blocks_per_minute or 1.0, 0.1):.1f}")
    lines += [f"  start: {said.lowest}  # the lowest height it serves"] if said.lowest else []
    lines.append(f"  finality: {found.tag or f'{{confirmations: {_CONFIRMATIONS}}}'}")
    if found.verify not in (None, "roots"):
        lines.append(f"  verify: {found.verify}")
    lines.append(f"  datasets: [{', '.join(_datasets(found.family))}]")
    lines += ["  endpoints:", f"    - {shown}"]
    return "\n".join([*(f"# {text}" for text in comments), *(f"  {line}" for line in lines)])


async def _recognised(endpoint: Endpoint) -> tuple[str, Probed, tuple[str, ...]]:
    """The family that knows the node as its own, what it says, and a note if another does too."""
    asking = clients.probes()
    answers = await asyncio.gather(*(_answer(ask, endpoint) for ask in asking.values()))
    by_family = dict(zip(asking, answers, strict=True))
    knowing = {f: said for f, said in by_family.items() if not isinstance(said, WorkError)}
    if knowing:
        (family, said), *others = knowing.items()
        return family, said, tuple(f"it answers as {other} too" for other, _ in others)
    reasons: dict[str, list[str]] = {}
    for family, error in by_family.items():
        reasons.setdefault(str(error), []).append(family)
    if all(isinstance(error, NodeUnavailable) for error in answers):
        raise NodeUnavailable(f"{endpoint.host}: {'; '.join(reasons)}")
    told = "; ".join(f"{', '.join(families)}: {text}" for text, families in reasons.items())
    raise RequestRefused(f"{endpoint.host} answers as none of {', '.join(by_family)}: {told}")


async def _answer(
    ask: Callable[[Endpoint], Awaitable[Probed]], endpoint: Endpoint
) -> Probed | WorkError:
    try:
        async with asyncio.timeout(_SECONDS):
            return await ask(endpoint)
    except TimeoutError:
        return NodeUnavailable(f"no answer within {_SECONDS:g} s")
    except WorkError as error:
        return error


async def _heights(chain: Chain, endpoint: Endpoint) -> tuple[Heights, str | None]:
    """Its heights, with the first finality tag that it serves."""
    for tag in ("finalized", "safe"):
        tagged = replace(chain, finality_tag=tag)
        try:
            async with clients.connect(tagged, [endpoint]) as client:
                return await client.heights(), tag
        except Unsupported:
            continue
    async with clients.connect(chain, [endpoint]) as client:
        return await client.heights(), None


async def _verify(
    chain: Chain, endpoint: Endpoint, height: int
) -> tuple[Verify | None, tuple[str, ...]]:
    """The most that can be proven of a block, all datasets wanted; what hindered reading it."""
    reason = ""
    for verify in get_args(Verify):
        try:
            async with clients.connect(replace(chain, verify=verify), [endpoint]) as client:
                await _time_ms(client, height, _datasets(chain.family))
        except MalformedAnswer as error:
            reason = str(error)
        except (TimeoutError, WorkError) as error:
            reason = str(error) or f"no block within {_BLOCK_SECONDS:g} s"
            break
        else:
            return verify, (f"verify: {reason}",) if reason else ()
    return None, (f"its newest block could not be read: {reason}",)


async def _rate(client: Client, head: int, lowest: int) -> float | None:
    """Blocks per minute over the last minutes, as far as its blocks' times tell."""
    rate = None
    distance = _BLOCKS
    try:
        newest = await _time_ms(client, head)
        for _ in range(2):
            blocks = min(distance, head - lowest)
            minutes = (newest - await _time_ms(client, head - blocks)) / 60_000
            rate = blocks / minutes if minutes > 0 else rate
            if minutes >= _RATE_MINUTES or blocks < distance:
                break
            distance = math.ceil(rate * _RATE_MINUTES) if rate else _BLOCKS_IN_NO_TIME
    except (TimeoutError, WorkError) as error:
        log.info("no block to tell the rate from reason=%s", error)
    return rate


async def _time_ms(client: Client, height: int, datasets: Collection[str] = ("blocks",)) -> int:
    one = BlockRange(height, height + 1)
    async with asyncio.timeout(_BLOCK_SECONDS), aclosing(client.fetch(one, datasets)) as blocks:
        return (await anext(blocks)).time_ms


def _finality(found: Found) -> str:
    if found.tag is None:
        return "no finality tag: choose the confirmations"
    height = found.heights.finalized
    behind = found.heights.head - (height if height is not None else found.heights.head)
    return f"{found.tag} {height}, {behind} behind" if behind else f"{found.tag} is the head"


def _yaml(value: int | str) -> str:
    return str(yaml.safe_dump(value)).splitlines()[0]


def _datasets(family: str) -> list[str]:
    names = lookup.names(f"datasets.{family}")
    return sorted(names, key=lambda name: (name != "blocks", name))


def _is_plain(word: str) -> bool:
    """Whether a word names an endpoint without what may be a key."""
    if "://" not in word:
        return True
    parts = urlsplit(word)
    if "@" in parts.netloc or parts.query or parts.fragment:
        return False
    return all(_WORD.fullmatch(step) for step in parts.path.split("/"))
