"""PostgreSQL: where rows wait, are merged, and stay."""
