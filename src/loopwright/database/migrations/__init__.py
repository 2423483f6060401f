"""The migrations, which alembic runs."""
