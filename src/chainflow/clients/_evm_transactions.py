"""A transaction as its chain encodes it, rebuilt from what a node shows of it.

Source: EIP-2718, 2930, 1559, 4844, 7702; OP stack specification, deposits; mantlenetworkio/op-geth,
core/types/deposit_tx.go; CIP-42 and CIP-64; OffchainLabs/go-ethereum, core/types/arb_types.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from chainflow.clients import _evm_rlp as rlp
from chainflow.clients._evm_rlp import EMPTY, EMPTY_LIST, item, listed, number
from chainflow.clients._keccak import keccak

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chainflow.wire.evm import Transaction

    Rebuild = Callable[[Transaction], str]


class _Access(msgspec.Struct, rename="camel"):
    address: str
    storage_keys: list[str]


class _Authorization(msgspec.Struct, rename="camel"):
    chain_id: str
    address: str
    nonce: str
    r: str
    s: str
    y_parity: str | None = None
    v: str | None = None


class _Extra(msgspec.Struct, rename="camel"):
    """The fields of chains' own types, which no column of ours holds."""

    request_id: str | None = None
    ticket_id: str | None = None
    refund_to: str | None = None
    max_refund: str | None = None
    submission_fee_refund: str | None = None
    l1_base_fee: str | None = None
    deposit_value: str | None = None
    retry_to: str | None = None
    retry_value: str | None = None
    retry_data: str | None = None
    beneficiary: str | None = None
    max_submission_fee: str | None = None
    eth_value: str | None = None
    eth_tx_value: str | None = None
    gateway_fee_recipient: str | None = None
    gateway_fee: str | None = None


DEPOSIT = 0x7E

_accesses = msgspec.json.Decoder(list[_Access] | None)
_authorizations = msgspec.json.Decoder(list[_Authorization])
_hashes = msgspec.json.Decoder(list[str])
_extra = msgspec.json.Decoder(_Extra)


def rebuilt(tx: Transaction, kind: int) -> str:
    """Its encoding as hex text.

    Raises:
        KeyError: A type whose form is not known, or cannot be rebuilt.
        ValueError: A field is missing, or not hex.
        msgspec.DecodeError: A field of its type is of another form.
    """
    return _PREFIX[kind] + listed(_FORMS[kind](tx))


def known(kind: int) -> bool:
    """Whether transactions of that type can be rebuilt."""
    return kind in _FORMS


# Attributes are read into calls one by one, without loops over names: every transaction of a chain
# comes through the first three.


def _legacy(tx: Transaction) -> str:
    return (
        f"{number(tx.nonce)}{number(tx.gas_price)}{_call(tx)}"
        f"{number(tx.v)}{number(tx.r)}{number(tx.s)}"
    )


def _access_list(tx: Transaction) -> str:
    return (
        f"{number(tx.chain_id)}{number(tx.nonce)}{number(tx.gas_price)}"
        f"{_call(tx)}{_accessed(tx)}{_signature(tx)}"
    )


def _dynamic_fee(tx: Transaction) -> str:
    return f"{_fees(tx)}{_call(tx)}{_accessed(tx)}{_signature(tx)}"


def _blob(tx: Transaction) -> str:
    hashes = listed("".join(map(item, _hashes.decode(tx.blob_versioned_hashes))))
    return (
        f"{_fees(tx)}{_call(tx)}{_accessed(tx)}"
        f"{number(tx.max_fee_per_blob_gas)}{hashes}{_signature(tx)}"
    )


def _set_code(tx: Transaction) -> str:
    given = listed(
        "".join(
            listed(
                f"{number(one.chain_id)}{item(one.address)}{number(one.nonce)}"
                f"{number(one.v if one.y_parity is None else one.y_parity)}"
                f"{number(one.r)}{number(one.s)}"
            )
            for one in _authorizations.decode(tx.authorization_list)
        )
    )
    return f"{_fees(tx)}{_call(tx)}{_accessed(tx)}{given}{_signature(tx)}"


def _deposit(tx: Transaction) -> str:
    """OP stack's, or Mantle's, which moves ETH beside its own coin: that which its hash is of."""
    head = (
        f"{item(tx.source_hash)}{item(tx.from_)}{_address(tx.to)}{_amount(tx.mint)}"
        f"{number(tx.value)}{number(tx.gas)}{'01' if tx.is_system_tx else EMPTY}"
    )
    data = item(tx.input)
    extra = _extras(tx)
    mantle = f"{head}{_amount(extra.eth_value)}{data}"
    forms = f"{head}{data}", mantle, f"{mantle}{_amount(extra.eth_tx_value)}"
    said = tx.hash.lower()
    return next((form for form in forms if _hash_of(form) == said), forms[0])


def _hash_of(deposit: str) -> str:
    return f"0x{keccak(rlp.encoded(_PREFIX[DEPOSIT] + listed(deposit))).hex()}"


def _cip64(tx: Transaction) -> str:
    return f"{_fees(tx)}{_call(tx)}{_accessed(tx)}{_address(tx.fee_currency)}{_signature(tx)}"


def _cip42(tx: Transaction) -> str:
    extra = _extras(tx)
    return (
        f"{_fees(tx)}{number(tx.gas)}{_address(tx.fee_currency)}"
        f"{_address(extra.gateway_fee_recipient)}{_amount(extra.gateway_fee)}"
        f"{_target(tx)}{_accessed(tx)}{_signature(tx)}"
    )


def _arbitrum_deposit(tx: Transaction) -> str:
    request = item(_extras(tx).request_id)
    return f"{number(tx.chain_id)}{request}{item(tx.from_)}{item(tx.to)}{number(tx.value)}"


def _arbitrum_unsigned(tx: Transaction) -> str:
    return (
        f"{number(tx.chain_id)}{item(tx.from_)}{number(tx.nonce)}{number(tx.gas_price)}{_call(tx)}"
    )


def _arbitrum_contract(tx: Transaction) -> str:
    request = item(_extras(tx).request_id)
    return f"{number(tx.chain_id)}{request}{item(tx.from_)}{number(tx.gas_price)}{_call(tx)}"


def _arbitrum_retry(tx: Transaction) -> str:
    extra = _extras(tx)
    return (
        f"{number(tx.chain_id)}{number(tx.nonce)}{item(tx.from_)}{number(tx.gas_price)}{_call(tx)}"
        f"{item(extra.ticket_id)}{item(extra.refund_to)}"
        f"{number(extra.max_refund)}{number(extra.submission_fee_refund)}"
    )


def _arbitrum_submit_retryable(tx: Transaction) -> str:
    extra = _extras(tx)
    return (
        f"{number(tx.chain_id)}{item(extra.request_id)}{item(tx.from_)}"
        f"{number(extra.l1_base_fee)}{number(extra.deposit_value)}"
        f"{number(tx.gas_price)}{number(tx.gas)}{_address(extra.retry_to)}"
        f"{number(extra.retry_value)}{item(extra.beneficiary)}{number(extra.max_submission_fee)}"
        f"{item(extra.refund_to)}{item(extra.retry_data or '0x')}"
    )


def _arbitrum_internal(tx: Transaction) -> str:
    return f"{number(tx.chain_id)}{item(tx.input)}"


def _fees(tx: Transaction) -> str:
    return (
        f"{number(tx.chain_id)}{number(tx.nonce)}"
        f"{number(tx.max_priority_fee_per_gas)}{number(tx.max_fee_per_gas)}"
    )


def _call(tx: Transaction) -> str:
    return number(tx.gas) + _target(tx)


def _target(tx: Transaction) -> str:
    return f"{_address(tx.to)}{number(tx.value)}{item(tx.input)}"


def _signature(tx: Transaction) -> str:
    shown = tx.v if tx.y_parity is None else tx.y_parity
    parity = number(shown)
    # Some nodes show v as that of a legacy transaction, from 27 on, beside the parity.
    if tx.v not in (None, shown) and parity != number(tx.v) and int(tx.v, 16) < 27:
        raise ValueError("v and yParity differ")
    return f"{parity}{number(tx.r)}{number(tx.s)}"


def _accessed(tx: Transaction) -> str:
    raw = bytes(tx.access_list)
    if raw in (b"[]", b""):
        return EMPTY_LIST
    return listed(
        "".join(
            listed(item(one.address) + listed("".join(map(item, one.storage_keys))))
            for one in _accesses.decode(raw) or ()
        )
    )


def _address(given: str | None) -> str:
    return EMPTY if given is None else item(given)


def _amount(given: str | None) -> str:
    """A number that may be absent, which is encoded as 0 is."""
    return EMPTY if given is None else number(given)


def _extras(tx: Transaction) -> _Extra:
    return _Extra() if tx.extra is None else _extra.decode(tx.extra)


_FORMS: Mapping[int, Rebuild] = {
    0x00: _legacy,
    0x01: _access_list,
    0x02: _dynamic_fee,
    0x03: _blob,
    0x04: _set_code,
    0x64: _arbitrum_deposit,
    0x65: _arbitrum_unsigned,
    0x66: _arbitrum_contract,
    0x68: _arbitrum_retry,
    0x69: _arbitrum_submit_retryable,
    0x6A: _arbitrum_internal,
    0x7B: _cip64,
    0x7C: _cip42,
    DEPOSIT: _deposit,
}
_PREFIX = {kind: f"{kind:02x}" if kind else "" for kind in _FORMS}
