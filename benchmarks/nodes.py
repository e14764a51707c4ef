"""Heights of many chains at once, one node being slow: the poll itself, into the store.

    python -m benchmarks.nodes

serves any number of EVM chains on one port, `/CHAIN_ID/SECONDS` being one that answers so late.
"""

from __future__ import annotations

import sys
import time
from statistics import median
from subprocess import PIPE, Popen
from typing import TYPE_CHECKING

import msgspec

from benchmarks.node import Call, Node
from benchmarks.postgres import Postgres
from benchmarks.report import Line, at_most, plain
from chainflow import poll
from chainflow.store import database
from chainflow.types import Chain

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.engine import Engine

    from benchmarks.samples import Parts

RUNS = 5
_SLOW_SECONDS = 1.0
_BLOCK = b'{"number":"0x63"}'
_RESULTS = {"eth_blockNumber": b'"0x64"', "eth_getBlockByNumber": _BLOCK}


def measure(folder: Path) -> list[Line]:
    """Lines of the table; everything it writes is in `folder`."""
    with (
        Popen([sys.executable, "-m", "benchmarks.nodes"], stdout=PIPE, text=True) as node,
        Postgres(folder / "postgres") as server,
    ):
        try:
            assert node.stdout is not None
            url = f"http://127.0.0.1:{int(node.stdout.readline())}"
            engine = database.engine(server.database("heights"))
            database.upgrade(engine)
            few = _seconds(engine, url, 18, slow=True)
            return [
                at_most("18 chains, beyond the slowest node's 1 s", few - _SLOW_SECONDS, 0.3, "s"),
                plain("18 chains, none slow", _seconds(engine, url, 18), "s"),
                at_most("1000 chains", _seconds(engine, url, 1000), 6, "s"),
            ]
        finally:
            node.terminate()


def _seconds(engine: Engine, url: str, count: int, *, slow: bool = False) -> float:
    """Of a poll of so many chains; the slowness is shared by a node's two requests."""
    late = {1: _SLOW_SECONDS / 2} if slow else {}
    chains = [
        _chain(number, f"{url}/{number}/{late.get(number, 0)}") for number in range(1, count + 1)
    ]
    taken = []
    for _ in range(RUNS):
        began = time.perf_counter()
        said = poll.observe_all(engine, chains, lambda name: name)
        taken.append(time.perf_counter() - began)
        silent = {chain: heights for chain, heights in said.items() if isinstance(heights, str)}
        assert not silent, silent
    return median(taken)


def _chain(number: int, endpoint: str) -> Chain:
    return Chain(
        f"chain{number}", "evm", number, 5.0, finality_tag="finalized", endpoints=(endpoint,)
    )


def _answer(path: str, body: bytes) -> Parts:
    chain_id, seconds = path.split("/")
    results = {**_RESULTS, "eth_chainId": b'"%#x"' % int(chain_id)}
    time.sleep(float(seconds))
    calls = msgspec.json.decode(body, type=list[Call] | Call)
    several = calls if isinstance(calls, list) else [calls]
    answers = (
        b'{"jsonrpc":"2.0","id":%d,"result":%b}' % (c.id, results[c.method]) for c in several
    )
    text = b",".join(answers)
    return [b"[%b]" % text if isinstance(calls, list) else text]


if __name__ == "__main__":
    with Node(_answer) as serving:
        print(serving.server_address[1], flush=True)
        serving.serve_forever()
