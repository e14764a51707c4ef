"""Blocks that look like a chain's own: made once, kept in the temporary folder as sent bytes."""

from __future__ import annotations

import hashlib
import mmap
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import zstandard

from chainflow.devnet import cosmos, evm, sui, tron

Answers = list[tuple[memoryview, ...]]
"""By place above `Sample.start`: what the node sends for that height."""

Parts = list[bytes | memoryview | msgspec.Raw]
"""An answer in pieces, which are sent as they lie."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Consecutive blocks of a chain of chains.yaml; `chain_id` is as it stands there."""

    chain: str
    family: str
    chain_id: int | str
    start: int
    blocks: int
    make: Callable[[Sample], Iterator[tuple[bytes, ...]]]

    @property
    def head(self) -> int:
        """The newest height."""
        return self.start + self.blocks - 1


def _evm(transactions: int) -> Callable[[Sample], Iterator[tuple[bytes, ...]]]:
    return lambda sample: evm.generate(
        int(sample.chain_id), sample.blocks, start=sample.start, transactions=transactions
    )


# Sizes as those chains' blocks have them: README.md says whence.
SAMPLES = {
    sample.chain: sample
    for sample in (
        Sample("ethereum", "evm", 1, 21_000_000, 2000, _evm(178)),
        Sample("arbitrum", "evm", 42161, 400_000_000, 4000, _evm(6)),
        Sample(
            "sui",
            "sui",
            "",  # the store has no checkpoint 0, which would tell
            300_000_000,
            2000,
            lambda s: ((file,) for file in sui.generate(s.blocks, start=s.start, transactions=32)),
        ),
        Sample(
            "dydx",
            "cosmos",
            "dydx-mainnet-1",
            75_000_000,
            2000,
            lambda s: cosmos.generate(str(s.chain_id), s.blocks, start=s.start),
        ),
        Sample(
            "tron",
            "tron",
            728126428,
            78_000_000,
            300,
            lambda s: tron.generate(int(s.chain_id), s.blocks, start=s.start),
        ),
    )
}


def answers(sample: Sample) -> Answers:
    """The sample's blocks; the first time they are made, which takes up to two minutes."""
    file = _file(sample)
    if not file.exists():
        part = file.with_suffix(f".{os.getpid()}")
        part.write_bytes(msgspec.msgpack.encode(list(sample.make(sample))))
        part.rename(file)
    with file.open("rb") as opened:
        mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    return msgspec.msgpack.decode(mapped, type=Answers)


def unpacked(sample: Sample) -> float:
    """How many bytes one byte that is sent holds: only Sui's node sends its answers packed here."""
    if sample.family != "sui":
        return 1.0
    some = [part for parts in answers(sample)[:100] for part in parts]
    unpack = zstandard.ZstdDecompressor()
    held = sum(len(unpack.stream_reader(part).read()) for part in some)
    return held / sum(map(len, some))


def _file(sample: Sample) -> Path:
    """Named by what makes its content, so that another generator makes another file."""
    sources = [Path(__file__), *sorted(Path(evm.__file__).parent.glob("*.py"))]
    made_by = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    name = f"chainflow-bench-{sample.chain}-{sample.blocks}-{made_by[:12]}.msgpack"
    return Path(tempfile.gettempdir()) / name
