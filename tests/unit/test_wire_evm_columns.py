"""What nodes tell of a block, as columns."""

from __future__ import annotations

import pytest

from tests import evm

WORDS = (evm.word(evm.SENDER), evm.word(evm.RECEIVER), "0x" + "é" * 64)


@pytest.mark.parametrize("count", [0, 1, 4_096, 4_097])
def test_columns_of_equally_long_texts_hold_what_the_node_told(count: int) -> None:
    """However many they are, and whether or not they are hex, which is asked later."""
    logs = [
        evm.log(index, *WORDS[: index % 4], address=f"0x{index:040x}", data="0x")
        for index in range(count)
    ]
    found = evm.raw(evm.block(evm.transaction()), [evm.receipt(0, *logs)]).payload.logs
    assert found["address"].to_pylist() == [log["address"] for log in logs]
    assert found["topics"].to_pylist() == [log["topics"] for log in logs]
