"""The comments that mark what `setup --test` has made; nothing else is ever reset or dropped.

    TEST_MARK, DATABASE_MARK    of a test schema, of a test database
    owner_mark, made_mark       of the role of a test schema, of a role that its files created
    role_name                   the name of the role of a test schema

What does not belong here: reading and writing them (`test_schema.py`, `test_database.py`).
"""

from __future__ import annotations

import hashlib

TEST_MARK = "chatdb: a test schema, reset by chatdb setup --test"
DATABASE_MARK = "chatdb: a test database, reset by chatdb setup --test --database"
_LONGEST = 40  # bytes of the schema's name in that of its role, which has 63 at most


def is_test_schema(comment: str | None) -> bool:
    """Return whether a schema's comment marks it as a test schema."""
    return comment == TEST_MARK


def is_test_database(comment: str | None) -> bool:
    """Return whether a database's comment marks it as a test database; another text may precede."""
    return comment is not None and comment.endswith(DATABASE_MARK)


def role_name(database: str, schema: str) -> str:
    """Return the name of the role of a test schema; roles belong to the whole server."""
    digest = hashlib.sha256(f"{database}\0{schema}".encode()).hexdigest()[:8]
    shown = schema.encode()[:_LONGEST].decode(errors="ignore")
    return f"chatdb_test_{shown}_{digest}"


def owner_mark(database: str, schema: str) -> str:
    """Return the comment of that role."""
    return f"chatdb: the role of the test schema {schema!r} in database {database!r}"


def made_mark(database: str, schema: str) -> str:
    """Return the comment of a role that a migration in a test schema has created."""
    return f"chatdb: created by a migration in the test schema {schema!r} of database {database!r}"
