"""A full node or archival service over gRPC: `sui.rpc.v2.LedgerService`.

What is asked for is what the checkpoint store holds, so that one decoder serves both.

Source: MystenLabs/sui-apis, sui/rpc/v2/ledger_service.proto.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import grpc
from google.protobuf.message import DecodeError

from chainflow import __version__
from chainflow.clients._sui_store import ARCHIVAL_SERVICE
from chainflow.errors import (
    AnswerTooLarge,
    HeightPruned,
    MalformedAnswer,
    NodeUnavailable,
    NotYet,
    RateLimited,
    RequestRefused,
    Unsupported,
    WorkError,
)
from chainflow.wire import _sui_messages as messages

if TYPE_CHECKING:
    from chainflow.clients._http import Node
    from chainflow.clients._pace import Limits
    from chainflow.endpoints import Endpoint

_SERVICE = "/sui.rpc.v2.LedgerService/"
_PARTS = (
    "sequence_number",
    "digest",
    "summary.bcs",
    "contents.bcs",
    "transactions.transaction.bcs",
    "transactions.effects.bcs",
    "transactions.events.bcs",
)
_OBJECTS = "objects.objects.bcs"
_ERRORS: dict[grpc.StatusCode, type[WorkError]] = {
    grpc.StatusCode.NOT_FOUND: NotYet,
    grpc.StatusCode.RESOURCE_EXHAUSTED: RateLimited,
    grpc.StatusCode.UNIMPLEMENTED: Unsupported,
    grpc.StatusCode.INVALID_ARGUMENT: RequestRefused,
    grpc.StatusCode.OUT_OF_RANGE: RequestRefused,
    grpc.StatusCode.FAILED_PRECONDITION: RequestRefused,
    grpc.StatusCode.PERMISSION_DENIED: RequestRefused,
    grpc.StatusCode.UNAUTHENTICATED: RequestRefused,
}
# How a node answers for what it has dropped: the checkpoint, or objects of one that it has.
_LACKING = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INTERNAL})
# How gRPC itself refuses an answer beyond the receive limit, under the code of a rate limit.
_TOO_LARGE = "message larger than max"


def channel(endpoint: Endpoint, limits: Limits) -> grpc.aio.Channel:
    """A channel to an endpoint, over TLS for `grpcs`; nothing is sent yet."""
    url = urlsplit(endpoint.url)
    secure = url.scheme == "grpcs"
    target = f"{url.hostname}:{url.port or (443 if secure else 80)}"
    options = [
        ("grpc.max_receive_message_length", limits.body_bytes),
        ("grpc.primary_user_agent", f"chainflow/{__version__}"),
        # How long a connection may take to be made.
        ("grpc.min_reconnect_backoff_ms", int(limits.connect_seconds * 1000)),
        ("grpc.enable_http_proxy", 0),  # as over HTTP: no proxy but a configured one
        # Another client of this process is another connection, which ends with it.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if secure:
        return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(), options)
    return grpc.aio.insecure_channel(target, options)


@dataclass(slots=True)
class Ledger:
    """One node's ledger service."""

    node: Node
    endpoint: Endpoint
    channel: grpc.aio.Channel

    async def head(self) -> int:
        """The newest checkpoint that the node has executed."""
        info = await self._info()
        if not info.HasField("checkpoint_height"):
            raise MalformedAnswer("GetServiceInfo does not say checkpoint_height")
        return int(info.checkpoint_height)

    async def lowest(self) -> int:
        """The lowest checkpoint of which the node has the objects, too."""
        info = await self._info()
        return int(max(info.lowest_available_checkpoint, info.lowest_available_checkpoint_objects))

    async def chain_id(self) -> str | None:
        """The digest of checkpoint 0; None where the node does not tell it."""
        return str((await self._info()).chain_id) or None

    async def checkpoint(self, height: int, *, objects: bool) -> tuple[Any, int]:
        """A checkpoint's message, and how many bytes were sent for it.

        Raises:
            NotYet: The node does not have it yet.
            HeightPruned: The node has dropped it, or the objects that are wished for.
        """
        parts = (*_PARTS, _OBJECTS) if objects else _PARTS
        request = messages.GetCheckpointRequest(
            sequence_number=height, read_mask=messages.FieldMask(paths=parts)
        )
        try:
            body = await self._send("GetCheckpoint", request)
        except grpc.aio.AioRpcError as refused:
            error = self._error("GetCheckpoint", refused)
            if refused.code() in _LACKING:
                error = await self.pruned(height, objects=objects) or error
            raise error from None
        answer = _parsed(messages.GetCheckpointResponse, body)
        if not answer.HasField("checkpoint"):
            raise MalformedAnswer("GetCheckpoint answered without a checkpoint")
        return answer.checkpoint, len(body)

    async def pruned(self, height: int, *, objects: bool) -> HeightPruned | None:
        """Why the node has not, or no longer, what is wished of a checkpoint; None if it should.

        A node drops objects before checkpoints.
        """
        info = await self._info()
        lowest = {"that the node has": info.lowest_available_checkpoint}
        if objects:
            lowest["of which the node has the objects"] = info.lowest_available_checkpoint_objects
        for what, first in lowest.items():
            if height < first:
                text = f"the lowest checkpoint {what} is {first}; older ones are at"
                return HeightPruned(f"{text} {ARCHIVAL_SERVICE}")
        return None

    async def _info(self) -> Any:  # noqa: ANN401 - a message class made at run time
        try:
            body = await self._send("GetServiceInfo", messages.GetServiceInfoRequest())
        except grpc.aio.AioRpcError as refused:
            raise self._error("GetServiceInfo", refused) from None
        return _parsed(messages.GetServiceInfoResponse, body)

    async def _send(self, method: str, request: Any) -> bytes:  # noqa: ANN401 - a message
        headers = [(name.lower(), text) for name, text in self.endpoint.headers.items()]
        ask = self.channel.unary_unary(_SERVICE + method)
        async with self.node.slot():
            answer: bytes = await ask(
                request.SerializeToString(),
                timeout=self.node.limits.request_seconds,
                metadata=headers,
            )
        return answer

    def _error(self, method: str, error: grpc.aio.AioRpcError) -> WorkError:
        details = error.details() or ""
        text = f"{method}: {error.code().name}: {self.node.excerpt(details)}"
        if _TOO_LARGE in details:
            return AnswerTooLarge(text)
        return _ERRORS.get(error.code(), NodeUnavailable)(text)


def _parsed(kind: Any, body: bytes) -> Any:  # noqa: ANN401 - messages
    try:
        return kind.FromString(body)
    except DecodeError as error:
        raise MalformedAnswer(f"no {kind.DESCRIPTOR.name}: {error}") from error
