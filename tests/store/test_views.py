"""The views over all families: there from the start, complete, and no slower than their tables."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from sqlalchemy.engine import Engine

from chainflow.store import database, known, tables
from chainflow.types import Chain, Column
from tests import cctp, evm, small
from tests.cctp import V1, V2, Transfer
from tests.evm import Json
from tests.stored import BASE, ETHEREUM, TRANSFERS, burn, mint, put_logs, read_tables, transfers

USDC = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
ZERO = "0x" + 40 * "0"
ALICE, BOB = evm.SENDER, evm.RECEIVER


def moved(sender: str, receiver: str, value: int, index: int = 0, token: str = USDC) -> Json:
    """The log of a transfer."""
    topics = (evm.TRANSFER, evm.word(sender), evm.word(receiver))
    return evm.log(index, *topics, data=evm.word(hex(value)), address=token)


@pytest.mark.parametrize(
    ("view", "columns"),
    [
        ("token_flows", "chain text, height bigint, time timestamp with time zone, tx_hash text,"
         " owner text, token text, amount numeric"),
        ("usdc_flows", "chain text, height bigint, time timestamp with time zone, tx_hash text,"
         " owner text, token text, amount numeric, usdc numeric, symbol text, kind text,"
         " issuer text"),
    ],
)  # fmt: skip
def test_views_are_there_from_the_start(engine: Engine, view: str, columns: str) -> None:
    """Right after `chainflow db upgrade` a dashboard's query works, and finds nothing."""
    assert small.ask(engine, f"SELECT * FROM chainflow.{view}") == []
    found = small.ask(
        engine,
        "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY"
        f" attnum) FROM pg_attribute WHERE attrelid = 'chainflow.{view}'::regclass",
    )
    assert found == [columns]


def test_views_of_cctp_are_there_from_the_start(engine: Engine) -> None:
    """So do the messages and the transfers made of them."""
    for view in ("cctp_messages", "cctp_transfers"):
        assert small.ask(engine, f"SELECT * FROM chainflow.{view}") == []


def test_a_transfer_is_two_flows(engine: Engine) -> None:
    """What one address loses another gets; both say where and when."""
    put_logs(engine, ETHEREUM, TRANSFERS, moved(ALICE, BOB, 5_000_000))
    query = (
        "SELECT chain, height, extract(epoch FROM time)::int, tx_hash, owner, token, amount"
        " FROM chainflow.token_flows ORDER BY amount"
    )
    place = ("ethereum", evm.HEIGHT, evm.HEIGHT, f"0x{1:064x}")
    assert small.ask(engine, query) == [
        (*place, ALICE, USDC, -5_000_000),
        (*place, BOB, USDC, 5_000_000),
    ]


def test_mints_and_burns_are_one_flow_each(engine: Engine) -> None:
    """The zero address is nobody: what comes from it is new, what goes to it is gone."""
    put_logs(engine, ETHEREUM, TRANSFERS, moved(ZERO, ALICE, 9), moved(BOB, ZERO, 4, 1))
    query = "SELECT owner, amount FROM chainflow.token_flows ORDER BY amount"
    assert small.ask(engine, query) == [(BOB, -4), (ALICE, 9)]


def test_flows_hold_any_amount(engine: Engine) -> None:
    """The largest uint256 is exact, lost as well as got."""
    put_logs(engine, ETHEREUM, TRANSFERS, moved(ALICE, BOB, 2**256 - 1))
    query = "SELECT amount FROM chainflow.token_flows ORDER BY amount"
    assert [int(amount) for amount in small.ask(engine, query)] == [1 - 2**256, 2**256 - 1]


def test_a_query_for_one_chain_reads_that_chains_table_alone(engine: Engine) -> None:
    """A condition on the view reaches the partitions: nothing else is touched."""
    for chain in (ETHEREUM, BASE):
        put_logs(engine, chain, TRANSFERS, moved(ALICE, BOB, 1))
    for view in ("token_flows", "usdc_flows"):
        query = (
            f"SELECT * FROM chainflow.{view} WHERE chain = 'ethereum'"
            f" AND height BETWEEN 900 AND 1100 AND owner = '{ALICE}'"
        )
        data = {name for name in read_tables(engine, query) if "chainflow." not in name}
        assert data == {"ethereum.token_transfers"}, view


def test_conditions_reach_the_tables_themselves(engine: Engine) -> None:
    """Heights are looked up in the key's index, and owners compared where the rows are read."""
    put_logs(engine, ETHEREUM, TRANSFERS, moved(ALICE, BOB, 1))
    (plan,) = small.ask(
        engine,
        "SET LOCAL enable_seqscan = off; EXPLAIN (FORMAT json) SELECT sum(amount)"
        " FROM chainflow.token_flows WHERE chain = 'ethereum' AND height BETWEEN 900 AND 1100"
        f" AND owner = '{ALICE}'",
    )
    told = json.dumps(plan)
    assert "block_number >= 900" in told
    assert f"from_address = '{ALICE}'" in told
    assert f"to_address = '{ALICE}'" in told


def test_a_gained_column_does_not_mind_the_views(engine: Engine) -> None:
    """A family's table grows under the views that read it."""
    put_logs(engine, ETHEREUM, TRANSFERS, moved(ALICE, BOB, 1))
    gained = replace(TRANSFERS, columns=(*TRANSFERS.columns, Column("memo", "text")))
    tables.ensure(engine, BASE, [gained])
    assert len(small.ask(engine, "SELECT * FROM chainflow.token_flows")) == 2


def test_another_chain_does_not_wait_for_a_reader_of_the_view(
    engine: Engine, database_url: str
) -> None:
    """The views are made again for a family's first chain only."""
    put_logs(engine, ETHEREUM, TRANSFERS, moved(ALICE, BOB, 1))
    hasty = database.engine(f"{database_url}&options=-c%20lock_timeout%3D1s")
    with engine.connect() as reader:
        reader.exec_driver_sql("SELECT * FROM chainflow.token_flows").fetchall()
        tables.ensure(hasty, BASE, [TRANSFERS])


def test_usdc_is_known_by_the_chains_id_not_its_name(engine: Engine) -> None:
    """A user's name for a chain does not matter, and another chain's USDC is not this one's."""
    token = "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913"
    logs = [moved(ALICE, ZERO, 2_500_000, 0, token), moved(ALICE, ZERO, 7, 1, USDC)]
    put_logs(engine, BASE, TRANSFERS, *logs)
    query = "SELECT chain, token, amount, usdc, symbol, kind, issuer FROM chainflow.usdc_flows"
    (row,) = small.ask(engine, query)
    assert row[:2] + row[4:] == ("on_base", token, "USDC", "native", "Circle")
    assert [str(number) for number in row[2:4]] == ["-2500000", "-2.500000"]


def test_usdc_of_18_decimals_is_exact(engine: Engine) -> None:
    """Binance-Peg USDC counts in 1e-18, told apart as bridged by its issuer."""
    chain = Chain("bnb", "evm", 56, blocks_per_minute=133.0)
    token = "0x8ac76a51cc950d9822d68b83fe1ad97b32cd580d"
    put_logs(engine, chain, TRANSFERS, moved(ZERO, BOB, 10**30 + 1, 0, token))
    query = "SELECT usdc::text, kind, issuer FROM chainflow.usdc_flows"
    assert small.ask(engine, query) == [
        ("1000000000000.000000000000000001", "bridged", "Binance-Peg")
    ]


def test_upgrade_keeps_what_users_added_and_mends_what_is_known(engine: Engine) -> None:
    """The known tokens are written by every upgrade; a user's own rows stay."""
    small.do(engine, "UPDATE chainflow.usdc_token SET symbol = 'oops'")
    small.do(
        engine,
        "INSERT INTO chainflow.usdc_token (family, chain_id, token, symbol, kind, issuer, decimals,"
        " source) VALUES ('evm', '31337', '0xff', 'USDC', 'native', 'us', 6, 'our devnet')",
    )
    before = small.ask(engine, "SELECT count(*) FROM chainflow.usdc_token")
    database.upgrade(engine)
    assert small.ask(engine, "SELECT count(*) FROM chainflow.usdc_token") == before
    symbols = set(small.ask(engine, "SELECT DISTINCT symbol FROM chainflow.usdc_token"))
    assert symbols == {"USDC", "USDC.e", "USDbC", "axlUSDC", "wUSDC"}


def test_known_contracts_are_written_as_the_tables_have_them() -> None:
    """EVM addresses are lower-case, Sui's have all 64 digits, and a domain is one chain."""
    for table, column in (("usdc_token", "token"), ("cctp_contract", "token_messenger")):
        for row in known.rows(table):
            if row["family"] == "evm":
                assert row[column] == row[column].lower()
                assert len(row[column]) == 42
            if row["family"] == "sui":
                assert len(row[column].partition("::")[0]) == 66
    domains = {(row["domain"], row["chain_id"]) for row in known.rows("cctp_contract")}
    assert len(domains) == len({domain for domain, _ in domains})


@pytest.mark.parametrize("transfer", [V1, V2], ids=["v1", "v2"])
def test_a_burn_and_its_mint_are_one_transfer(engine: Engine, transfer: Transfer) -> None:
    """Both sides stand in one row, joined by nonce in version 1, by the message in version 2."""
    burn(engine, transfer, 100)
    mint(engine, transfer, 200)
    (row,) = transfers(
        engine,
        "cctp_version, source_domain, destination_domain, burn_chain, burn_height, from_address,"
        " burn_amount, mint_chain, mint_height, to_address, mint_amount, fee_collected, ambiguous",
    )
    fee = transfer.fee if transfer.version == 2 else None
    assert row == (
        transfer.version, 0, 6, "ethereum", 100, transfer.depositor, transfer.amount,
        "on_base", 200, transfer.recipient, transfer.amount - transfer.fee, fee, False,
    )  # fmt: skip


def test_identical_burns_are_paired_in_order_and_told(engine: Engine) -> None:
    """Version 2 cannot say which of two equal burns a mint pays out: told as ambiguous."""
    burn(engine, V2, 100)
    burn(engine, cctp.again(V2, 5), 110)
    mint(engine, cctp.again(V2, 5), 200)
    columns = "burn_height, mint_height, burns_alike, mints_alike, ambiguous"
    assert transfers(engine, columns) == [(100, 200, 2, 1, True), (110, None, 2, 0, True)]
    mint(engine, V2, 210)
    assert transfers(engine, columns) == [(100, 200, 2, 2, True), (110, 210, 2, 2, True)]


def test_equal_burns_of_version_1_are_joined_by_their_nonces(engine: Engine) -> None:
    """Whatever the order in which they are minted."""
    burn(engine, V1, 100)
    burn(engine, cctp.again(V1, 90_211), 110)
    mint(engine, cctp.again(V1, 90_211), 200)
    mint(engine, V1, 210)
    columns = "message_nonce, burn_height, mint_height, ambiguous"
    assert transfers(engine, columns) == [
        ("90210", 100, 210, False),
        ("90211", 110, 200, False),
    ]


def test_a_replaced_message_is_no_second_burn(engine: Engine) -> None:
    """Version 1 lets a sender replace a message under its nonce; nothing burns again."""
    elsewhere = replace(V1, recipient="0x" + "2e" * 20)
    burn(engine, V1, 100)
    burn(engine, elsewhere, 110)
    mint(engine, elsewhere, 200)
    (row,) = transfers(engine, "burn_height, mint_height, to_address, burns_alike")
    assert row == (100, 200, elsewhere.recipient, 2)


def test_what_has_one_side_only_is_a_row_too(engine: Engine) -> None:
    """On its way, or burned before the first height that was read."""
    burn(engine, V1, 100)
    mint(engine, V2, 200)
    columns = "cctp_version, source_domain, destination_domain, burn_chain, mint_chain, ambiguous"
    assert transfers(engine, columns) == [
        (1, 0, 6, "ethereum", None, False),
        (2, 0, 6, None, "on_base", False),
    ]


def test_a_mint_before_the_burn_it_meets_is_told(engine: Engine) -> None:
    """The burn of the first mint was never read; its twin's came later, and is not its own."""
    mint(engine, V2, 50)
    burn(engine, V2, 100)
    assert transfers(engine, "burn_height, mint_height, ambiguous") == [(100, 50, True)]


def test_a_strangers_events_are_no_transfers(engine: Engine) -> None:
    """Anybody may emit the events; only those of Circle's contracts count, on their own chain."""
    fake = "0x" + "fa" * 20
    burn(engine, replace(V2, messengers=(fake, fake)), 100)
    mint(engine, replace(V2, transmitters=(fake, fake)), 200)
    mint(engine, replace(V1, messengers=V1.messengers[::-1]), 300)
    assert transfers(engine, "*") == []
    assert len(small.ask(engine, "SELECT * FROM chainflow.cctp_messages")) == 3
