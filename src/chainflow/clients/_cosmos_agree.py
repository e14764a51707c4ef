"""Whether a block and its results, as a node gave them, are what they say they are.

A header is proven by its hash, the transactions by the header, and code, data and gas of their
results by the next header. Events and logs are in no hash that a header holds.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from chainflow.clients import _cosmos_hashes as hashes
from chainflow.errors import MalformedAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chainflow.types import RawBlock, Verify
    from chainflow.wire.cosmos import Block, BlockAnswer, Results

_NOTHING = sha256(b"").digest()


def check_block(
    answer: BlockAnswer,
    block: Block,
    sent: Sequence[bytes],
    height: int,
    network: str | None,
    verify: Verify,
) -> None:
    """Refuse a block of another height or chain, or one that its own hashes disprove.

    Args:
        answer: The block's id.
        block: What the node gave as the block.
        sent: The hashes of its transactions.
        height: What it was asked for.
        network: The chain's id, where the registry names it.
        verify: What is proven: the header by its hash; by `roots` its transactions as well.

    Raises:
        MalformedAnswer: What disagrees.
    """
    header = block.header
    if header.height != str(height):
        raise MalformedAnswer(f"the answer is block {header.height[:20]}")
    if network is not None and header.chain_id != network:
        raise MalformedAnswer(f"a block of chain {header.chain_id[:50]!r}, not {network!r}")
    found = hashes.header_hash(header)
    if verify != "none":
        _same("hash", answer.block_id.hash, found, "none")
    for text in (answer.block_id.hash, answer.block_id.parts.hash):
        hashes.unhex(text)
    if verify != "roots":
        return
    _same("data_hash", header.data_hash, hashes.merkle(sent), "hashes")
    nothing = hashes.unhex(header.evidence_hash) in (_NOTHING, b"")
    if nothing == bool(block.evidence.evidence):
        raise MalformedAnswer("evidence_hash and evidence disagree on whether there is any")


def check_results(block: Block, results: Results, height: int) -> None:
    """Refuse results of another height, or not one for each transaction.

    Raises:
        MalformedAnswer: What disagrees.
    """
    if results.height != str(height):
        raise MalformedAnswer(f"the results are of block {results.height[:20]}")
    given, sent = len(results.txs_results or ()), len(block.data.txs or ())
    if given != sent:
        raise MalformedAnswer(f"{given} results for {sent} transactions")


def check_below(block: RawBlock, above: RawBlock) -> None:
    """Refuse a block, fetched with its results, that the next one's header disproves.

    Raises:
        MalformedAnswer: It is not what the chain agreed upon.
    """
    header = above.payload.block.header
    if above.parent_hash != block.hash:
        raise MalformedAnswer(f"its hash is {block.hash}, but the next names {above.parent_hash}")
    _same("last_results_hash above", header.last_results_hash, block.payload.results_hash, "hashes")


def _same(what: str, said: str, found: bytes, less: str) -> None:
    """Refuse what is said not to be what was found; `less` is the `verify` that would take it."""
    if hashes.unhex(said) != found:
        raise MalformedAnswer(
            f"{what} is {said[:64]}, but what came gives {found.hex().upper()}; if every endpoint "
            f"gives the same, this chain needs `verify: {less}`"
        )
