"""Faults in what an EVM node says of its blocks: absent, late, another's, or changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainflow.testing._proxy import Exchange, Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp import web

Json = Any  # a node's JSON, of any shape
BLOCK, RECEIPTS = "eth_getBlockByNumber", "eth_getBlockReceipts"
# How far a backend lags behind the one that answered before.
_LAG = 6


def changed(change: Callable[[Json], Json], *methods: str) -> Fault:
    """Each result of these methods that is not null, changed; tagged blocks are left alone."""

    async def spoil(exchange: Exchange) -> web.StreamResponse:
        answers = await exchange.answers()
        for call, answer in zip(exchange.calls, answers, strict=True):
            if about(call) and answer.get("result"):
                answer["result"] = change(answer["result"])
        return exchange.reply(answers)

    about = _about(*methods)
    return Fault(spoil, about)


def _about(*methods: str) -> Callable[[Json], bool]:
    """Whether a call is of these methods, and not for a block by its tag."""
    return lambda call: (
        call["method"] in methods
        and (not call["params"] or str(call["params"][0]).startswith("0x"))
    )


def _flip(text: str) -> str:
    """A hex text with its last digit changed."""
    return f"{text[:-1]}{int(text[-1], 16) ^ 1:x}"


def _altered(*fields: str) -> Callable[[Json], Json]:
    """The last digit of a field changed in the first row that has it; `fields` lead down to it."""
    *path, last = fields

    def change(result: Json) -> Json:
        rows = result if isinstance(result, list) else [result]
        for name in path:
            rows = [row for holder in rows for row in holder[name]]
        for row in [row for row in rows if row[last] != "0x"][:1]:
            row[last] = _flip(row[last])
        return result

    return change


def _without_logs(receipts: Json) -> Json:
    return [{**receipt, "logs": []} for receipt in receipts]


def _without_logs_and_bloom(receipts: Json) -> Json:
    return [{**receipt, "logs": [], "logsBloom": "0x" + "0" * 512} for receipt in receipts]


def _without_last_log(receipts: Json) -> Json:
    return [{**receipt, "logs": receipt["logs"][:-1]} for receipt in receipts]


def _without_last_transaction(result: Json) -> Json:
    """A block or its receipts, both without the last transaction."""
    if isinstance(result, list):
        return result[:-1]
    return {**result, "transactions": result["transactions"][:-1]}


async def _stale(exchange: Exchange) -> web.StreamResponse:
    """All answers as a backend gives them that is some blocks behind."""
    head = int(await exchange.ask("eth_blockNumber"), 16) - _LAG
    answers = await exchange.answers()
    for call, answer in zip(exchange.calls, answers, strict=True):
        if call["method"] == "eth_blockNumber":
            answer["result"] = hex(head)
        elif _about(BLOCK, RECEIPTS)(call) and int(call["params"][0], 16) > head:
            answer["result"] = None
        elif call["method"] == BLOCK and call["params"][0] == "finalized":
            behind = int(answer["result"]["number"], 16) - _LAG
            answer["result"] = await exchange.ask(BLOCK, hex(max(0, behind)), False)
    return exchange.reply(answers)


def _neighbour(height: str) -> str:
    return hex(int(height, 16) ^ 1)


def _instead(method: str) -> Fault:
    """The honest answers of that method, of the height beside the one asked for."""

    async def spoil(exchange: Exchange) -> web.StreamResponse:
        calls = [
            {**c, "params": [_neighbour(c["params"][0]), *c["params"][1:]]} if about(c) else c
            for c in exchange.calls
        ]
        return exchange.reply(await exchange.answers(calls))

    about = _about(method)
    return Fault(spoil, about)


async def _disguised(exchange: Exchange) -> web.StreamResponse:
    """Receipts of the height beside, if as many, made to name the block asked for."""
    answers = await exchange.answers()
    for call, answer in zip(exchange.calls, answers, strict=True):
        if call["method"] != RECEIPTS:
            continue
        own, others = answer["result"], await exchange.ask(RECEIPTS, _neighbour(call["params"][0]))
        if own and others and len(own) == len(others):
            answer["result"] = list(map(_relabelled, own, others))
    return exchange.reply(answers)


def _relabelled(own: Json, other: Json) -> Json:
    named = ("transactionHash", "transactionIndex", "blockHash", "blockNumber")
    place = {name: own[name] for name in named}
    logs = [{**log, **place} for log in other["logs"]]
    return {**other, **place, "logs": logs}


EVM: Mapping[str, Fault] = {
    "null block": changed(lambda _: None, BLOCK),
    "null receipts": changed(lambda _: None, RECEIPTS),
    "a null among receipts": changed(lambda rows: [None, *rows[1:]], RECEIPTS),
    "no receipts": changed(lambda _: [], RECEIPTS),
    "a receipt too few": changed(lambda rows: rows[:-1] or rows, RECEIPTS),
    "a receipt too many": changed(lambda rows: [*rows, rows[-1]], RECEIPTS),
    "receipts out of order": changed(lambda rows: rows[::-1], RECEIPTS),
    "empty logs": changed(_without_logs, RECEIPTS),
    "empty logs and bloom": changed(_without_logs_and_bloom, RECEIPTS),
    "a log too few": changed(_without_last_log, RECEIPTS),
    "stale head": Fault(_stale),
    "a head beyond 64 bits": changed(lambda _: "0x1" + "0" * 16, "eth_blockNumber"),
    "a head of 4000 digits": changed(lambda _: "0x" + "f" * 4000, "eth_blockNumber"),
    "another chain id": changed(lambda _: "0x2a", "eth_chainId"),
    "another height's block": _instead(BLOCK),
    "another block's receipts": _instead(RECEIPTS),
    "another block's receipts, disguised": Fault(_disguised, _about(RECEIPTS)),
    "a dropped transaction": changed(_without_last_transaction, BLOCK, RECEIPTS),
    "a dropped transaction, its receipt there": changed(_without_last_transaction, BLOCK),
    "an altered byte in the block's hash": changed(_altered("hash"), BLOCK),
    "an altered byte in the parent's hash": changed(_altered("parentHash"), BLOCK),
    "an altered byte in the header": changed(_altered("gasUsed"), BLOCK),
    "an altered byte in a transaction": changed(_altered("transactions", "value"), BLOCK),
    "an altered byte in a transaction's hash": changed(_altered("transactions", "hash"), BLOCK),
    "an altered byte in a receipt": changed(_altered("gasUsed"), RECEIPTS),
    "an altered byte in a log": changed(_altered("logs", "data"), RECEIPTS),
    "a missing field": changed(
        lambda block: {k: v for k, v in block.items() if k != "timestamp"}, BLOCK
    ),
    "a field of another type": changed(lambda block: {**block, "gasUsed": [block]}, BLOCK),
    "a number beyond 64 bits": changed(lambda block: {**block, "gasUsed": "0x1" + "0" * 16}, BLOCK),
    "a number of 400 digits": changed(lambda block: {**block, "gasUsed": 10**400}, BLOCK),
    "a time beyond all calendars": changed(
        lambda block: {**block, "timestamp": "0x7" + "f" * 15}, BLOCK
    ),
}
