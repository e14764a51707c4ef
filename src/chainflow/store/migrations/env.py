"""What alembic runs: the migrations on the connection that `database.upgrade` hands over."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table_schema="chainflow",
)
with context.begin_transaction():
    context.run_migrations()
