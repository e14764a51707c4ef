"""A node on loopback that costs next to nothing: it serves answers made beforehand, as bytes.

    python -m benchmarks.node CHAIN

It makes the chain's sample if it is not in the temporary folder yet, prints its port, and serves
until it is ended. `GET /` tells how many bytes of answers it holds.
"""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from aiohttp import web

from benchmarks.samples import SAMPLES, Answers, Sample, answers
from chainflow.devnet import _tron_blocks

Answer = Callable[[str, bytes], bytes | None]
"""From a path and a body to what is answered; None: there is no such thing."""

Json = Any  # whatever JSON can hold

Result = Callable[[Sample, Answers, str, Json], bytes]
"""The result of a JSON-RPC method with its params."""


class _Call(msgspec.Struct):
    id: int
    method: str
    params: Json = None


class _Tron(msgspec.Struct):
    num: int = 0
    startNum: int = 0  # noqa: N815 - the node's word
    endNum: int = 0  # noqa: N815


def _json_rpc(result: Result, sample: Sample, made: Answers) -> Answer:
    def one(call: _Call) -> bytes:
        said = result(sample, made, call.method, call.params)
        return b'{"jsonrpc":"2.0","id":%d,"result":%b}' % (call.id, said)

    def answer(_: str, body: bytes) -> bytes:
        calls = msgspec.json.decode(body, type=list[_Call] | _Call)
        return one(calls) if isinstance(calls, _Call) else b"[%b]" % b",".join(map(one, calls))

    return answer


def _evm(sample: Sample, made: Answers, method: str, params: Json) -> bytes:
    if method == "eth_chainId":
        return b'"%#x"' % int(sample.chain_id)
    if method == "eth_blockNumber":
        return b'"%#x"' % sample.head
    height = int(params[0], 16) if params[0].startswith("0x") else sample.head
    kind = ("eth_getBlockByNumber", "eth_getBlockReceipts").index(method)
    return made[height - sample.start][kind]


def _cosmos(sample: Sample, made: Answers, method: str, params: Json) -> bytes:
    if method == "status":
        known = {
            "latest_block_height": str(sample.head),
            "earliest_block_height": str(sample.start),
            "catching_up": False,
        }
        named = {"network": sample.chain_id}
        return msgspec.json.encode({"node_info": named, "sync_info": known})
    kind = ("block", "block_results").index(method)
    return made[int(params["height"]) - sample.start][kind]


def _tron(sample: Sample, made: Answers) -> Answer:
    genesis = _tron_blocks.genesis().block

    def answer(path: str, body: bytes) -> bytes | None:
        asked = msgspec.json.decode(body, type=_Tron)
        match path:
            case "wallet/getnowblock" | "walletsolidity/getnowblock":
                return made[-1][0]
            case "wallet/getblockbynum":  # which chain it is; no other height is asked for so
                return genesis
            case "wallet/getblockbylimitnext":
                found = made[asked.startNum - sample.start : asked.endNum - sample.start]
                return b'{"block":[%b]}' % b",".join(block for block, _ in found)
            case "wallet/gettransactioninfobyblocknum":
                return made[asked.num - sample.start][1]
        return None

    return answer


def _sui(sample: Sample, made: Answers) -> Answer:
    def answer(path: str, _: bytes) -> bytes | None:
        if path.startswith("_metadata/"):
            return b'{"checkpoint_hi_inclusive":%d}' % sample.head
        named = re.fullmatch(r"(\d+)\.binpb\.zst", path)
        height = int(named[1]) if named else 0
        return made[height - sample.start][0] if height >= sample.start else None

    return answer


_FAMILIES: dict[str, Callable[[Sample, Answers], Answer]] = {
    "evm": partial(_json_rpc, _evm),
    "cosmos": partial(_json_rpc, _cosmos),
    "tron": _tron,
    "sui": _sui,
}


def application(sample: Sample, made: Answers) -> web.Application:
    """The node."""
    answer = _FAMILIES[sample.family](sample, made)
    size = sum(len(part) for answers in made for part in answers)

    async def serve(request: web.Request) -> web.Response:
        body = answer(request.match_info["path"], await request.read())
        if body is None:
            raise web.HTTPNotFound
        return web.Response(body=body, content_type="application/json")

    async def told(_: web.Request) -> web.Response:
        return web.Response(text=str(size))

    app = web.Application()
    app.add_routes([web.get("/", told), web.route("*", "/{path:.*}", serve)])
    return app


def main(chain: str) -> None:
    """Serve until ended."""
    sample = SAMPLES[chain]
    app = application(sample, answers(sample))
    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    web.run_app(app, sock=listening, print=None, access_log=None)


if __name__ == "__main__":
    main(sys.argv[1])
