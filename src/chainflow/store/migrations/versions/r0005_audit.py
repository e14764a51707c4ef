"""The log of audits, what of each chain the round under way has looked at, and slices by height."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"

AUDIT = """
CREATE TABLE chainflow.audit (
  chain text COLLATE "C" PRIMARY KEY,
  began_at timestamptz NOT NULL DEFAULT now(),
  looked int8multirange NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE chainflow.audit IS
  'The round of audits under way: every merged height is looked at once in each';
COMMENT ON COLUMN chainflow.audit.began_at IS 'When the round began';
COMMENT ON COLUMN chainflow.audit.looked IS 'Heights looked at since, half-open';

CREATE TABLE chainflow.audit_log (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  chain text COLLATE "C" NOT NULL,
  run_id text NOT NULL,
  against_node boolean NOT NULL,
  looked int8multirange NOT NULL DEFAULT '{}',
  failing int8multirange NOT NULL DEFAULT '{}',
  row_count bigint NOT NULL DEFAULT 0,
  began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at timestamptz
);
COMMENT ON TABLE chainflow.audit_log IS 'One row per audit, kept up while it goes on';
COMMENT ON COLUMN chainflow.audit_log.against_node IS 'Whether the node was asked again';
COMMENT ON COLUMN chainflow.audit_log.looked IS 'Heights looked at, half-open';
COMMENT ON COLUMN chainflow.audit_log.failing IS 'Heights at which something fails, half-open';
COMMENT ON COLUMN chainflow.audit_log.row_count IS 'Rows that fail, once for each check they fail';
COMMENT ON COLUMN chainflow.audit_log.ended_at IS 'When its last look ended';
CREATE INDEX audit_log_chain_began_at ON chainflow.audit_log (chain, began_at);

CREATE INDEX merge_log_blocks ON chainflow.merge_log USING gist (blocks);
"""


def upgrade() -> None:
    """Create tables audit and audit_log, and the index by which an audit finds merged slices."""
    op.execute(AUDIT)
