"""The SQL function chainflow.tron_hex."""

from __future__ import annotations

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Engine

from chainflow.datasets.tron import _address

FIXTURE = HealthCheck.function_scoped_fixture


@settings(max_examples=30, deadline=None, suppress_health_check=[FIXTURE])
@given(st.binary(min_size=20, max_size=20))
def test_tron_hex_is_the_address_that_base58_was_made_of(engine: Engine, raw: bytes) -> None:
    """Both ends of the range and whatever lies between."""
    for body in (raw, bytes(20), b"\xff" * 20):
        text = f"41{body.hex()}"
        with engine.connect() as connection:
            query = sa.text("SELECT chainflow.tron_hex(:address)")
            found = connection.execute(query, {"address": _address.base58(text)}).scalar()
        assert found == text


def test_tron_hex_of_what_is_no_address_is_null(engine: Engine) -> None:
    """A TRC-10 id or the word TRX stands in the same column as addresses."""
    with engine.connect() as connection:
        query = sa.text("SELECT chainflow.tron_hex(t) FROM unnest(ARRAY['TRX', '1002000', '']) t")
        assert connection.execute(query).scalars().all() == [None, None, None]
