"""Alembic's scripts for the store of accounts; `services.auth.adapters.sql_migrations` runs them."""
