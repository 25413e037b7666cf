"""Every error and every exit code of chatdb.

    ChatdbError   what went wrong, where (file, line, column), and what to do next
    Code          a stable name for each kind of error, with the exit code that it ends in

One class, because callers decide by `code` (a name for programs) and `exit` (a name for shells), not
by type.  An error only carries facts: nothing here prints, exits, or knows a terminal.  What does not
belong here: drawing an error (`render.py`), what the server's words mean (`diagnosis.py`), catching.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Exit(IntEnum):
    """The exit codes of the `chatdb` command."""

    DONE = 0
    FOUND = 1
    USAGE = 2
    UNREACHABLE = 3
    TUNNEL = 4
    FAILED = 5
    DISAGREE = 6
    LOCKED = 7
    REFUSED = 8
    INTERNAL = 70
    INTERRUPTED = 130
    CLOSED_PIPE = 141
    TERMINATED = 143


class Code(Enum):
    """A stable name for each kind of error, with the exit code that it ends in."""

    USAGE = ("usage", Exit.USAGE)  # the command line contradicts itself, or names what is not there
    SETTINGS = ("settings", Exit.USAGE)  # a setting has a wrong value
    NOT_CONFIGURED = ("not-configured", Exit.USAGE)  # no database was named
    MISSING_SCHEMA = ("missing-schema", Exit.USAGE)
    BAD_FILE = ("bad-file", Exit.USAGE)  # a file that can't be a migration
    UNREACHABLE = ("unreachable", Exit.UNREACHABLE)  # no server answers there
    LOGIN = ("login", Exit.UNREACHABLE)  # the server refused the login
    MISSING_DATABASE = ("missing-database", Exit.UNREACHABLE)
    LOST = ("lost", Exit.UNREACHABLE)  # the connection broke during the run
    SERVER = ("server", Exit.UNREACHABLE)  # the embedded server can't be started or used
    TUNNEL = ("tunnel", Exit.TUNNEL)
    STATEMENT = ("statement", Exit.FAILED)  # a migration failed and was rolled back
    HISTORY = ("history", Exit.DISAGREE)  # files and history disagree
    LOCKED = ("locked", Exit.LOCKED)
    REFUSED = ("refused", Exit.REFUSED)
    DECLINED = ("declined", Exit.REFUSED)  # a person said no
    INTERNAL = ("internal", Exit.INTERNAL)
    INTERRUPTED = ("interrupted", Exit.INTERRUPTED)
    TERMINATED = ("terminated", Exit.TERMINATED)

    def __init__(self, slug: str, exit_code: Exit) -> None:
        self.slug = slug
        self.exit = exit_code


@dataclass(frozen=True, slots=True)
class Place:
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
