"""USDC on every chain: the chains' ids, the known tokens and contracts, and the views over them."""

from __future__ import annotations

from alembic import op

from chainflow.store import views

revision = "0002"
down_revision = "0001"

TABLES = """
ALTER TABLE chainflow.chain ADD COLUMN chain_id text;
COMMENT ON COLUMN chainflow.chain.chain_id IS 'From chains.yaml: what the chain itself says it is';

CREATE TABLE chainflow.usdc_token (
  family text NOT NULL,
  chain_id text NOT NULL,
  token text NOT NULL,
  symbol text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('native', 'ibc', 'bridged')),
  issuer text NOT NULL,
  decimals integer NOT NULL,
  unit numeric NOT NULL GENERATED ALWAYS AS (('1e-' || decimals)::numeric) STORED,
  source text NOT NULL,
  PRIMARY KEY (family, chain_id, token)
);
COMMENT ON TABLE chainflow.usdc_token IS
  'What is USDC on which chain; each `chainflow db upgrade` writes what its release knows';

CREATE TABLE chainflow.cctp_contract (
  family text NOT NULL,
  chain_id text NOT NULL,
  cctp_version integer NOT NULL,
  domain bigint NOT NULL,
  token_messenger text NOT NULL,
  message_transmitter text NOT NULL,
  source text NOT NULL,
  PRIMARY KEY (family, chain_id, cctp_version)
);
COMMENT ON TABLE chainflow.cctp_contract IS
  'Whose events are really CCTP''s on which chain; written as usdc_token is';
"""

COLUMNS = {
    "usdc_token.token": "As token_flows has it: contract, coin type or denom",
    "usdc_token.kind": "native: Circle issues it there; ibc: native on Noble; bridged: others do",
    "usdc_token.issuer": "Who issues it, or whose bridge",
    "usdc_token.unit": "One unit of token_flows.amount, in USDC",
    "cctp_contract.domain": "Circle''s number of the chain",
    "cctp_contract.token_messenger": "cctp_messages.address of its burns and mints",
    "cctp_contract.message_transmitter": "cctp_messages.transmitter_address of them",
}

VIEWS = {
    "token_flows": "Who got (positive) and gave (negative) how much of which token, on every chain",
    "usdc_flows": "token_flows of USDC, in USDC: what that is says usdc_token",
    "cctp_messages": "Burns and mints of CCTP on every chain, whoever''s contracts said so",
    "cctp_transfers": "Burns and mints by Circle''s own contracts, both sides in a row",
}


def upgrade() -> None:
    """Create tables usdc_token and cctp_contract, and the views over all families."""
    op.execute(TABLES)
    for column, meaning in COLUMNS.items():
        op.execute(f"COMMENT ON COLUMN chainflow.{column} IS '{meaning}'")
    views.make(op.get_bind())
    for view, meaning in VIEWS.items():
        op.execute(f"COMMENT ON VIEW chainflow.{view} IS '{meaning}'")
