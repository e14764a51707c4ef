"""Whether a block is what its hash says: header, bloom, and the roots of what it holds.

`hashes` proves the header by the block's hash, and the logs by the header's bloom. `roots` proves
each transaction by its own hash, all of them by transactionsRoot, the receipts and their logs by
receiptsRoot, the withdrawals by withdrawalsRoot.

What a chain's form does not allow is left out, as `_evm_unproven` lists; choices: docs/decisions/
0100 to 0103.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from chainflow.clients import _evm_headers as headers
from chainflow.clients import _evm_receipts as receipt_forms
from chainflow.clients import _evm_roots as roots
from chainflow.clients._evm_agree import state_sync_hash
from chainflow.clients._evm_transactions import DEPOSIT
from chainflow.clients._evm_trie import EMPTY_ROOT
from chainflow.clients._evm_unproven import BYZANTIUM, STATE_SYNC_CHAINS, UNPROVEN, Part, Unproven
from chainflow.errors import MalformedAnswer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chainflow.types import Chain
    from chainflow.wire.evm import Block, Receipt
    from chainflow.wire.evm_columns import Told

log = logging.getLogger(__name__)

_NO_ROOT = (None, roots.ZERO, f"0x{EMPTY_ROOT.hex()}")
_PARTS: dict[str, frozenset[Part]] = {
    "none": frozenset(),
    "hashes": frozenset({"header", "bloom"}),
    "roots": frozenset({"header", "bloom", "transactions", "receipts"}),
}
_ROOTS: frozenset[Part] = frozenset({"transactions", "receipts"})


class Proof:
    """What of one chain's blocks is proven; each exception is told once."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain.name
        self._wanted = _PARTS[chain.verify]
        self._unproven = UNPROVEN.get(chain.chain_id, ())
        self._state_sync = chain.chain_id in STATE_SYNC_CHAINS
        self._byzantium = BYZANTIUM.get(chain.chain_id, 0)
        self._told: set[object] = set()

    def check(
        self,
        block: Block,
        receipts: Sequence[Receipt] | None,
        height: int,
        *,
        said: Told | None = None,
        transactions: bool = True,
        withdrawals: bool = True,
    ) -> None:
        """Refuse a block that is not what its hash, its bloom and its roots say.

        Args:
            block: A block that `check_block` let pass.
            receipts: Its receipts, which `check_receipts` let pass; None where none were asked for.
            height: The block's height.
            said: What block and receipts tell, where that is at hand.
            transactions: Whether the block has its transactions with it, as all that come do.
            withdrawals: Whether it has its withdrawals.

        Raises:
            MalformedAnswer: What the block says and what came, by height; and what the registry
                can say where every endpoint's answer is refused.
        """
        parts = self._parts(height) - (frozenset() if transactions else _ROOTS)
        if height == 0 and not block.transactions:
            parts -= _ROOTS  # a genesis may hold any words in its roots' places, as hardhat's does
        if "header" in parts:
            found = roots.made(height, "the header", headers.block_hash, block)
            roots.same(height, "the block's hash", block.hash, found, "none")
        rooted = self._rooted(block)
        if "transactions" in parts:
            odd = roots.check_transactions(block, rooted, height)
            self._tell_types(height, odd)
            if withdrawals and not _opens_with_deposit(block):
                roots.check_withdrawals(block, height)
        if receipts is not None:
            if rooted < len(receipts):
                receipts, said = receipts[:rooted], None
            self._check_receipts(block, receipts, height, parts, said)

    def _parts(self, height: int) -> frozenset[Part]:
        parts = self._wanted
        for one in self._unproven:
            if one.below is None or height < one.below:
                self._tell_parts(height, one, parts & one.parts)
                parts -= one.parts
        return parts

    def _rooted(self, block: Block) -> int:
        """How many transactions roots and bloom know: all, but for Bor's state sync at the end."""
        count = len(block.transactions)
        if self._state_sync and count and block.transactions[-1].hash == state_sync_hash(block):
            return count - 1
        return count

    def _tell_parts(self, height: int, one: Unproven, left_out: frozenset[Part]) -> None:
        if left_out and one not in self._told:
            self._told.add(one)
            text = "unproven blocks chain=%s height=%d parts=%s below=%s reason=%s"
            log.info(text, self.chain, height, ",".join(sorted(left_out)), one.below, one.why)

    def _tell_types(self, height: int, odd: set[int]) -> None:
        for kind in odd - self._told:
            self._told.add(kind)
            log.warning(
                "unproven transactions chain=%s height=%d type=%#x reason=%s",
                self.chain,
                height,
                kind,
                "how this type is encoded is not known, or not all of it is shown",
            )

    def _check_receipts(
        self,
        block: Block,
        receipts: Sequence[Receipt],
        height: int,
        parts: frozenset[Part],
        said: Told | None,
    ) -> None:
        # A node whose header proves nothing may leave roots and bloom empty.
        vouched = "header" in parts
        settles_others = headers.settles_others(block)
        by_root = (
            "receipts" in parts
            and not settles_others
            and (vouched or block.receipts_root not in _NO_ROOT)
            and (height >= self._byzantium or all(one.root for one in receipts))
        )
        if by_root:
            roots.check_receipts(block, receipts, height, said)
            roots.check_log_indexes(receipts, height)
        if "bloom" in parts and not (by_root and vouched):
            blooms = [one.logs_bloom for one in receipts] if settles_others else [block.logs_bloom]
            claimed = roots.made(height, "logsBloom", _together, blooms)
            if claimed or vouched:
                if said is None:
                    logs = [log for one in receipts for log in one.logs]
                    words, count = receipt_forms.words_of(logs), len(logs)
                else:
                    words = {*said.logs["address"], *said.topics}
                    count = len(said.logs["address"])
                _check_bloom(claimed, words, height, logs=count)


def _opens_with_deposit(block: Block) -> bool:
    """Whether it is of the OP stack, where withdrawalsRoot is that of a contract's storage."""
    first = block.transactions[:1]
    return any(roots.kind_of(tx.type) == DEPOSIT for tx in first)


def _check_bloom(claimed: int, words: set[str], height: int, *, logs: int) -> None:
    found = roots.made(height, "logsBloom", receipt_forms.bloom, words)
    if found != claimed:
        raise MalformedAnswer(
            f"height {height}: logsBloom is not that of the {logs} logs that came: "
            f"{(claimed & ~found).bit_count()} of its bits have no log, "
            f"{(found & ~claimed).bit_count()} bits are missing{roots.advice('none')}"
        )


def _together(blooms: Iterable[str | None]) -> int:
    bits = 0
    for one in blooms:
        bits |= int(one or "0x0", 16)
    return bits
