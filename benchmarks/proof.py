"""What proving a mainnet-like block costs: CPU time of `verify: hashes` and `verify: roots`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks.report import Line, at_most, plain
from benchmarks.samples import SAMPLES, answers
from chainflow.clients import _evm_headers, _evm_receipts, _evm_roots
from chainflow.clients._evm_proof import Proof
from chainflow.types import Chain, Verify
from chainflow.wire import evm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Decoded = tuple[evm.Block, list[evm.Receipt]]

_SAMPLE = SAMPLES["ethereum"]
BLOCKS = 50
RUNS = 5
# The volume of the talk: 1.42 GB a minute.
_BYTES_PER_SECOND = 1.42e9 / 60


def measure(_: Path) -> list[Line]:
    """Lines of the table."""
    served = [tuple(map(bytes, sent)) for sent in answers(_SAMPLE)[:BLOCKS]]
    blocks = [_decoded(sent) for sent in served]
    size = sum(len(part) for sent in served for part in sent) / BLOCKS
    hashes, roots = Proof(_chain("hashes")), Proof(_chain("roots"))
    decode_ms = _milliseconds(lambda at, *_: _decoded(served[at]), blocks)
    hashes_ms = _milliseconds(lambda at, b, r: _afresh(at, hashes, b, r), blocks)
    roots_ms = _milliseconds(lambda at, b, r: roots.check(b, r, _SAMPLE.start + at), blocks)
    header_ms = _milliseconds(lambda _, b, __: _evm_headers.block_hash(b), blocks)
    transactions_ms = _milliseconds(
        lambda at, b, _: _evm_roots.check_transactions(b, len(b.transactions), _SAMPLE.start + at),
        blocks,
    )
    receipts_ms = _milliseconds(
        lambda at, b, r: _evm_roots.check_receipts(b, r, _SAMPLE.start + at), blocks
    )
    share = roots_ms / 1000 * _BYTES_PER_SECOND / size
    return [
        plain(f"verify: hashes of a block of {size / 1e3:.0f} kB", hashes_ms, "ms"),
        plain("verify: roots of it", roots_ms, "ms"),
        plain("of which header", header_ms, "ms"),
        plain("of which transactionsRoot and each hash", transactions_ms, "ms"),
        plain("of which receiptsRoot", receipts_ms, "ms"),
        plain("decoding it from JSON", decode_ms, "ms"),
        at_most("verify: roots at the talk's 23.7 MB/s", share, 0.25, "of a core"),
    ]


def _chain(verify: Verify) -> Chain:
    return Chain("bench", "evm", _SAMPLE.chain_id, 5.0, verify=verify)


def _decoded(sent: tuple[bytes, ...]) -> Decoded:
    block, receipts = sent
    return evm.decode_block(block), evm.decode_receipts(receipts)


def _afresh(at: int, proof: Proof, block: evm.Block, receipts: list[evm.Receipt]) -> None:
    """Prove the first block of a run without what the run before has left in the cache."""
    if at == 0:
        _evm_receipts._BITS.clear()
    proof.check(block, receipts, _SAMPLE.start + at)


def _milliseconds(
    work: Callable[[int, evm.Block, list[evm.Receipt]], object], blocks: Sequence[Decoded]
) -> float:
    """CPU time a block, of the quickest run: others on the machine only make it slower."""
    best = float("inf")
    for _ in range(RUNS):
        began = time.process_time()
        for at, (block, receipts) in enumerate(blocks):
            work(at, block, receipts)
        best = min(best, time.process_time() - began)
    return best / len(blocks) * 1000
