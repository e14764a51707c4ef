"""The recorded blocks that ship with the package: data/<family>/<chain>/<height>.json.

data/PROVENANCE.md says whence each comes and under which licence.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec

from chainflow.devnet._evm_blocks import Made

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


class _File(msgspec.Struct):
    block: msgspec.Raw
    receipts: msgspec.Raw


class _Head(msgspec.Struct):
    hash: str


def blocks(family: str, chain: str) -> dict[int, Made]:
    """Blocks of a chain by height, consecutive; none for most chains."""
    folder = files("chainflow.devnet") / "data" / family / chain
    found = folder.iterdir() if folder.is_dir() else ()
    return {int(file.name.removesuffix(".json")): _read(file) for file in found}


def _read(file: Traversable) -> Made:
    recorded = msgspec.json.decode(file.read_bytes(), type=_File)
    head = msgspec.json.decode(recorded.block, type=_Head)
    hash_ = bytes.fromhex(head.hash.removeprefix("0x"))
    return Made(hash_, bytes(recorded.block), bytes(recorded.receipts))
