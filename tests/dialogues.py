"""Requests and replies recorded from a geth node, and what each of its errors means to us."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainflow.errors import NodeUnavailable, NotYet, RequestRefused, WorkError

_FOLDER = Path(__file__).parent / "data" / "evm" / "dialogues"
Json = Any


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A recorded request and its reply."""

    name: str
    request: dict[str, Json]
    reply: dict[str, Json]

    @property
    def key(self) -> str:
        """Method and parameters."""
        return json.dumps([self.request["method"], self.request.get("params", [])])


def _dialogue(path: Path) -> Dialogue:
    lines = path.read_text().splitlines()
    said = {line[:2]: json.loads(line[3:]) for line in lines if line[:2] in (">>", "<<")}
    return Dialogue(path.stem, said[">>"], said["<<"])


DIALOGUES = [_dialogue(path) for path in sorted(_FOLDER.glob("*.io"))]
BY_NAME = {dialogue.name: dialogue for dialogue in DIALOGUES}
ERRORS: dict[str, type[WorkError]] = {
    "debug_getRawBlock.get-invalid-number": RequestRefused,
    "debug_getRawHeader.get-invalid-number": RequestRefused,
    "debug_getRawReceipts.get-invalid-number": RequestRefused,
    "debug_traceBlockByNumber.trace-block-invalid-number": RequestRefused,
    "debug_traceBlockByNumber.trace-genesis": NodeUnavailable,
    "eth_getLogs.filter-error-future-block-range": NotYet,
}
