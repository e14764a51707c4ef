"""Tron's addresses in hex: a function of the base58 form that the tables hold."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

# In base58 an address is 25 bytes of 34 letters; the last four bytes are a checksum.
TRON_HEX = """
CREATE FUNCTION chainflow.tron_hex(address text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  WITH RECURSIVE digits AS (
    SELECT sum((strpos('123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz',
      substr(address, i, 1)) - 1) * 58::numeric ^ (34 - i)) AS number
    FROM generate_series(1, 34) AS i
  ), bytes (place, rest, hex) AS (
    SELECT 0, trunc(number / 4294967296), '' FROM digits
    UNION ALL
    SELECT place + 1, div(rest, 65536), lpad(to_hex(mod(rest, 65536)::int), 4, '0') || hex
    FROM bytes WHERE place < 11
  )
  SELECT CASE WHEN address ~ '^T[1-9A-HJ-NP-Za-km-z]{33}$'
    THEN (SELECT right(hex, 42) FROM bytes WHERE place = 11) END
$$;
COMMENT ON FUNCTION chainflow.tron_hex IS
  'Hex form, 41 and 40 digits, of a Tron address in base58; null of any other text';
"""


def upgrade() -> None:
    """Create the function."""
    op.execute(TRON_HEX)
