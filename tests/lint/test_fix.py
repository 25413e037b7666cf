"""--fix: what a program can correct, and that the corrected files are quiet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chatdb_cli.lint.fix import diff, write_fixes
from chatdb_cli.lint.linter import lint_files
from chatdb_cli.lint.model import LintOptions

if TYPE_CHECKING:
    from collections.abc import Callable

USERS = "CREATE TABLE users (id bigint PRIMARY KEY, email text, boss bigint);\n"
QUIET = LintOptions(off=frozenset({"no-down-file", "foreign-key-without-index"}))


@pytest.mark.parametrize(
    "text",
    [
        "CREATE INDEX i ON users (email);\n",
        "-- why\r\nCREATE UNIQUE INDEX i ON users (email);\r\n",
        "create index /* é */ i on users (email); create index j on users (boss);",
        "CREATE INDEX CONCURRENTLY i ON users (email);\n",
        "ALTER TABLE users ADD CONSTRAINT c CHECK (length(email) > 3);\n",
        "ALTER TABLE users ADD CONSTRAINT c CHECK (email <> ''), ADD CONSTRAINT d CHECK (boss > 0);",
        "ALTER TABLE users ADD CONSTRAINT boss_fkey FOREIGN KEY (boss) REFERENCES users (id)\n"
        "  ON DELETE SET NULL;\n",
        '\ufeffALTER TABLE users ADD CONSTRAINT "É" CHECK (boss > 0);\n',
    ],
)
def test_a_corrected_project_is_quiet(text: str, write: Callable[..., Path]) -> None:
    folder = write(text, USERS)
    result = lint_files(str(folder), options=QUIET)
    assert result.failed()
    assert diff(result.changes).startswith("--- a/")
    write_fixes(result.changes)
    after = lint_files(str(folder), options=QUIET)
    assert [(f.code, f.message) for f in after.findings] == []
    assert after.changes == ()


def test_a_validate_comes_in_the_next_pair_of_files(write: Callable[..., Path]) -> None:
    folder = write("ALTER TABLE users ADD CONSTRAINT c CHECK (boss > 0);\n", USERS)
    write_fixes(lint_files(str(folder), options=QUIET).changes)
    up, down = (folder / f"{name}/0003_validate_example.sql" for name in ("up", "down"))
    assert up.read_text() == "ALTER TABLE users VALIDATE CONSTRAINT c;\n"
    assert down.read_text() == (
        "ALTER TABLE users DROP CONSTRAINT c;\n"
        "ALTER TABLE users ADD CONSTRAINT c CHECK (boss > 0) NOT VALID;\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "CREATE INDEX i ON users (email); SELECT 1;",  # the rest would lose its transaction
        "ALTER TABLE users ADD CHECK (boss > 0);",  # PostgreSQL chooses the name
        "DROP TABLE users;",
    ],
)
def test_what_needs_a_person_is_left_alone(text: str, write: Callable[..., Path]) -> None:
    assert lint_files(str(write(text, USERS)), options=QUIET).changes == ()


def test_a_byte_order_mark_stays(write: Callable[..., Path]) -> None:
    folder = write("", USERS)
    path = folder / "up/0002_example.sql"
    path.write_bytes(b"\xef\xbb\xbfCREATE INDEX i ON users (email);\r\n")
    write_fixes(lint_files(str(folder), options=QUIET).changes)
    assert path.read_bytes() == (
        b"\xef\xbb\xbf-- chatdb: transactional: false\r\n"
        b"CREATE INDEX CONCURRENTLY i ON users (email);\r\n"
    )
