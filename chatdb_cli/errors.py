"""Every error and every exit code of chatdb.

    ChatdbError   what went wrong, where (file, line, column), and what to do next
    Code          a stable name for each kind of error: its exit code, its cause, the remedy

One class, because callers decide by `code` (a name for programs) and `exit` (a name for shells), not
by type.  An error only carries facts: nothing here prints, exits, or knows a terminal.  What does not
belong here: drawing an error (`render.py`), what the server's words mean (`diagnosis.py`), catching.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


class Exit(IntEnum):
    """The exit codes of the `chatdb` command.

    Attributes:
        means: what a code says, as the README has it.
    """

    DONE = (0, "done")
    FOUND = (1, "a check found something")
    USAGE = (2, "wrong usage or settings, or a file that can't be a migration; nothing ran")
    UNREACHABLE = (3, "the database can't be reached, refused the login, or was lost")
    TUNNEL = (4, "the tunnel")
    FAILED = (
        5,
        "a migration failed and was rolled back; one without a transaction stopped part-way",
    )
    DISAGREE = (6, "files and history disagree")
    LOCKED = (7, "another migrator is at work, or a lock was not to be had")
    REFUSED = (8, "refused for safety, or declined")
    INTERNAL = (70, "an internal error")
    INTERRUPTED = (130, "interrupted")
    CLOSED_PIPE = (141, "the reader has gone")
    TERMINATED = (143, "terminated")

    means: str

    def __new__(cls, number: int, means: str) -> Exit:
        """Make a number that knows what it means."""
        member = int.__new__(cls, number)
        member._value_ = number
        member.means = means
        return member


class Code(Enum):
    """A stable name for each kind of error, with the exit code that it ends in.

    `make docs` writes docs/errors.md from these texts.

    Attributes:
        slug: the name, as JSON has it.
        exit: the exit code.
        cause: how it comes to that.
        remedy: what to do about it.
    """

    USAGE = (
        "usage",
        Exit.USAGE,
        "The command line contradicts itself, or names what is not there.",
        "Correct the command; `--help` behind it lists what it takes.",
    )
    SETTINGS = (
        "settings",
        Exit.USAGE,
        "A setting has a wrong value, or a line of a .env file is no assignment.",
        "Correct it where the message says that it was set.",
    )
    NOT_CONFIGURED = (
        "not-configured",
        Exit.USAGE,
        "No database was named, and the project has no server of its own.",
        "Set `DATABASE_URL`; or let `chatdb setup` make a PostgreSQL for the project.",
    )
    MISSING_SCHEMA = (
        "missing-schema",
        Exit.USAGE,
        "The schema is not in the database, or could not be made there.",
        "`chatdb setup` makes it; or correct `--schema`.",
    )
    NO_EVENTS = (
        "no-events",
        Exit.USAGE,
        "The schema has no change log: it is not the chat schema, or an older version of it.",
        "Name the right one with `--schema`, or bring it to its newest version with "
        "`chatdb migrate up`.",
    )
    BAD_FILE = (
        "bad-file",
        Exit.USAGE,
        "A file can't be a migration: its name, its bytes, a directive, or a statement that would "
        "interfere. Nothing ran.",
        "Correct the file at the place that is shown.",
    )
    UNREACHABLE = (
        "unreachable",
        Exit.UNREACHABLE,
        "No server answers there, or it takes no more connections now.",
        "Start the server, or correct host and port. The tables below say what each answer means.",
    )
    LOGIN = (
        "login",
        Exit.UNREACHABLE,
        "The server refused the login, or the role may not even read what is needed.",
        "Correct user and password where they were set, or let the role in.",
    )
    MISSING_DATABASE = (
        "missing-database",
        Exit.UNREACHABLE,
        "The server has no database of that name, or it could not be made.",
        "`chatdb setup` makes it; or correct the name.",
    )
    LOST = (
        "lost",
        Exit.UNREACHABLE,
        "The connection broke during the run, or the server did not confirm the last commit.",
        "Run the same command again: it goes on where the history stands. "
        "`chatdb migrate status` shows where that is.",
    )
    STANDBY = (
        "standby",
        Exit.UNREACHABLE,
        "The change log is read on the primary, and a standby has answered.",
        "Connect to the primary; with several hosts, `target_session_attrs=primary` finds it.",
    )
    SERVER = (
        "server",
        Exit.UNREACHABLE,
        "The project's own PostgreSQL can't be made, started or used.",
        "Do what the hint says; or set `DATABASE_URL` to use another PostgreSQL.",
    )
    TUNNEL = (
        "tunnel",
        Exit.TUNNEL,
        "`SSH_HOST` asks for a tunnel, and this version of chatdb opens none.",
        "Open one with `ssh -L`, point the settings at its local end, and set `SSH_ENABLED=false`.",
    )
    STATEMENT = (
        "statement",
        Exit.FAILED,
        "A statement of a migration failed, and its whole file was rolled back; a file without a "
        "transaction stopped at that statement. What was applied before stays.",
        "Correct the file at the place that is shown, and run the command again. The table of "
        "SQLSTATEs says more.",
    )
    HISTORY = (
        "history",
        Exit.DISAGREE,
        "Files and history disagree, or the history can't be read.",
        "`chatdb migrate status` lists every problem, each with its way out.",
    )
    RESYNCHRONISE = (
        "resynchronise",
        Exit.DISAGREE,
        "A cursor of the change log says nothing any more: the events behind it were purged, or the "
        "database was restored, copied or reset since.",
        "Begin anew without a cursor, then read what you show again; or let `chatdb listen --resync` "
        "say so in its output and go on from now.",
    )
    LOCKED = (
        "locked",
        Exit.LOCKED,
        "Another migrator is at work on this target; or, after all retries, another session still "
        "holds a lock on what a migration changes.",
        "Run it again when the other is done, or wait longer with `--wait` or `--lock-timeout`.",
    )
    REFUSED = (
        "refused",
        Exit.REFUSED,
        "It could do damage, or there is no way back, and nobody has said that this is meant.",
        "The hint names the flag that says so, or the other way.",
    )
    DECLINED = (
        "declined",
        Exit.REFUSED,
        "A person was asked and did not agree. Nothing was changed.",
        "Run it again and type the name that is asked for, or give `--yes`.",
    )
    INTERNAL = (
        "internal",
        Exit.INTERNAL,
        "A mistake of chatdb's own; or the result could not be written.",
        "Run it again with `CHATDB_DEBUG=1`, and report what it prints.",
    )
    INTERRUPTED = (
        "interrupted",
        Exit.INTERRUPTED,
        "Ctrl-C. What was applied before stays; the rest was rolled back.",
        "Run the same command again to go on.",
    )
    TERMINATED = (
        "terminated",
        Exit.TERMINATED,
        "SIGTERM. What was applied before stays; the rest was rolled back.",
        "Run the same command again to go on.",
    )

    def __init__(self, slug: str, exit_code: Exit, cause: str, remedy: str) -> None:
        self.slug = slug
        self.exit = exit_code
        self.cause = cause
        self.remedy = remedy


class Place(NamedTuple):
    """A place in a file.

    Attributes:
        file: the file, as the user named it.
        line: counted from 1, or None when only the file is known.
        column: in characters, counted from 1, or None when only the line is known.
        excerpt: the lines to show, as (line number, text without its line end).
    """

    file: Path
    line: int | None = None
    column: int | None = None
    excerpt: tuple[tuple[int, str], ...] = ()


class ChatdbError(Exception):
    """What went wrong, where, and what to do next.

    Args:
        code: the kind of error; it decides the exit code.
        message: one sentence in lower case, without a full stop, and never with a secret in it.
        hint: what to do next.
        place: where in which file.
        sqlstate: PostgreSQL's five-character code, where the server spoke.
        errno: the name of an operating-system error (`ECONNREFUSED`, `ENOENT`), where there is one.
        notes: further facts, each a line of its own (the server's detail, what stays applied).
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        hint: str | None = None,
        place: Place | None = None,
        sqlstate: str | None = None,
        errno: str | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.place = place
        self.sqlstate = sqlstate
        self.errno = errno
        self.notes = notes

    @property
    def exit(self) -> Exit:
        """The exit code that this error ends in."""
        return self.code.exit


class Terminated(KeyboardInterrupt):
    """SIGTERM, handled as Ctrl-C; the command line raises it."""
