"""A node on loopback that costs next to nothing: it serves answers made beforehand, as bytes.

    python -m benchmarks.node BLOCKS

It makes the blocks if they are not in the temporary folder yet, prints its port, and serves until
it is ended.
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from chainflow.devnet import evm

CHAIN_ID = 1
START = 21_000_000


class _Call(msgspec.Struct):
    id: int
    method: str
    params: list[Any]


def answers(blocks: int) -> dict[tuple[str, int], bytes]:
    """By method and height, the result as JSON."""
    file = _file(blocks)
    if not file.exists():
        part = file.with_suffix(f".{os.getpid()}")
        with part.open("wb") as out:
            for pair in evm.generate(CHAIN_ID, blocks, start=START):
                out.writelines(answer + b"\n" for answer in pair)
        part.rename(file)
    with file.open("rb") as lines:
        methods = ("eth_getBlockByNumber", "eth_getBlockReceipts")
        keys = ((name, height) for height in range(START, START + blocks) for name in methods)
        return dict(zip(keys, lines, strict=True))


def _file(blocks: int) -> Path:
    """Named by what makes its content, so that another generator makes another file."""
    sources = sorted(Path(evm.__file__).parent.glob("*.py"))
    made_by = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    return Path(tempfile.gettempdir()) / f"chainflow-bench-{blocks}-{made_by[:12]}.jsonl"


def application(made: dict[tuple[str, int], bytes]) -> web.Application:
    """The node; `GET /` tells how many bytes of answers it holds."""
    head = max(height for _, height in made)

    def answer(call: _Call) -> bytes:
        match call:
            case _Call(method="eth_chainId"):
                result = b'"0x%x"' % CHAIN_ID
            case _Call(method="eth_blockNumber"):
                result = b'"0x%x"' % head
            case _Call(params=[str(word), *_]):
                height = int(word, 16) if word.startswith("0x") else head
                result = made.get((call.method, height), b"null")
            case _:
                result = b"null"
        return b'{"jsonrpc":"2.0","id":%d,"result":%b}' % (call.id, result)

    async def post(request: web.Request) -> web.Response:
        calls = msgspec.json.decode(await request.read(), type=list[_Call] | _Call)
        if isinstance(calls, _Call):
            body = answer(calls)
        else:
            body = b"[%b]" % b",".join(answer(call) for call in calls)
        return web.Response(body=body, content_type="application/json")

    async def get(_: web.Request) -> web.Response:
        return web.Response(text=str(sum(map(len, made.values()))))

    app = web.Application()
    app.add_routes([web.post("/", post), web.get("/", get)])
    return app


def main(blocks: int) -> None:
    """Serve until ended."""
    listening = socket.create_server(("127.0.0.1", 0))
    app = application(answers(blocks))
    print(listening.getsockname()[1], flush=True)
    web.run_app(app, sock=listening, print=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
