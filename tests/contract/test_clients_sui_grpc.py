"""The client contract once more, for Sui over gRPC: one suite, whatever the transport."""

from __future__ import annotations

import pytest

from tests.contract.clients_sui import Grpc
from tests.contract.test_clients import (  # noqa: F401 - the suite
    test_a_bad_body_is_asked_for_again,
    test_bad_bodies_for_ever_are_node_unavailable,
    test_fetch_gives_exactly_the_range_ascending,
    test_fetched_blocks_are_linked,
    test_fetched_blocks_know_their_time_and_size,
    test_fetching_past_the_head_is_not_yet,
    test_fetching_twice_gives_the_same,
    test_heights_are_head_and_finalized,
    test_leaving_early_leaves_nothing_running,
)


@pytest.fixture
def family() -> Grpc:
    """Sui, over gRPC."""
    return Grpc()
