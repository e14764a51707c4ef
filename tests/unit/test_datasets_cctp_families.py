"""Burns and mints of CCTP as Noble and Sui tell of them, and both joined with an EVM chain's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy.engine import Engine

from chainflow import datasets
from chainflow.types import Chain, RawBlock
from tests import cctp, cosmos, small, stored
from tests.cctp import V1, V2, Transfer, b32, u256
from tests.cctp_families import (
    FROM_NOBLE,
    PACKAGES,
    TO_NOBLE,
    TOKEN_ID,
    WALLET,
    from_sui,
    noble,
    noble_burn,
    noble_mint,
    sui,
    sui_burn,
    sui_mint,
    to_sui,
)

EVENTS, NOBLE = datasets.get("cosmos", ["events", "cctp_messages"])
(SUI,) = datasets.get("sui", ["cctp_messages"])
NOBLE_CHAIN = Chain("noble", "cosmos", "noble-1", blocks_per_minute=30.0)
SUI_CHAIN = Chain(
    "sui", "sui", "4btiuiMPvEENsttpZC7CZ53DruC3MAgfznDbASZ7DR6S", blocks_per_minute=240.0
)


def rows(block: RawBlock) -> list[dict[str, Any]]:
    """What the family of the block makes of it."""
    dataset = SUI if isinstance(block.payload, SimpleNamespace) else NOBLE
    return dataset.decode([block]).to_pylist()


def test_a_burn_on_noble_names_the_denomination() -> None:
    """The event has its hash; the depositor stands in the chain's form and in the message's."""
    (row,) = rows(noble_burn(FROM_NOBLE))
    told = {k: row[k] for k in ("address", "transmitter_address", "direction", "token_address")}
    assert told == {
        "address": "circle.cctp.v1",
        "transmitter_address": "circle.cctp.v1",
        "direction": "burn",
        "token_address": "uusdc",
    }
    assert (row["message_key"], row["message_nonce"], row["log_index"]) == ("4-90210", "90210", 2)
    assert row["from_address"] == "noble1sender"
    assert row["depositor"] == "0x" + b32(V1.depositor).hex()
    assert row["destination_caller"] is None


def test_a_mint_on_noble_takes_the_recipient_from_the_message() -> None:
    """The module's first releases garbled it in their event."""
    (row,) = rows(noble_mint(TO_NOBLE))
    assert row["mint_recipient"] == "0x" + b32(V1.recipient).hex()
    assert (row["token_address"], row["amount"], row["message_key"]) == (
        "uusdc",
        "5000000",
        "0-90210",
    )
    assert row["caller_address"] == "noble1relayer"


@pytest.mark.parametrize("value", ['"x', "7", '"!!"', "null", '{"a":1}', '"' + "A" * 500 + '"'])
def test_a_noble_event_of_another_form_is_no_row(value: str) -> None:
    """A later release of the module may say things otherwise; nothing stops."""
    names = ("DepositForBurn", "MintAndWithdraw", "MessageSent", "MessageReceived")
    keys = ("nonce", "amount", "message", "mint_token", "sender", "message_body", "caller")
    events = [
        cosmos.event(f"circle.cctp.v1.{name}", *((key, value) for key in keys)) for name in names
    ]
    assert all(row["direction"] == "mint" for row in rows(noble(*events)))


def saying(block: RawBlock, key: str, value: str) -> list[dict[str, Any]]:
    """The rows of a block of Noble's whose events have another JSON value at a key."""
    events = EVENTS.decode([block])
    said = [json.loads(str(text)) for text in events["attributes"].to_pylist()]
    for attribute in (attribute for event in said for attribute in event):
        if attribute["key"] == key:
            attribute["value"] = value
    at = events.column_names.index("attributes")
    texts = pa.array(map(json.dumps, said), pa.string())
    assert NOBLE.derive
    return NOBLE.derive(events.set_column(at, "attributes", texts)).to_pylist()


NUL = '"a\\u0000"'
BURN, MINT = noble_burn(FROM_NOBLE), noble_mint(TO_NOBLE)


@pytest.mark.parametrize(
    ("block", "key", "values"),
    [
        (BURN, "amount", ['"-5"', f'"{"9" * 100}"', f'"{2**256}"', '"1_0"', '"\u0665"', "5.0"]),
        (BURN, "nonce", ['"-1"', f'"{2**64}"', "true", "[" * 100_000]),
        (BURN, "destination_domain", ["99999999999999999999", "-1", str(2**32), "null"]),
        (BURN, "burn_token", [NUL, "7", "{}"]),
        (BURN, "depositor", [NUL, "null"]),
        (BURN, "mint_recipient", ["7", '"\u00ff"']),
        (MINT, "amount", ['"-5"', f'"{"9" * 100}"', f'"{2**256}"']),
        (MINT, "mint_token", [NUL, "7", "null"]),
    ],
)
def test_a_noble_event_with_a_value_of_no_column_is_no_row(
    block: RawBlock, key: str, values: list[str]
) -> None:
    """Nothing is wrapped, and nothing left for the store to refuse, which would stop the batch."""
    assert len(rows(block)) == 1
    assert [saying(block, key, value) for value in values] == [[]] * len(values)


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("nonce", ['"-1"', f'"{2**64}"']),
        ("source_domain", ["99999999999999999999", "-1"]),
        ("caller", [NUL, "null"]),
        ("sender", ["7", "{}"]),
    ],
)
def test_a_noble_mint_does_without_a_receipt_with_such_a_value(key: str, values: list[str]) -> None:
    """The mint happened; what its message said is not known."""
    for value in values:
        (row,) = saying(MINT, key, value)
        assert (row["amount"], row["message_key"]) == ("5000000", None)


@pytest.mark.parametrize(
    ("key", "value", "column", "expected"),
    [
        ("amount", f'"{2**256 - 1}"', "amount", str(2**256 - 1)),
        ("nonce", f'"{2**64 - 1}"', "message_nonce", str(2**64 - 1)),
        ("destination_domain", str(2**32 - 1), "destination_domain", 2**32 - 1),
        ("destination_caller", "null", "destination_caller", None),
    ],
)
def test_the_widest_values_of_a_noble_event_are_rows(
    key: str, value: str, column: str, expected: object
) -> None:
    """What the protocol's types hold."""
    (row,) = saying(BURN, key, value)
    assert row[column] == expected


@pytest.mark.parametrize("transfer", [V1, V2], ids=["v1", "v2"])
def test_a_burn_on_sui_says_what_its_event_and_message_say(transfer: Transfer) -> None:
    """The package that the type is from is the row's address; events count through a checkpoint."""
    t = from_sui(transfer)
    (row,) = rows(sui_burn(t))
    messenger, transmitter = PACKAGES[t.version]
    assert (row["address"], row["transmitter_address"]) == (messenger, transmitter)
    assert (row["transaction_index"], row["log_index"]) == (1, 2)
    assert (row["cctp_version"], row["amount"]) == (t.version, "5000000")
    assert (row["token_address"], row["from_address"]) == (TOKEN_ID, WALLET)
    assert (row["source_domain"], row["destination_domain"]) == (8, 0)
    assert row["message_key"] is not None
    later = (row["max_fee"], row["min_finality_threshold"], row["hook_data"])
    assert later == (("700", 1000, "0x" + t.hook.hex()) if t.version == 2 else (None, None, None))


@pytest.mark.parametrize("transfer", [V1, V2], ids=["v1", "v2"])
def test_a_mint_on_sui_says_what_its_event_and_message_say(transfer: Transfer) -> None:
    """The versions are told apart by the fields their events have."""
    t = to_sui(transfer)
    (row,) = rows(sui_mint(t))
    fee = str(t.fee) if t.version == 2 else None
    assert (row["cctp_version"], row["fee_collected"]) == (t.version, fee)
    assert (row["amount"], row["to_address"]) == (str(t.amount - t.fee), WALLET)
    assert row["finality_threshold_executed"] == (1000 if t.version == 2 else None)
    nonce = str(t.nonce) if t.version == 1 else "0x" + u256(t.nonce).hex()
    assert row["message_nonce"] == nonce


@pytest.mark.parametrize(
    "name",
    [
        "deposit_for_burn::DepositForBurn",
        "handle_receive_message::MintAndWithdraw",
        "send_message::MessageSent",
        "receive_message::MessageReceived",
    ],
)
@pytest.mark.parametrize("contents", [b"", b"\xff", bytes(71), b"\xff" * 300])
def test_a_sui_type_that_only_has_the_name_is_no_row(name: str, contents: bytes) -> None:
    """Anybody may publish a type of that name with fields of his own."""
    assert rows(sui(("0x" + "f" * 64, name, contents))) == []


@pytest.mark.parametrize(
    ("burned", "minted"),
    [
        (TO_NOBLE, noble_mint(TO_NOBLE)),
        (to_sui(V1), sui_mint(to_sui(V1))),
        (to_sui(V2), sui_mint(to_sui(V2))),
    ],
    ids=["noble-v1", "sui-v1", "sui-v2"],
)
def test_a_burn_on_ethereum_meets_its_mint_elsewhere(
    engine: Engine, burned: Transfer, minted: RawBlock
) -> None:
    """One row of chainflow.cctp_transfers, whatever the families."""
    stored.burn(engine, burned, 100)
    dataset, chain = (SUI, SUI_CHAIN) if minted.height == 9 else (NOBLE, NOBLE_CHAIN)
    stored.put(engine, chain, dataset, dataset.decode([minted]))
    columns = "burn_chain, burn_amount, mint_chain, mint_amount, ambiguous"
    amount = burned.amount - burned.fee
    expected = ("ethereum", burned.amount, chain.name, amount, False)
    assert stored.transfers(engine, columns) == [expected]


@pytest.mark.parametrize(
    ("t", "burned"),
    [
        (FROM_NOBLE, noble_burn(FROM_NOBLE)),
        (from_sui(V1), sui_burn(from_sui(V1))),
        (from_sui(V2), sui_burn(from_sui(V2))),
    ],
    ids=["noble-v1", "sui-v1", "sui-v2"],
)
def test_a_burn_elsewhere_meets_its_mint_on_ethereum(
    engine: Engine, t: Transfer, burned: RawBlock
) -> None:
    """The other direction joins as well."""
    dataset, chain = (SUI, SUI_CHAIN) if burned.height == 9 else (NOBLE, NOBLE_CHAIN)
    stored.put(engine, chain, dataset, dataset.decode([burned]))
    stored.put_logs(engine, stored.ETHEREUM, stored.MESSAGES, *cctp.evm_mint(t), height=100)
    columns = "burn_chain, mint_chain, mint_amount"
    assert stored.transfers(engine, columns) == [(chain.name, "ethereum", t.amount - t.fee)]


def test_the_spanning_view_has_every_familys_messages(engine: Engine) -> None:
    """chainflow.cctp_messages: one shape, whatever the height is called."""
    stored.burn(engine, V1, 100)
    blocks: Sequence[tuple[Chain, Any, RawBlock]] = (
        (NOBLE_CHAIN, NOBLE, noble_burn(FROM_NOBLE)),
        (SUI_CHAIN, SUI, sui_burn(from_sui(V2))),
    )
    for chain, dataset, block in blocks:
        stored.put(engine, chain, dataset, dataset.decode([block]))
    query = "SELECT chain, height, direction FROM chainflow.cctp_messages ORDER BY height"
    assert small.ask(engine, query) == [
        ("noble", 7, "burn"),
        ("sui", 9, "burn"),
        ("ethereum", 100, "burn"),
    ]
