"""Views over the tables of all families: token flows, USDC's among them, and CCTP transfers.

The two that read data tables are made again whenever a family's table appears; the other two read
those, and are made once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from chainflow import lookup
from chainflow.store import database

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

_TYPES = {"timestamptz": "timestamp with time zone"}

# Circle's own contracts only, whose events nobody can forge. On both sides the messages of one key
# are counted in the order they came: version 2 knows no better, and of version 1, all burns but the
# first replace a message without burning anything again.
_CCTP_TRANSFERS = """
CREATE OR REPLACE VIEW chainflow.cctp_transfers AS
WITH message AS (
  SELECT m.*, k.domain,
    row_number() OVER (alike ORDER BY m.time, m.height, m.log_index) AS nth,
    CASE WHEN m.message_key IS NOT NULL THEN count(*) OVER alike ELSE 1 END AS alike
  FROM chainflow.cctp_messages m
  JOIN chainflow.chain c ON c.chain = m.chain
  JOIN chainflow.cctp_contract k ON k.family = c.family AND k.chain_id = c.chain_id
    AND k.cctp_version = m.cctp_version AND k.token_messenger = m.address
    AND k.message_transmitter = coalesce(m.transmitter_address, k.message_transmitter)
  WINDOW alike AS (PARTITION BY m.direction, m.cctp_version, m.message_key,
    CASE WHEN m.direction = 'mint' THEN k.domain ELSE m.destination_domain END)
), burn AS (
  SELECT * FROM message WHERE direction = 'burn'
    AND (cctp_version > 1 OR nth = 1 OR message_key IS NULL)
), mint AS (
  SELECT * FROM message WHERE direction = 'mint'
)
SELECT
  coalesce(b.cctp_version, m.cctp_version) AS cctp_version,
  coalesce(b.message_key, m.message_key) AS message_key,
  coalesce(m.message_nonce, b.message_nonce) AS message_nonce,
  coalesce(b.domain, m.source_domain) AS source_domain,
  coalesce(m.domain, b.destination_domain) AS destination_domain,
  b.chain AS burn_chain, b.height AS burn_height, b.time AS burn_time,
  b.transaction_hash AS burn_tx_hash, b.token_address AS burn_token, b.from_address,
  b.amount AS burn_amount,
  m.chain AS mint_chain, m.height AS mint_height, m.time AS mint_time,
  m.transaction_hash AS mint_tx_hash, m.token_address AS mint_token, m.to_address,
  m.amount AS mint_amount, m.fee_collected,
  coalesce(b.alike, 0) AS burns_alike, coalesce(m.alike, 0) AS mints_alike,
  coalesce(b.cctp_version, m.cctp_version) > 1
    AND (greatest(b.alike, m.alike) > 1 OR m.time < b.time) IS TRUE AS ambiguous
FROM burn b FULL JOIN mint m ON m.cctp_version = b.cctp_version AND m.message_key = b.message_key
  AND m.domain = b.destination_domain AND m.nth = b.nth
"""

_USDC_FLOWS = """
CREATE OR REPLACE VIEW chainflow.usdc_flows AS
SELECT f.chain, f.height, f.time, f.tx_hash, f.owner, f.token, f.amount,
  f.amount * u.unit AS usdc, u.symbol, u.kind, u.issuer
FROM chainflow.token_flows f
JOIN chainflow.chain c ON c.chain = f.chain
JOIN chainflow.usdc_token u
  ON u.family = c.family AND u.chain_id = c.chain_id AND u.token = f.token
"""


def make(connection: Connection) -> None:
    """Make all views, empty where no family has the tables yet."""
    remake(connection)
    for view in (_USDC_FLOWS, _CCTP_TRANSFERS):
        connection.execute(sa.text(view))


def remake(connection: Connection) -> None:
    """Make the views over data tables again, so that they span every family's tables there are.

    Waits for whoever reads one of them.
    """
    for view, columns in lookup.views().COLUMNS.items():
        nothing = ", ".join(f"NULL::{_TYPES.get(kind, kind)} AS {name}" for name, kind in columns)
        queries = [f"SELECT {nothing} WHERE false", *_members(connection, view)]
        connection.execute(
            sa.text(f"CREATE OR REPLACE VIEW chainflow.{view} AS {' UNION ALL '.join(queries)}")
        )


def _members(connection: Connection, view: str) -> list[str]:
    """The queries of the families whose table is there."""
    found = []
    for family in lookup.names("datasets"):
        for member in lookup.members(family):
            table = database.quoted(lookup.schema(family), member.table)
            there = connection.execute(sa.text("SELECT to_regclass(:table)"), {"table": table})
            if member.view == view and there.scalar() is not None:
                found.append(member.query)
    return found
