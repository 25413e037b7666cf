"""Refuse files that can't run, by their text alone, before anything runs.

    check_statements    one file, in the direction in which it runs
    check_down          the down file of a migration, before it is needed
    find_refusals       all files of some migrations
    combine             several refusals as one error

Pure: nothing here reads a disk, a database or a clock.  What does not belong here: which statements no
file may contain (`syntax/`), what a connection or a guard refuses (`preflight.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.files.read import find_refused_statement
from chatdb_cli.migrate.compare import describe
from chatdb_cli.syntax.location import locate
from chatdb_cli.syntax.statements import split_statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chatdb_cli.files.model import Migration, Script
    from chatdb_cli.syntax.statements import Statement

# The newest major version of PostgreSQL whose grammar the parser knows.
_NEWEST_GRAMMAR = 18


def check_statements(script: Script, statements: Sequence[Statement] | None) -> ChatdbError | None:
    """Return why a file can't run, as far as its text shows, or None.

    Args:
        script: the file.
        statements: the result of `split_statements` for it.
    """
    error = find_refused_statement(script, statements)
    if error is None and script.directives.transactional:
        from chatdb_cli.syntax.outside_transaction import find_outside_transaction

        if outside := find_outside_transaction(statements):
            error = ChatdbError(
                Code.BAD_FILE,
                f"{outside.what} can't run inside a transaction, and chatdb runs this file in one",
                place=locate(script.text, outside.offset, script.path),
                hint='put "-- chatdb: transactional: false" at the top of the file, and what can run '
                "in a transaction into a file of its own",
            )
    return error


def check_down(script: Script, server_version: int) -> ChatdbError | None:
    """Return why a down file could not run when it is needed, or None.

    An up file that can't be parsed is sent as it is, and the server says what is wrong.  Nobody sends a
    down file until it has to work, so a syntax error is reported here, unless the server is newer than
    the parser.

    Args:
        script: the down file.
        server_version: as a number, such as 180001.
    """
    statements = split_statements(script.text)
    error = check_statements(script, statements)
    if error is None and statements is None and server_version // 10000 <= _NEWEST_GRAMMAR:
        from chatdb_cli.syntax.parse_error import find_syntax_error

        message, offset = find_syntax_error(script.text)
        error = ChatdbError(
            Code.BAD_FILE,
            f"the down file could not run: {message}",
            place=locate(script.text, offset, script.path),
            hint="correct it now, before it is needed",
        )
    return error


def find_refusals(
    ups: Iterable[Migration], downs: Iterable[Migration], server_version: int
) -> Iterator[ChatdbError]:
    """Yield why files can't run: one error for each such file.

    Args:
        ups: the migrations whose up file is checked.
        downs: those whose down file is checked.
        server_version: as a number, such as 180001.
    """
    for migration in ups:
        if error := check_statements(migration.up, split_statements(migration.up.text)):
            yield error
    for migration in downs:
        if migration.down and (error := check_down(migration.down, server_version)):
            yield error


def combine(errors: Sequence[ChatdbError]) -> ChatdbError:
    """Return the first error, with each of the others as a note."""
    first, *others = errors
    return first.with_(notes=(*first.notes, *map(describe, others)))
