"""Bodies of HTTP answers, taken into memory within bounds."""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, NoReturn

from chainflow.errors import AnswerTooLarge, NodeUnavailable

if TYPE_CHECKING:
    import aiohttp

    from chainflow.clients._pace import Limits

_CODINGS = frozenset({"", "identity", "gzip", "x-gzip"})


class Bodies:
    """Bodies of one endpoint's answers: beyond the usual size, one at a time is read on."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._large = asyncio.Lock()

    async def read(self, response: aiohttp.ClientResponse) -> bytes:
        """The whole body, unpacked.

        Raises:
            AnswerTooLarge: It is larger than `Limits.body_bytes`, packed or unpacked.
            NodeUnavailable: It is cut short, or packed as nobody asked for.
        """
        most = self._limits.body_bytes
        usual = min(self._limits.large_bytes, most)
        body = _Body(response, most)
        parts = response.content.iter_any()
        async for part in parts:
            body.add(part, usual)
            if body.size > usual:
                break
        if body.size <= usual:
            return body.whole()
        async with self._large:
            body.add(b"", most)  # what of the last part is still packed
            async for part in parts:
                body.add(part, most)
            return body.whole()


class _Body:
    """One body as it comes, unpacked here: aiohttp before 3.13.3 unpacks without bound."""

    def __init__(self, response: aiohttp.ClientResponse, most: int) -> None:
        coding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if coding not in _CODINGS:
            raise NodeUnavailable("a body in a coding that was not asked for")
        self.size = 0
        self._most = most
        self._parts: list[bytes] = []
        self._gzip = zlib.decompressobj(zlib.MAX_WBITS | 16) if "gzip" in coding else None
        if (response.content_length or 0) > most:
            self._refuse()

    def add(self, part: bytes, most: int) -> None:
        """One more part of it, unpacked until the body is larger than `most`, which it is not yet.

        What is left of the part stays packed until the next call.
        """
        if self._gzip is not None:
            packed = self._gzip.unconsumed_tail + part
            try:
                part = self._gzip.decompress(packed, most + 1 - self.size)
            except zlib.error:
                raise NodeUnavailable("a body that is no gzip, and says it is") from None
        self._parts.append(part)
        self.size += len(part)
        if self.size > self._most:
            self._refuse()

    def whole(self) -> bytes:
        """All of it."""
        if self._gzip is not None and self._parts and not self._gzip.eof:
            raise NodeUnavailable("the body was cut short")
        return b"".join(self._parts)

    def _refuse(self) -> NoReturn:
        raise AnswerTooLarge(f"the answer is larger than {self._most} bytes")
