"""Run by Alembic: the migrations on the connection, and in the transaction, that the caller has opened."""

from alembic import context

from services.auth.adapters.sql_schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # on both engines: a migration is done whole or not at all
    render_as_batch=True,  # SQLite cannot alter a column in place
)
context.run_migrations()
