"""A proxy before a real node that spoils its answers: what a client must live with, by name.

    async with faults.proxy(node.url, faults.FAULTS["cut body"]) as url: ...        # every answer
    with faults.running(node.url, [None, faults.FAULTS["HTML page"]]) as url: ...   # the second

The second form serves from a thread of its own, for code that blocks. A schedule gives one entry to
a request: a Fault, or None for an honest answer; after its end all answers are honest. A fault
waits for a request that it can spoil: one for receipts, say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainflow.testing._evm_faults import EVM
from chainflow.testing._http_faults import HTTP, JSON_RPC
from chainflow.testing._proxy import Exchange, Fault, proxy, running

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EVM", "FAULTS", "HTTP", "JSON_RPC", "Exchange", "Fault", "proxy", "running"]

# Those of EVM nodes last: any other family's node has the faults before them.
FAULTS: Mapping[str, Fault] = {**HTTP, **JSON_RPC, **EVM}
