"""The control schema: chains, progress, merge log, heights, and the view of lag.

Written as SQL because its heart, int8multirange, has no type in SQLAlchemy 1.4.
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

# Names compare bytewise ("C"): the view looks up every chain. Ranges stay uncompressed: each merge
# rewrites them.
# The complement's first height is the first one missing. Linear in the number of runs, in C.
WATERMARK = """
CREATE FUNCTION chainflow.watermark(start bigint, merged int8multirange) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN nullif(lower(int8multirange(int8range(start, NULL)) - merged) - 1, start - 1);
COMMENT ON FUNCTION chainflow.watermark IS
  'Highest height such that every height from start to it is merged, inclusive; null before that';
"""

TABLES = """
CREATE SCHEMA IF NOT EXISTS staging;
COMMENT ON SCHEMA staging IS 'Rows under check; whatever is left here is dropped after 7 days';
COMMENT ON SCHEMA chainflow IS 'What chainflow knows of its chains: read the view lag';

CREATE TABLE chainflow.chain (
  chain text COLLATE "C" PRIMARY KEY,
  family text NOT NULL,
  env text NOT NULL,
  owner text NOT NULL,
  status text NOT NULL,
  start bigint NOT NULL,
  datasets text[] NOT NULL,
  blocks_per_minute double precision NOT NULL,
  finality_tag text,
  confirmations integer NOT NULL,
  lag_alert_minutes double precision NOT NULL,
  registered_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE chainflow.chain IS 'The registry as last seen: chains.yaml decides';

CREATE TABLE chainflow.progress (
  chain text COLLATE "C" NOT NULL,
  dataset text COLLATE "C" NOT NULL,
  start bigint NOT NULL,
  merged int8multirange NOT NULL DEFAULT '{}',
  watermark bigint GENERATED ALWAYS AS (chainflow.watermark(start, merged)) STORED,
  merged_last bigint GENERATED ALWAYS AS (upper(merged) - 1) STORED,
  watermark_time timestamptz,
  merged_at timestamptz,
  PRIMARY KEY (chain, dataset)
);
ALTER TABLE chainflow.progress ALTER merged SET STORAGE EXTERNAL;
COMMENT ON TABLE chainflow.progress IS 'Which heights are merged; changes only with the rows';

CREATE TABLE chainflow.merge_log (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  chain text COLLATE "C" NOT NULL,
  datasets text[] NOT NULL,
  blocks int8range NOT NULL,
  rows jsonb NOT NULL,
  row_count bigint NOT NULL,
  bytes bigint NOT NULL,
  seconds double precision NOT NULL,
  run_id text NOT NULL,
  merged_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE chainflow.merge_log IS 'One row per merged slice, appended only';
CREATE INDEX merge_log_chain_merged_at ON chainflow.merge_log (chain, merged_at);
CREATE INDEX merge_log_merged_at ON chainflow.merge_log USING brin (merged_at);

CREATE TABLE chainflow.height (
  chain text COLLATE "C" PRIMARY KEY,
  head bigint,
  finalized bigint,
  observed_at timestamptz,
  highest bigint,
  risen_at timestamptz,
  error text
);
COMMENT ON TABLE chainflow.height IS 'What the node said last, and what went wrong since';

CREATE TABLE chainflow.height_sample (
  chain text COLLATE "C" NOT NULL,
  observed_at timestamptz NOT NULL,
  head bigint NOT NULL,
  finalized bigint,
  PRIMARY KEY (chain, observed_at)
);
COMMENT ON TABLE chainflow.height_sample IS 'Heights over time, pruned after 30 days';
"""

COLUMNS = """
COMMENT ON COLUMN chainflow.progress.start IS 'First height wanted, inclusive';
COMMENT ON COLUMN chainflow.progress.merged IS 'Merged heights, half-open ranges';
COMMENT ON COLUMN chainflow.progress.watermark IS
  'Highest height up to which all is merged from start on, inclusive';
COMMENT ON COLUMN chainflow.progress.merged_last IS 'Highest merged height, gaps below it or not';
COMMENT ON COLUMN chainflow.progress.watermark_time IS 'Time of the block at the watermark';
COMMENT ON COLUMN chainflow.progress.merged_at IS 'When a range was last merged';
COMMENT ON COLUMN chainflow.merge_log.blocks IS 'Merged heights, half-open';
COMMENT ON COLUMN chainflow.merge_log.rows IS 'Rows merged, by dataset';
COMMENT ON COLUMN chainflow.merge_log.row_count IS 'Rows merged, all datasets together';
COMMENT ON COLUMN chainflow.merge_log.bytes IS 'Bytes the node sent for the slice';
COMMENT ON COLUMN chainflow.merge_log.seconds IS 'Wall time of the slice, fetch to merge';
COMMENT ON COLUMN chainflow.height.highest IS 'Highest head ever seen';
COMMENT ON COLUMN chainflow.height.risen_at IS 'When the head last rose above all seen before';
COMMENT ON COLUMN chainflow.height.error IS 'Why the last observation failed; null when it did not';
"""

OBSERVED = """
CREATE VIEW chainflow.observed AS
SELECT c.chain,
  greatest(b.head - a.head, 0) * 60.0::float8
    / extract(epoch FROM b.observed_at - a.observed_at)::float8 AS blocks_per_minute
FROM chainflow.chain c
CROSS JOIN LATERAL (
  SELECT s.head, s.observed_at FROM chainflow.height_sample s
  WHERE s.chain = c.chain AND s.observed_at >= now() - interval '1 hour'
  ORDER BY s.observed_at LIMIT 1
) a
CROSS JOIN LATERAL (
  SELECT s.head, s.observed_at FROM chainflow.height_sample s
  WHERE s.chain = c.chain AND s.observed_at >= now() - interval '1 hour'
  ORDER BY s.observed_at DESC LIMIT 1
) b
WHERE b.observed_at >= a.observed_at + interval '5 minutes';
COMMENT ON VIEW chainflow.observed IS
  'How fast each chain grew over the last hour, where samples span at least 5 minutes';
"""

LAG = """
CREATE VIEW chainflow.lag AS
WITH seen AS (
  SELECT
    c.*,
    h.head, h.finalized, h.observed_at, h.risen_at, h.error,
    nullif(greatest(
      CASE WHEN c.finality_tag IS NULL THEN h.head - c.confirmations ELSE h.finalized END,
      c.start - 1), c.start - 1) AS target,
    p.watermark, p.watermark_time, p.oldest_gap_start,
    p.last_merged_at,
    coalesce(observed.blocks_per_minute, c.blocks_per_minute) AS chain_rate,
    synced.rate AS sync_rate
  FROM chainflow.chain c
  LEFT JOIN chainflow.height h USING (chain)
  CROSS JOIN LATERAL (
    SELECT
      CASE WHEN bool_and(p.watermark IS NOT NULL) THEN min(p.watermark) END AS watermark,
      CASE WHEN bool_and(p.watermark IS NOT NULL)
        THEN (array_agg(p.watermark_time ORDER BY p.watermark))[1] END AS watermark_time,
      min(coalesce(p.watermark + 1, p.start))
        FILTER (WHERE p.merged_last > coalesce(p.watermark, p.start - 1)) AS oldest_gap_start,
      max(p.merged_at) AS last_merged_at
    FROM unnest(c.datasets) AS d (dataset)
    LEFT JOIN chainflow.progress p ON p.chain = c.chain AND p.dataset = d.dataset
  ) p
  LEFT JOIN chainflow.observed ON observed.chain = c.chain
  CROSS JOIN LATERAL (
    SELECT
      sum((upper(l.blocks) - lower(l.blocks)) * cardinality(l.datasets)::float8)
        / cardinality(c.datasets) * 60
        / extract(epoch FROM now() - greatest(
            min(l.merged_at - make_interval(secs => l.seconds)), now() - interval '10 minutes'))
      AS rate
    FROM chainflow.merge_log l
    WHERE l.chain = c.chain AND l.merged_at >= now() - interval '10 minutes'
      AND l.merged_at < now()
  ) synced
), counted AS (
  SELECT
    s.*,
    CASE WHEN s.head IS NOT NULL
      THEN greatest(s.head - coalesce(s.watermark, s.start - 1), 0) END AS lag_blocks,
    CASE WHEN s.head IS NOT NULL
      THEN greatest(s.target - coalesce(s.watermark, s.start - 1), 0) END AS backlog_blocks,
    make_interval(secs => s.lag_alert_minutes * 60) AS patience
  FROM seen s
)
SELECT
  chain,
  family,
  env,
  owner,
  status,
  CASE
    WHEN status = 'retired' THEN 'retired'
    WHEN error IS NOT NULL OR now() - coalesce(observed_at, registered_at) > patience
      THEN 'unreachable'
    WHEN observed_at - risen_at > greatest(
      patience, make_interval(secs => 20 * 60 / nullif(blocks_per_minute, 0))) THEN 'node_stuck'
    WHEN backlog_blocks = 0 OR watermark IS NOT NULL
      AND backlog_blocks <= blocks_per_minute * lag_alert_minutes THEN 'synced'
    WHEN now() - greatest(last_merged_at, registered_at) > patience THEN 'stalled'
    ELSE 'syncing'
  END AS state,
  head,
  finalized,
  target,
  watermark,
  lag_blocks,
  backlog_blocks,
  extract(epoch FROM now() - watermark_time)::float8 AS lag_seconds,
  chain_rate::float8 AS blocks_per_minute,
  coalesce(sync_rate, 0)::float8 AS sync_blocks_per_minute,
  CASE
    WHEN backlog_blocks = 0 THEN 0
    WHEN sync_rate > chain_rate THEN (backlog_blocks * 60 / (sync_rate - chain_rate))::float8
  END AS catch_up_seconds,
  oldest_gap_start,
  last_merged_at,
  observed_at,
  error
FROM counted;
"""

LAG_COLUMNS = {
    "chain": "Name in chains.yaml; also the schema that holds its tables",
    "family": "Protocol group; also the schema whose tables hold all its chains",
    "env": "From chains.yaml: prod, stage, dev or any word of yours",
    "owner": "From chains.yaml: who answers for the chain",
    "status": "From chains.yaml: live or retired",
    "state": "synced, syncing, stalled, node_stuck, unreachable or retired",
    "head": "Newest height its node reported, inclusive; it may still be reorganised away",
    "finalized": "Highest height its node calls final, inclusive; null where it serves no such tag",
    "target": "Highest height that may be read now, inclusive; null while nothing is old enough",
    "watermark": "Highest height up to which every dataset is merged, inclusive; null before that",
    "lag_blocks": "head - watermark, never below 0",
    "backlog_blocks": "target - watermark, never below 0: what could already be here",
    "lag_seconds": "Now minus the time of the block at the watermark",
    "blocks_per_minute": "How fast the chain grows: observed over the last hour, else chains.yaml",
    "sync_blocks_per_minute": "How fast we merged over the last 10 minutes, re-ingested ranges too",
    "catch_up_seconds": "Until backlog_blocks is 0 at these two rates; null if it is not shrinking",
    "oldest_gap_start": "First height missing below the highest merged one; null without a gap",
    "last_merged_at": "When a slice of the chain was last merged",
    "observed_at": "When its node last told its heights",
    "error": "Why its last observation failed; null when it did not",
}


def upgrade() -> None:
    """Create schema chainflow's tables and views, and schema staging."""
    for statements in (WATERMARK, TABLES, COLUMNS, OBSERVED, LAG):
        op.execute(statements)
    op.execute("COMMENT ON VIEW chainflow.lag IS 'How far behind each chain is, one row each'")
    for column, meaning in LAG_COLUMNS.items():
        op.execute(f"COMMENT ON COLUMN chainflow.lag.{column} IS '{meaning}'")
