"""The prelude: a SQL file that runs first in a scratch database.

It creates what a platform brings before the first migration: schemas, roles, stand-ins of functions.
What does not belong here: the migrations (`migrate/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.errors import Code
from chatdb_cli.files.model import NO_DIRECTIVES, Script
from chatdb_cli.files.names import file_error
from chatdb_cli.files.read import find_refused_statement
from chatdb_cli.postgres.diagnosis import statement_error
from chatdb_cli.syntax.source import decode
from chatdb_cli.syntax.statements import Statement, split_statements

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    import psycopg


def read_prelude(path: Path) -> Script:
    """Read the file.

    Raises:
        ChatdbError: `USAGE`, it can't be read; `BAD_FILE`, it holds what no file may contain.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise file_error(path, error, "read", Code.USAGE) from None
    script = Script(str(path), decode(data, path), "", NO_DIRECTIVES)
    if refusal := find_refused_statement(script, split_statements(script.text)):
        raise refusal
    return script


def run_prelude(conn: psycopg.Connection[Any], script: Script) -> None:
    """Run the file, each statement in a transaction of its own.

    Raises:
        ChatdbError: `STATEMENT`, with the place.
    """
    import psycopg

    for statement in split_statements(script.text) or (Statement(script.text, 0),):
        try:
            conn.execute(statement.text.encode())
        except psycopg.Error as error:
            if conn.closed:
                raise
            failure = statement_error(
                error, script.path, script.text, statement, notes=("the prelude did not finish",)
            )
            raise failure.with_(hint="correct the prelude, and try again") from None
