"""A node on loopback that costs next to nothing: it serves answers made beforehand, as bytes.

    python -m benchmarks.node CHAIN [SECONDS]

It makes the chain's sample if it is not in the temporary folder yet, prints its port, and serves
until it is ended; each answer comes SECONDS late. `GET /` tells how many bytes of answers it holds.

A thread a connection: the system copies the bytes, and Python does nothing meanwhile.
"""

from __future__ import annotations

import re
import socketserver
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks._node_evm import Evm
from benchmarks.samples import SAMPLES, Answers, Parts, Sample, answers
from chainflow.devnet import _tron_blocks

if TYPE_CHECKING:
    from socket import socket

Answer = Callable[[str, bytes], Parts | None]
"""From a path and a body to what is answered; None: there is no such thing."""

Json = Any  # whatever JSON can hold
# sendmsg takes no more pieces than this at once.
_PIECES = 1000


class Call(msgspec.Struct):
    """One call of JSON-RPC."""

    id: int
    method: str
    params: Json = None


class _Tron(msgspec.Struct):
    num: int = 0
    startNum: int = 0  # noqa: N815 - the node's word
    endNum: int = 0  # noqa: N815


def _json_rpc(result: Callable[[str, Json], Parts]) -> Answer:
    def one(call: Call) -> Parts:
        head = b'{"jsonrpc":"2.0","id":%d,"result":' % call.id
        return [head, *result(call.method, call.params), b"}"]

    def answer(_: str, body: bytes) -> Parts:
        calls = msgspec.json.decode(body, type=list[Call] | Call)
        if isinstance(calls, Call):
            return one(calls)
        parts: Parts = [b"["]
        for call in calls:
            parts += [*one(call), b","]
        return [*parts[:-1], b"]"]

    return answer


def _evm(sample: Sample, made: Answers) -> Answer:
    return _json_rpc(Evm(sample, made).result)


def _cosmos(sample: Sample, made: Answers) -> Answer:
    known = {
        "latest_block_height": str(sample.head),
        "earliest_block_height": str(sample.start),
        "catching_up": False,
    }
    status = msgspec.json.encode({"node_info": {"network": sample.chain_id}, "sync_info": known})

    def result(method: str, params: Json) -> Parts:
        if method == "status":
            return [status]
        kind = ("block", "block_results").index(method)
        return [made[int(params["height"]) - sample.start][kind]]

    return _json_rpc(result)


def _tron(sample: Sample, made: Answers) -> Answer:
    genesis = _tron_blocks.genesis().block

    def answer(path: str, body: bytes) -> Parts | None:
        asked = msgspec.json.decode(body, type=_Tron)
        match path:
            case "wallet/getnowblock" | "walletsolidity/getnowblock":
                return [made[-1][0]]
            case "wallet/getblockbynum":  # which chain it is; no other height is asked for so
                return [genesis]
            case "wallet/getblockbylimitnext":
                found = made[asked.startNum - sample.start : asked.endNum - sample.start]
                return [b'{"block":[%b]}' % b",".join(block for block, _ in found)]
            case "wallet/gettransactioninfobyblocknum":
                return [made[asked.num - sample.start][1]]
        return None

    return answer


def _sui(sample: Sample, made: Answers) -> Answer:
    def answer(path: str, _: bytes) -> Parts | None:
        if path.startswith("_metadata/"):
            return [b'{"checkpoint_hi_inclusive":%d}' % sample.head]
        named = re.fullmatch(r"(\d+)\.binpb\.zst", path)
        height = int(named[1]) if named else 0
        return [made[height - sample.start][0]] if height >= sample.start else None

    return answer


_FAMILIES: dict[str, Callable[[Sample, Answers], Answer]] = {
    "evm": _evm,
    "cosmos": _cosmos,
    "tron": _tron,
    "sui": _sui,
}


class Node(socketserver.ThreadingTCPServer):
    """The node; each answer comes `seconds` late; `size` is the bytes of all blocks it has."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, answer: Answer, size: int = 0, seconds: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.answer = answer
        self.size: Parts = [b"%d" % size]
        self.seconds = seconds


class _Connection(socketserver.StreamRequestHandler):
    """As much of HTTP/1.1 as its clients speak: no chunks, one request after the other."""

    server: Node
    disable_nagle_algorithm = True

    def handle(self) -> None:
        while line := self.rfile.readline():
            length = 0
            while (header := self.rfile.readline().lower()) not in (b"\r\n", b""):
                if header.startswith(b"content-length:"):
                    length = int(header[15:])
            body = self.rfile.read(length)
            verb, path, _ = line.decode().split()
            size = verb == "GET" and path == "/"
            parts = self.server.size if size else self.server.answer(path[1:], body)
            time.sleep(self.server.seconds)
            _send(self.connection, parts)


def _send(connection: socket, parts: Parts | None) -> None:
    status = b"200 OK" if parts is not None else b"404 Not Found"
    parts = parts or []
    size = sum(map(len, parts))
    head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    left: Parts = [head % (status, size), *parts]
    while left:
        sent = connection.sendmsg(left[:_PIECES])
        done = 0
        while done < len(left) and sent >= len(left[done]):
            sent -= len(left[done])
            done += 1
        left = left[done:]
        if sent:
            left[0] = memoryview(left[0])[sent:]


def main(chain: str, seconds: float = 0.0) -> None:
    """Serve until ended."""
    sample = SAMPLES[chain]
    made = answers(sample)
    size = sum(len(part) for parts in made for part in parts)
    with Node(_FAMILIES[sample.family](sample, made), size, seconds) as node:
        print(node.server_address[1], flush=True)
        node.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], *map(float, sys.argv[2:]))
