"""The log of reorganisations: what a chain replaced after it was merged."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

REORG = """
CREATE TABLE chainflow.reorg (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  chain text COLLATE "C" NOT NULL,
  start bigint NOT NULL,
  depth bigint NOT NULL,
  heights int8multirange NOT NULL,
  old_hash text NOT NULL,
  new_hash text,
  rows jsonb NOT NULL,
  row_count bigint NOT NULL,
  run_id text NOT NULL,
  seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE chainflow.reorg IS 'Merged blocks that their chain replaced, appended only';
COMMENT ON COLUMN chainflow.reorg.start IS 'Lowest height replaced';
COMMENT ON COLUMN chainflow.reorg.depth IS 'From there to the highest merged height, in blocks';
COMMENT ON COLUMN chainflow.reorg.heights IS 'Merged heights whose rows were removed, half-open';
COMMENT ON COLUMN chainflow.reorg.old_hash IS 'Hash of the block that was merged at start';
COMMENT ON COLUMN chainflow.reorg.new_hash IS 'Hash the node has there now; null if it has none';
COMMENT ON COLUMN chainflow.reorg.rows IS 'Rows removed, by dataset';
COMMENT ON COLUMN chainflow.reorg.row_count IS 'Rows removed, all datasets together';
CREATE INDEX reorg_chain_seen_at ON chainflow.reorg (chain, seen_at);
"""


def upgrade() -> None:
    """Create the log of reorganisations."""
    op.execute(REORG)
