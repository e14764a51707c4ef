"""The client contract once more, for Sui over gRPC: one suite, whatever the transport."""

from __future__ import annotations

import pytest

from tests.contract.clients_sui import Grpc
from tests.contract.test_clients import (  # noqa: F401 - the suite
    test_fetch_gives_exactly_the_range_ascending,
    test_fetched_blocks_are_linked,
    test_fetched_blocks_know_their_time_and_size,
    test_fetching_past_the_head_is_not_yet,
    test_fetching_twice_gives_the_same,
    test_heights_are_head_and_finalized,
    test_heights_that_a_node_has_dropped_are_terminal,
    test_leaving_early_leaves_nothing_running,
    test_trouble_that_passes_costs_nothing_but_time,
    test_trouble_that_stays_is_the_error_that_it_is,
)


@pytest.fixture
def family() -> Grpc:
    """Sui, over gRPC."""
    return Grpc()
