"""From an exception of psycopg to an error of chatdb: message, location in the file, facts, hint.

What does not belong here: what to do next in a run (`migrate/`), rendering an error (`cli/render/`).
"""

from __future__ import annotations

import unicodedata
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from chatdb_cli.errors import IN_FUNCTION, ChatdbError, Code, Location
from chatdb_cli.postgres.encodings import character_position
from chatdb_cli.remedy import Advice
from chatdb_cli.syntax.function_body import find_failed_line
from chatdb_cli.syntax.location import locate
from chatdb_cli.syntax.secrets import hide, is_secret, mask_message

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import psycopg
    from psycopg.errors import Diagnostic

    from chatdb_cli.syntax.statements import Statement

# Classes of SQLSTATEs for failures of the server, of its resources, of other sessions, or of another
# server: https://www.postgresql.org/docs/current/errcodes-appendix.html
_NOT_THE_FILE = ("08", "25006", "40", "53", "55", "57", "58", "F0", "HV", "XX")


def statement_error(
    error: psycopg.Error,
    path: Path,
    text: str,
    statement: Statement,
    *,
    statements: Sequence[Statement] | None = None,
    direction: str = "up",
    encoding: str = "UTF8",
    notes: tuple[str, ...] = (),
) -> ChatdbError:
    """Return the error of a statement of a file, with its location and the line.

    Args:
        error: psycopg's exception.
        path: the file.
        text: the whole text of the file.
        statement: the statement that failed.
        statements: all statements of the file, for the lines of functions that it creates.
        direction: up or down, which continues when the file is correct.
        encoding: of the database, by PostgreSQL's name for it.
        notes: what happened to the run; the last notes of the error.
    """
    from chatdb_cli.postgres.hints import hint_for

    diag = error.diag
    position = diag.statement_position
    if position is not None:
        # PostgreSQL counts characters of what was sent, from 1.
        offset = statement.offset + character_position(int(position), statement.text, encoding) - 1
        offset = min(offset, len(text.rstrip()))  # "at end of input" is after the last word
        place = locate(text, offset, path)
    else:
        place = _without_position(diag, path, text, statement, statements or (statement,))
    secret = is_secret(text)
    server_facts = () if secret else (hide(fact, statement.text) for fact in _facts(diag))
    facts = [*server_facts, *notes]
    if position is not None and (character := _invisible_character(text, offset)):
        facts.insert(0, character)
    if position is None and (number := _number_in_line(text, statement, statements or ())):
        facts.insert(0, number)
    message = diag.message_primary or str(error).strip()
    message = hide(message, statement.text, everything=secret)
    return ChatdbError(
        Code.STATEMENT,
        message,
        place=place,
        inner=None if secret else _inner(diag),
        sqlstate=error.sqlstate,
        hint=hint_for(error.sqlstate, diag) or _next_step(error.sqlstate, direction),
        notes=tuple(facts),
    )


def _next_step(sqlstate: str | None, direction: str) -> str:
    """Return what to do about a statement that failed: not every failure is the file's."""
    if (sqlstate or "").startswith(_NOT_THE_FILE):
        return Advice(
            f"the file may be correct: remove the cause, which the server's log may explain, and run "
            f"{{{direction}}} again"
        )
    return Advice(f"correct the file and run {{{direction}}} again")


def _without_position(
    diag: Diagnostic, path: Path, text: str, statement: Statement, statements: Sequence[Statement]
) -> Location:
    """Return where a statement failed that has no position: the line of its body, or its start."""
    found = find_failed_line(
        diag.context or "",
        diag.internal_query,
        int(diag.internal_position or 0),
        statement,
        statements,
    )
    if found:
        place = locate(text, found[0], path)
        return place if found[1] else place._replace(column=None)
    at = locate(text, statement.offset, path, context=0)
    if at.excerpt and at.column and at.excerpt[-1][1][: at.column - 1].strip():
        line = at.excerpt[-1][1]  # another statement is before it in its line
        end = at.column - 1 + len(statement.text)
        return Location(path, at.line, None, ((at.line or 1, line[at.column - 1 : end]),))
    return Location(path, at.line, None, at.excerpt)


def _number_in_line(text: str, failed: Statement, statements: Sequence[Statement]) -> str | None:
    """Return a note about which statement failed, if several are in its line, or None."""
    start = max(text.rfind(end, 0, failed.offset) for end in "\r\n") + 1
    if not any(start <= one.offset < failed.offset for one in statements):
        return None
    number = 1 + [one.offset for one in statements].index(failed.offset)
    return f"it is statement {number} of {len(statements)} of the file"


def server_error(error: psycopg.Error, code: Code, what: str) -> ChatdbError:
    """Return the error of a statement of chatdb's own.

    Args:
        error: psycopg's exception.
        code: the kind of error.
        what: what could not be done, the start of the message.
    """
    from chatdb_cli.postgres.hints import hint_for

    return ChatdbError(
        code,
        f"{what}: {server_message(error)}",
        inner=_inner(error.diag),
        sqlstate=error.sqlstate,
        hint=hint_for(error.sqlstate, error.diag) or _WAYS_OUT.get(code, _WAY_OUT),
        notes=tuple(_facts(error.diag)),
    )


# What to do about a statement of chatdb's own that failed, where its SQLSTATE has no hint.
_WAY_OUT = Advice(
    "run it again; if it fails again, look at {status} and at the server's log, and report it with what "
    "CHATDB_DEBUG=1 prints"
)
_WAYS_OUT = {
    Code.LOST: Advice("run the same command again to continue; {status} shows what was done"),
}


def server_message(error: psycopg.Error) -> str:
    """Return what the server says, in one line and without secrets."""
    text = error.diag.message_primary or str(error).strip().partition("\n")[0]
    return mask_message(text or "no reason given")


def unexpected_error(
    error: psycopg.Error,
    what: str = "a statement of chatdb's own failed",
    otherwise: Code = Code.HISTORY,
) -> ChatdbError:
    """Return the error of a statement that is not expected to fail, by its SQLSTATE.

    Without a SQLSTATE, or with one of class 08 or 57P, the connection is lost.

    Args:
        error: psycopg's exception.
        what: what could not be done, the start of the message.
        otherwise: the kind of error for all other SQLSTATEs.
    """
    from chatdb_cli.postgres.sqlstates import INSUFFICIENT_PRIVILEGE, LOCK_NOT_AVAILABLE

    sqlstate = error.sqlstate or ""
    if not sqlstate or sqlstate.startswith(("08", "57P")):
        return server_error(error, Code.LOST, f"{what}, the connection was lost")
    codes = {INSUFFICIENT_PRIVILEGE: Code.LOGIN, LOCK_NOT_AVAILABLE: Code.LOCKED}
    return server_error(error, codes.get(sqlstate, otherwise), what)


@contextmanager
def explain_failures(what: str, otherwise: Code = Code.HISTORY) -> Iterator[None]:
    """Turn an exception of psycopg in the block into a `ChatdbError` that tells what failed.

    The arguments are those of `unexpected_error`.
    """
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise unexpected_error(error, what, otherwise) from None


def _facts(diag: Diagnostic) -> list[str]:
    facts = []
    if diag.message_detail:
        facts.append(f"server detail: {diag.message_detail}")
    if diag.message_hint:
        facts.append(f"server hint: {diag.message_hint}")
    if diag.internal_query:
        facts.append(f"{IN_FUNCTION}\n{diag.context or ''}".rstrip())
    elif diag.context:
        label = "in function" if "function" in diag.context else "server context"
        facts.append(f"{label}: {diag.context}")
    return [mask_message(fact) for fact in facts]


def _inner(diag: Diagnostic) -> Location | None:
    """Return the location in the statement of a function that failed."""
    if not diag.internal_query:
        return None
    position = int(diag.internal_position or 0)
    place = locate(diag.internal_query, max(position - 1, 0), Path(), context=0)
    return place if position else place._replace(column=None)


def _invisible_character(text: str, offset: int) -> str | None:
    """Return a note about an invisible character in the word at an error, or None."""
    for n, char in enumerate(text[offset : offset + 100]):
        if n > 1 and char.isascii() and not (char.isalnum() or char in "_$"):
            return None
        if ord(char) > 127 and unicodedata.category(char) in ("Cf", "Zs", "Zl", "Zp", "Co"):
            name = unicodedata.name(char, "unnamed")
            return f"there is an invisible character here: U+{ord(char):04X} {name}"
    return None
