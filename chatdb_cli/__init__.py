"""chatdb: PostgreSQL migrations in hand-written SQL, as a library."""

__version__ = "0.1.0"
