"""What PostgreSQL or the network said, as a `ChatdbError` with a place and a way out.

What belongs here: from a SQLSTATE to a hint, from a position in a statement to a line in a file, from
the text of a refused connection to a kind of failure, how far to the right a caret stands.  What does
not: deciding what to do about it (retries are `connection.py`'s, the rest of a run `runner.py`'s),
colours.
"""

from __future__ import annotations

import unicodedata
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.errors import ChatdbError, Code, Place
from chatdb_cli.redaction import mask
from chatdb_cli.syntax.location import locate
from chatdb_cli.syntax.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg
    from psycopg.errors import Diagnostic

SETUP = '"chatdb setup" makes it'


def sqlstate_name(sqlstate: str | None) -> str | None:
    """Return PostgreSQL's own name of a SQLSTATE, such as `undefined_column`, or None."""
    import re

    from psycopg import errors

    try:
        name = errors.lookup(sqlstate or "").__name__
    except KeyError:
        return None
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def hint(sqlstate: str | None, diag: Diagnostic) -> str | None:
    """Return what to do about an error of the server, or None where it speaks for itself."""
    message = mask(diag.message_primary or "")
    if message == _STANDBY:
        sqlstate = "25006"
    template = HINTS.get(sqlstate or "")
    if template is None:
        return None
    return template.format(
        right=_right(message),
        table=diag.table_name or "the table",
        constraint=diag.constraint_name or "the constraint",
    )


def _right(message: str) -> str:
    """Return which right on which object lacks, as far as the server's words for 42501 tell."""
    if (owned := message.removeprefix("must be owner of ")) != message:
        return f"the ownership of {owned}"
    if (made := message.removeprefix("permission denied to create ")) in _ATTRIBUTES:
        return f"the attribute {_ATTRIBUTES[made]}"
    if (what := message.removeprefix("permission denied for ")) != message:
        return f"{_RIGHTS.get(what.partition(' ')[0], 'what the statement needs')} on {what}"
    return "the right that is named"


_ATTRIBUTES = {"database": "CREATEDB", "role": "CREATEROLE"}
_RIGHTS = {
    "database": "CREATE",
    "function": "EXECUTE",
    "language": "USAGE",
    "procedure": "EXECUTE",
    "schema": "USAGE and CREATE",
    "sequence": "USAGE",
    "table": "SELECT, INSERT or what else the statement needs",
    "tablespace": "CREATE",
    "type": "USAGE",
}

# A migration's BEGIN says READ WRITE, which a standby does not call 25006 but 0A000.
_STANDBY = "cannot set transaction read-write mode during recovery"

# By SQLSTATE; tests/test_errors.py provokes each of them.
HINTS = {
    "42P04": "a database of that name is there already: nothing to do, or choose another name",
    "42P06": "the schema is there already; write CREATE SCHEMA IF NOT EXISTS, or drop it first",
    "42P07": "something of that name is there already, perhaps made by hand: "
    "drop it, or name yours differently",
    "42501": "give the role that migrates {right}, or use another role",
    "3D000": SETUP,
    "23505": "rows in {table} break the unique rule {constraint}: clean them up in this migration, "
    "before the rule is made",
    "23503": "rows in {table} point to rows that are not there ({constraint}): clean them up in "
    "this migration, or correct the order of the statements",
    "28P01": "correct the password where it is set, or in ~/.pgpass",
    "53300": "wait, or raise the limit: max_connections of the server, or the CONNECTION LIMIT of the "
    "role or database that is named; 'SELECT * FROM pg_stat_activity' shows who is on",
    "53200": "where shared memory ran out raise max_locks_per_transaction, or spread the work over "
    "several migrations",
    "53100": "make room on the server's disk; nothing of this migration was kept",
    "55P03": "another session holds a lock on what this changes: run it again when that is done, "
    "end it with SELECT pg_terminate_backend(PID), or try longer with --retries or --lock-timeout",
    "57P03": "the server is starting or stopping: try again in a moment",
    "57014": "raise --statement-timeout if the statement has to take this long; if somebody "
    "cancelled it, run it again",
    "25006": "the server is a standby or set to read-only: name the primary",
    "25001": 'such a statement runs alone: put "-- chatdb: transactional: false" at the top of the '
    'file; for an isolation level write "-- chatdb: isolation: serializable"',
    "2D000": "the procedure commits by itself: put "
    '"-- chatdb: transactional: false" at the top of the file',
    "40P01": "two sessions wait for each other: run it again",
    "40001": "another transaction came between: run it again",
}


def statement_error(
    error: psycopg.Error,
    path: Path,
    text: str,
    statement: Statement,
    *,
    direction: str = "up",
    notes: tuple[str, ...] = (),
) -> ChatdbError:
    """Return the error of a file's statement, with its place and its line.

    Args:
        error: what the server said.
        path: the file.
        text: its whole text.
        statement: the statement that failed.
        direction: which command goes on when the file is correct.
        notes: what became of the run, to be said last.
    """
    diag = error.diag
    position = diag.statement_position
    if position is not None:
        # PostgreSQL counts characters of what was sent, from 1.
        offset = statement.offset + int(position) - 1
        offset = min(offset, len(text.rstrip()))  # "at end of input" is where the last word ends
        place = locate(text, offset, path)
    else:
        offset = statement.offset
        at = locate(text, offset, path, context=0)
        place = Place(path, at.line, None, at.excerpt)
    facts = [*_facts(diag), *notes]
    if position is not None and (odd := _invisible(text, offset)):
        facts.insert(0, odd)
    message = mask(diag.message_primary or str(error).strip())
    return ChatdbError(
        Code.STATEMENT,
        message,
        place=place,
        sqlstate=error.sqlstate,
        hint=hint(error.sqlstate, diag)
        or f'correct the file and run "chatdb migrate {direction}" again',
        notes=tuple(facts),
    )


def server_error(error: psycopg.Error, code: Code, what: str) -> ChatdbError:
    """Return the error of a statement that chatdb itself sent.

    Args:
        error: what the server said.
        code: the kind.
        what: what could not be done, to begin the message with.
    """
    message = (
        error.diag.message_primary or str(error).strip().partition("\n")[0] or "no reason given"
    )
    return ChatdbError(
        code,
        f"{what}: {mask(message)}",
        sqlstate=error.sqlstate,
        hint=hint(error.sqlstate, error.diag),
        notes=tuple(_facts(error.diag)),
    )


def unexpected(
    error: psycopg.Error,
    what: str = "a statement of chatdb's own failed",
    otherwise: Code = Code.HISTORY,
) -> ChatdbError:
    """Return the error of a statement of which no failure is foreseen, by its SQLSTATE.

    Without one, or with one of class 08 or 57P, the connection is gone.

    Args:
        error: what psycopg raised.
        what: what could not be done, to begin the message with.
        otherwise: the kind of an error that says nothing else.
    """
    sqlstate = error.sqlstate or ""
    if not sqlstate or sqlstate.startswith(("08", "57P")):
        return server_error(error, Code.LOST, f"{what}, the connection was lost")
    code = {"42501": Code.LOGIN, "55P03": Code.LOCKED}.get(sqlstate, otherwise)
    return server_error(error, code, what)


@contextmanager
def explained(what: str, otherwise: Code = Code.HISTORY) -> Iterator[None]:
    """Turn what psycopg raises inside into a `ChatdbError` that says what could not be done."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise unexpected(error, what, otherwise) from None


def _facts(diag: Diagnostic) -> list[str]:
    facts = []
    if diag.message_detail:
        facts.append(f"server detail: {diag.message_detail}")
    if diag.message_hint:
        facts.append(f"server hint: {diag.message_hint}")
    if diag.internal_query:
        facts.append(f"in function:\n{_inner(diag)}\n{diag.context or ''}".rstrip())
    elif diag.context:
        label = "in function" if "function" in diag.context else "server context"
        facts.append(f"{label}: {diag.context}")
    return [mask(fact) for fact in facts]


def _inner(diag: Diagnostic) -> str:
    """Return the line of a function's own statement that failed, with a caret under the place."""
    at = int(diag.internal_position or 0)
    place = locate(diag.internal_query or "", max(at - 1, 0), Path(), context=0)
    line = place.excerpt[-1][1]
    caret = f"\n  {pad(line[: (place.column or 1) - 1])}^" if at else ""
    return f"  {line}{caret}"


def width(text: str) -> int:
    """Return how many cells a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def _cells(char: str) -> int:
    # rich counts alike; but it is not imported where nothing is a terminal.
    if char == "\u00ad":
        return 1
    # A vowel of Hangul in pieces, as macOS names its files, stands in its syllable.
    if unicodedata.category(char) in ("Mn", "Me", "Mc", "Cf") or "\u1160" <= char <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def pad(before: str) -> str:
    """Return blanks as wide as a text; its tabs stay tabs."""
    return "".join("\t" if c == "\t" else " " * width(c) for c in before)


def _invisible(text: str, offset: int) -> str | None:
    """Name a character in the word at the place of an error that no eye can see."""
    for n, char in enumerate(text[offset : offset + 100]):
        if n > 1 and char.isascii() and not (char.isalnum() or char in "_$"):
            return None
        if ord(char) > 127 and unicodedata.category(char) in ("Cf", "Zs", "Zl", "Zp", "Co"):
            name = unicodedata.name(char, "unnamed")
            return f"an invisible character stands here: U+{ord(char):04X} {name}"
    return None


class Failure(NamedTuple):
    """A kind of failed connection.

    Attributes:
        code: the kind of error.
        sign: a part of libpq's or the server's text, in lower case.
        hint: what to do about it.
        sqlstate: what the server meant; libpq does not hand it on.
        errno: the operating system's name of it.
        transient: it is worth another try.
    """

    code: Code
    sign: str
    hint: str
    sqlstate: str | None = None
    errno: str | None = None
    transient: bool = False


_TOO_LONG = "check host, port and firewall, or wait longer with CHATDB_CONNECT_TIMEOUT"

# libpq gives a failed connection as text alone; these are its own words and the server's.
FAILURES = (
    Failure(Code.UNREACHABLE, "connection refused", "start the server, or correct host and port",
            errno="ECONNREFUSED", transient=True),
    Failure(Code.UNREACHABLE, "failed: no such file or directory",
            "no server listens on that socket: start it, or correct the host",
            errno="ENOENT", transient=True),
    Failure(Code.UNREACHABLE, "failed to resolve host", "correct the host's name", errno="ENOTFOUND"),
    Failure(Code.UNREACHABLE, "could not translate host name", "correct the host's name",
            errno="ENOTFOUND"),
    Failure(Code.UNREACHABLE, "timeout expired", _TOO_LONG, errno="ETIMEDOUT"),
    Failure(Code.UNREACHABLE, "connection timed out", _TOO_LONG, errno="ETIMEDOUT"),
    Failure(Code.UNREACHABLE, "failed: permission denied",
            "the socket's folder lets only others in: log in as one of them, or correct the host",
            errno="EACCES"),
    Failure(Code.UNREACHABLE, "no route to host", "check host and network", errno="EHOSTUNREACH"),
    Failure(Code.UNREACHABLE, "network is unreachable", "check the network", errno="ENETUNREACH"),
    Failure(Code.UNREACHABLE, "the database system is", HINTS["57P03"], "57P03", transient=True),
    Failure(Code.UNREACHABLE, "too many", HINTS["53300"], "53300", transient=True),
    Failure(Code.UNREACHABLE, "remaining connection slots", HINTS["53300"], "53300",
            transient=True),
    Failure(Code.UNREACHABLE, "server closed the connection", "try again; look at the server's log",
            transient=True),
    Failure(Code.LOGIN, "password authentication failed", HINTS["28P01"], "28P01"),
    Failure(Code.LOGIN, "no password supplied", "give a password, or an entry in ~/.pgpass", "28P01"),
    Failure(Code.LOGIN, "authentication failed", "log in as the role that pg_hba.conf lets in",
            "28000"),
    Failure(Code.LOGIN, "no pg_hba.conf entry", "pg_hba.conf of the server lets nobody in this way",
            "28000"),
    Failure(Code.LOGIN, "is not permitted to log in", "name a role that may log in", "28000"),
    Failure(Code.LOGIN, "permission denied for database", "GRANT CONNECT ON DATABASE to the role",
            "42501"),
)  # fmt: skip


def connection_failure(error: psycopg.Error, where: str) -> tuple[ChatdbError, bool]:
    """Return the error of a failed connection, and whether it is worth another try.

    Args:
        error: what psycopg raised.
        where: the target, for the message.
    """
    text = str(error).strip()
    low = text.lower()
    if "fatal:" in low and "does not exist" in low:
        missing = Code.MISSING_DATABASE if 'database "' in low else Code.LOGIN
        sqlstate = "3D000" if missing is Code.MISSING_DATABASE else "28000"
        way = SETUP if missing is Code.MISSING_DATABASE else "name a role that exists"
        return _connection_error(Failure(missing, "", way, sqlstate), text, where), False
    fatal = low[low.index("fatal:") :] if "fatal:" in low else low
    found = next((f for f in FAILURES if f.sign in fatal), None)
    if found is None:
        found = Failure(Code.UNREACHABLE, "", "check the settings of the connection")
    return _connection_error(found, text, where), found.transient


def _connection_error(found: Failure, text: str, where: str) -> ChatdbError:
    from chatdb_cli.redaction import redact

    # Of several addresses that were tried, the one that answered has the most to say.
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no reason given"]
    reason = next((line.lstrip("- ") for line in lines if "FATAL:" in line), lines[0])
    for lead in ("connection failed: ", "connection is bad: "):
        reason = reason.removeprefix(lead)
    return ChatdbError(
        found.code,
        f"can't connect to {where}: {redact(reason)}",
        hint=found.hint,
        sqlstate=found.sqlstate,
        errno=found.errno,
    )
