"""Which reorganisations an asset's event has told, and which height counts as the highest."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"

# What was replaced before there was this column has been told, or is old.
TOLD = """
ALTER TABLE chainflow.reorg ADD told jsonb NOT NULL DEFAULT '{}';
UPDATE chainflow.reorg SET told = (
  SELECT coalesce(jsonb_object_agg(d.dataset, run_id), '{}')
  FROM jsonb_object_keys(rows) AS d (dataset)
);
COMMENT ON COLUMN chainflow.reorg.told IS
  'By dataset, the run whose event told it to whoever waits for the asset';
COMMENT ON TABLE chainflow.reorg IS
  'Merged blocks that their chain replaced; rows are appended only, and told once';
COMMENT ON COLUMN chainflow.height.highest IS
  'Highest head seen, anew where heads go on rising far below it';
COMMENT ON COLUMN chainflow.height.risen_at IS 'When the head last rose above the highest';
"""


def upgrade() -> None:
    """Add column told to the log of reorganisations."""
    op.execute(TOLD)
