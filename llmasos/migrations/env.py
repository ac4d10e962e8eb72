"""Alembic's entry: runs the migrations on the connection that it is handed."""

from alembic import context

from llmasos.store import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
