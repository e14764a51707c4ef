"""What the node answers for an EVM chain, to us and to the peers, which ask in other ways."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.samples import Answers, Parts, Sample

Json = Any  # whatever JSON can hold


class _Receipt(msgspec.Struct):
    transactionHash: str  # noqa: N815 - the node's word
    logs: msgspec.Raw


@dataclass
class Evm:
    """The methods of a node, over blocks made beforehand."""

    sample: Sample
    made: Answers
    logs: dict[int, bytes] = field(default_factory=dict)

    def result(self, method: str, params: Json) -> Parts:
        """The result of a method, in pieces."""
        return self._methods[method](params)

    @cached_property
    def _methods(self) -> dict[str, Callable[[Json], Parts]]:
        return {
            "eth_chainId": lambda _: [b'"%#x"' % int(self.sample.chain_id)],
            "eth_blockNumber": lambda _: [b'"%#x"' % self.sample.head],
            "eth_getBlockByNumber": lambda params: [self._of(params[0])[0]],
            "eth_getBlockReceipts": lambda params: [self._of(params[0])[1]],
            "eth_getTransactionReceipt": lambda params: [self._by_hash[params[0]]],
            "eth_getLogs": self._get_logs,
            "net_version": lambda _: [b'"%d"' % int(self.sample.chain_id)],
            "web3_clientVersion": lambda _: [b'"bench"'],
        }

    def _of(self, where: str) -> tuple[memoryview, ...]:
        height = int(where, 16) if where.startswith("0x") else self.sample.head
        return self.made[height - self.sample.start]

    def _get_logs(self, params: Json) -> Parts:
        """Every log of a range of heights; a filter by address or topic is none."""
        low, last = (int(params[0][key], 16) for key in ("fromBlock", "toBlock"))
        found = [logs for height in range(low, last + 1) if (logs := self._logs(height))]
        return [b"[", b",".join(found), b"]"] if len(found) != 1 else [b"[", found[0], b"]"]

    def _logs(self, height: int) -> bytes:
        if height not in self.logs:
            receipts = _receipts(self.made[height - self.sample.start][1])
            told = (bytes(receipt.logs)[1:-1] for receipt in receipts)
            self.logs[height] = b",".join(logs for logs in told if logs)
        return self.logs[height]

    @cached_property
    def _by_hash(self) -> dict[str, msgspec.Raw]:
        """Each receipt as text; made when the first is asked for, which takes seconds."""
        found: dict[str, msgspec.Raw] = {}
        for _, receipts in self.made:
            texts = msgspec.json.decode(receipts, type=list[msgspec.Raw])
            names = (receipt.transactionHash for receipt in _receipts(receipts))
            found.update(zip(names, texts, strict=True))
        return found


def _receipts(told: memoryview) -> list[_Receipt]:
    return msgspec.json.decode(told, type=list[_Receipt])
