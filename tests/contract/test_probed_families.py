"""What `chainflow probe` says of a simulated chain agrees with the registry."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chainflow import probe, registry
from chainflow.devnet import server
from chainflow.endpoints import Endpoint
from chainflow.types import Chain

CHAINS = registry.load(Path(__file__).parents[2] / "chains.yaml").chains
BACKLOG = 60


def one_of(family: str) -> Chain:
    """The first live chain of a family."""
    live = (c for c in CHAINS.values() if (c.family, c.status) == (family, "live"))
    return next(live)


@pytest.mark.parametrize("family", sorted({chain.family for chain in CHAINS.values()}))
def test_probe_recognises_a_node_of_each_family(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Family, chain id and rate are right, and the entry is one that validate takes."""
    # The simulated chains are not three minutes long.
    monkeypatch.setattr(probe, "_RATE_MINUTES", 0.2)
    chain = one_of(family)
    simulations = server.simulate([chain], speed=1.0, backlog=BACKLOG, began=1_790_000_000.0)

    async def work() -> probe.Found:
        async with server.serving(simulations) as url:
            return await probe.probe(Endpoint(chain.name, f"{url}/{chain.name}"))

    found = asyncio.run(work())
    assert found.family == family
    assert found.said.chain_id in (chain.chain_id, None)
    assert found.heights.head == simulations[chain.name].head
    assert found.blocks_per_minute == pytest.approx(chain.blocks_per_minute, rel=0.2)
    file = tmp_path / "chains.yaml"
    file.write_text("chains:\n" + probe.entry(found, "env:NODE", "mychain"))
    assert registry.load(file).chain("mychain").family == family
