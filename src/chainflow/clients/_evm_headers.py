"""A block's hash, computed from its header as a node shows it.

Fields that came with a fork are hashed where they are there; one that is missing below one that is
there counts as empty, as geth's optional fields do.

Source: Ethereum Yellow Paper, 4.3, EIP-1559, 4895, 4844, 4788, 7685, 7928, 7843;
ava-labs/avalanchego, graft/coreth/plugin/evm/customtypes/header_ext.go, ACP-194, 226, 283.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from chainflow.clients import _evm_rlp as rlp
from chainflow.clients._evm_rlp import EMPTY, item, listed, number
from chainflow.clients._keccak import keccak

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chainflow.wire.evm import Block


class _Extra(msgspec.Struct, rename="camel"):
    """Fields of headers that no column of ours holds."""

    block_access_list_hash: str | None = None
    slot_number: str | None = None
    ext_data_hash: str | None = None
    ext_data_gas_used: str | None = None
    block_gas_cost: str | None = None
    timestamp_milliseconds: str | None = None
    min_delay_excess: str | None = None
    target_exponent: str | None = None
    min_price_exponent: str | None = None
    settled_height: str | None = None
    settled_gas_unix: str | None = None
    settled_gas_numerator: str | None = None
    settled_excess: str | None = None


_extra = msgspec.json.Decoder(_Extra)


def block_hash(block: Block) -> str:
    """The hash of its header's fields.

    Raises:
        ValueError: A field is missing, or not hex.
        msgspec.DecodeError: A field of its type is of another form.
    """
    extra = _extras(block)
    coreth = extra.ext_data_hash is not None
    tail = _optional(_coreth_tail(block, extra) if coreth else _tail(block, extra))
    return f"0x{keccak(rlp.encoded(listed(_fixed(block) + tail))).hex()}"


def settles_others(block: Block) -> bool:
    """Whether receiptsRoot and logsBloom are of the blocks it settles, not its own.

    So on Avalanche since Helicon (ACP-194; ava-labs/avalanchego#5761).
    """
    return _extras(block).settled_height is not None


def _fixed(block: Block) -> str:
    return (
        f"{item(block.parent_hash)}{item(block.sha3_uncles)}{item(block.miner)}"
        f"{item(block.state_root)}{item(block.transactions_root)}{item(block.receipts_root)}"
        f"{item(block.logs_bloom)}{number(block.difficulty)}{number(block.number)}"
        f"{number(block.gas_limit)}{number(block.gas_used)}{number(block.timestamp)}"
        f"{item(block.extra_data)}{item(block.mix_hash)}{item(block.nonce)}"
    )


def _tail(block: Block, extra: _Extra) -> Iterable[str | None]:
    yield _quantity(block.base_fee_per_gas)
    yield _hash(block.withdrawals_root)
    yield _quantity(block.blob_gas_used)
    yield _quantity(block.excess_blob_gas)
    yield _hash(block.parent_beacon_block_root)
    yield _hash(block.requests_hash)
    yield _hash(extra.block_access_list_hash)
    yield _quantity(extra.slot_number)


def _coreth_tail(block: Block, extra: _Extra) -> Iterable[str | None]:
    """Avalanche's: what its atomic transactions are hashed to comes first, and always."""
    yield _hash(extra.ext_data_hash)
    yield _quantity(block.base_fee_per_gas)
    yield _quantity(extra.ext_data_gas_used)
    yield _quantity(extra.block_gas_cost)
    yield _quantity(block.blob_gas_used)
    yield _quantity(block.excess_blob_gas)
    yield _hash(block.parent_beacon_block_root)
    yield _quantity(extra.timestamp_milliseconds)
    yield _quantity(extra.min_delay_excess)
    yield _quantity(extra.target_exponent)
    yield _quantity(extra.min_price_exponent)
    yield _quantity(extra.settled_height)
    yield _quantity(extra.settled_gas_unix)
    yield _quantity(extra.settled_gas_numerator)
    yield _quantity(extra.settled_excess)


def _optional(fields: Iterable[str | None]) -> str:
    given = list(fields)
    while given and given[-1] is None:
        given.pop()
    return "".join(EMPTY if field is None else field for field in given)


def _quantity(given: str | None) -> str | None:
    return None if given is None else number(given)


def _hash(given: str | None) -> str | None:
    return None if given is None else item(given)


def _extras(block: Block) -> _Extra:
    return _Extra() if block.extra is None else _extra.decode(block.extra)
