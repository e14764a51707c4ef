"""A node of one EVM chain of empty blocks, hashed and linked as real ones are.

    python -m benchmarks._light_node COUNT

Prints its port and serves until it is ended. Blocks are made as they are asked for; only their
hashes are kept, 32 bytes each.
"""

from __future__ import annotations

import socketserver
import sys
from dataclasses import dataclass
from typing import Any

import msgspec

from chainflow.clients._keccak import keccak

# So that every height has three bytes and every time four, whatever the count.
FIRST = 1_000_000
_TIME = 1_700_000_000
CHAIN_ID = 4242
_NO_UNCLES = "1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"
_EMPTY_TRIE = "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
_BEFORE = bytes.fromhex(
    f"a0{_NO_UNCLES}94{'00' * 20}a0{'11' * 32}a0{_EMPTY_TRIE}a0{_EMPTY_TRIE}b90100{'00' * 256}80"
)
_AFTER = bytes.fromhex(f"80a0{'00' * 32}88{'00' * 8}07")
_BLOCK = (
    f'{{"number":"%#x","hash":"0x%s","parentHash":"0x%s","timestamp":"%#x","sha3Uncles":"0x{_NO_UNCLES}"'
    f',"miner":"0x{"00" * 20}","stateRoot":"0x{"11" * 32}","transactionsRoot":"0x{_EMPTY_TRIE}"'
    f',"receiptsRoot":"0x{_EMPTY_TRIE}","logsBloom":"0x{"00" * 256}","difficulty":"0x0"'
    ',"gasLimit":"0x1c9c380","gasUsed":"0x0","extraData":"0x","size":"0x21c"'
    f',"mixHash":"0x{"00" * 32}","nonce":"0x{"00" * 8}","baseFeePerGas":"0x7"'
    ',"transactions":[],"uncles":[]}'
)


class _Call(msgspec.Struct):
    method: str
    params: list[Any] = []
    id: int = 0


@dataclass(frozen=True, slots=True)
class Chain:
    """The hashes of its blocks, one after the other, behind that of the block before the first."""

    hashes: bytes

    @property
    def head(self) -> int:
        """The last height."""
        return FIRST + len(self.hashes) // 32 - 2

    def answer(self, call: _Call) -> str:
        """The result of a call, as JSON."""
        if call.method == "eth_chainId":
            return f'"{CHAIN_ID:#x}"'
        if call.method == "eth_blockNumber":
            return f'"{self.head:#x}"'
        where = call.params[0]
        height = int(where, 16) if where.startswith("0x") else self.head
        if not FIRST <= height <= self.head:
            return "null"
        return self._block(height) if call.method == "eth_getBlockByNumber" else "[]"

    def _block(self, height: int) -> str:
        at = 32 * (height - FIRST)
        parent, own = self.hashes[at : at + 32].hex(), self.hashes[at + 32 : at + 64].hex()
        return _BLOCK % (height, own, parent, _TIME + height)


def chain(count: int) -> Chain:
    """That many blocks, each with the keccak of its header as geth encodes it."""
    hashes = bytearray(32)
    for height in range(FIRST, FIRST + count):
        header = b"".join(
            (
                b"\xa0",
                hashes[-32:],
                _BEFORE,
                b"\x83",
                height.to_bytes(3, "big"),
                b"\x84\x01\xc9\xc3\x80\x80\x84",
                (_TIME + height).to_bytes(4, "big"),
                _AFTER,
            )
        )
        hashes += keccak(b"\xf9" + len(header).to_bytes(2, "big") + header)
    return Chain(bytes(hashes))


def _handler(served: Chain) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        wbufsize = -1

        def handle(self) -> None:
            while size := self._head():
                calls = msgspec.json.decode(self.rfile.read(size), type=list[_Call] | _Call)
                said = [
                    f'{{"jsonrpc":"2.0","id":{call.id},"result":{served.answer(call)}}}'
                    for call in (calls if isinstance(calls, list) else [calls])
                ]
                body = (f"[{','.join(said)}]" if isinstance(calls, list) else said[0]).encode()
                self.wfile.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n" % len(body)
                )
                self.wfile.write(body)
                self.wfile.flush()

        def _head(self) -> int:
            """Bytes of the next request's body; 0 when the client is gone."""
            size = 0
            while (line := self.rfile.readline()) not in {b"\r\n", b""}:
                name, _, value = line.partition(b":")
                size = int(value) if name.lower() == b"content-length" else size
            return size

    return Handler


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def main(count: int) -> None:
    """Serve that many blocks."""
    with _Server(("127.0.0.1", 0), _handler(chain(count))) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
