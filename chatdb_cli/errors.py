"""Every error and every exit code of chatdb.

    ChatdbError   what went wrong, where (file, line, column), and what to do next
    Code          a stable name for each kind of error: its exit code, its cause, the remedy

One class, because callers decide by `code` (a name for programs) and `exit` (a name for shells), not
by type.  An error only carries facts: nothing here prints, exits, or knows a terminal.  What does not
belong here: drawing an error (`render.py`), what the server's words mean (`diagnosis.py`), catching.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import TYPE_CHECKING, NamedTuple, TypedDict

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self, Unpack


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
        "The SSH tunnel can't be set up as it is configured: `~/.ssh/config`, the local port, or a "
        "database that is named by a socket.",
        "Correct what the message names.",
    )
    TUNNEL_NAME = (
        "tunnel-name",
        Exit.TUNNEL,
        "The name of a host on the way through the tunnel is not known.",
        "Correct `SSH_HOST`, or HostName and ProxyJump in `~/.ssh/config`.",
    )
    TUNNEL_REFUSED = (
        "tunnel-refused",
        Exit.TUNNEL,
        "A host on the way is there, and nothing listens on its SSH port.",
        "Correct `SSH_PORT`, or start its SSH server.",
    )
    TUNNEL_TIMEOUT = (
        "tunnel-timeout",
        Exit.TUNNEL,
        "A host on the way does not answer, or its SSH server does not.",
        "Look at host, network and firewall; or wait longer with `CHATDB_CONNECT_TIMEOUT`.",
    )
    TUNNEL_UNREACHABLE = (
        "tunnel-unreachable",
        Exit.TUNNEL,
        "There is no way through the network to a host of the tunnel.",
        "Look at the network, a VPN, a firewall.",
    )
    TUNNEL_CLOSED = (
        "tunnel-closed",
        Exit.TUNNEL,
        "A host on the way closed the connection before anybody could log in.",
        "Try again; if it stays so, the host lets nobody in from here (MaxStartups, a firewall, a ban).",
    )
    TUNNEL_PROTOCOL = (
        "tunnel-protocol",
        Exit.TUNNEL,
        "What answers on that port speaks no SSH, or only with algorithms that are not safe any more.",
        "Correct `SSH_PORT`, or bring the SSH server up to date.",
    )
    HOST_KEY_UNKNOWN = (
        "host-key-unknown",
        Exit.TUNNEL,
        "A host on the way showed a key that stands in no known_hosts file, so it could be anybody. "
        "Nothing was sent to it.",
        "Compare the fingerprint with what its administrator says, and add the line that is shown.",
    )
    HOST_KEY_CHANGED = (
        "host-key-changed",
        Exit.TUNNEL,
        "A host on the way showed another key than known_hosts has for it: it was set up anew, or "
        "somebody listens in between. Nothing was sent to it.",
        "Ask its administrator. Only if the change is meant, replace the line of known_hosts.",
    )
    HOST_KEY_REVOKED = (
        "host-key-revoked",
        Exit.TUNNEL,
        "A host on the way showed a key that known_hosts marks as `@revoked`. Nothing was sent to it.",
        "Ask its administrator; that key is known to be stolen or out of use.",
    )
    TUNNEL_LOGIN = (
        "tunnel-login",
        Exit.TUNNEL,
        "A host on the way lets this user in with none of these keys.",
        "Name the right key by `SSH_KEY_PATH` and the right user by `SSH_USER`; the public key has to "
        "stand in that user's `authorized_keys`.",
    )
    KEY_MISSING = (
        "key-missing",
        Exit.TUNNEL,
        "The file of the SSH key is not there.",
        "Correct `SSH_KEY_PATH`, or IdentityFile in `~/.ssh/config`.",
    )
    KEY_UNREADABLE = (
        "key-unreadable",
        Exit.TUNNEL,
        "The file of the SSH key may not be read, or is no file.",
        "Correct `SSH_KEY_PATH`, or the file's owner and mode.",
    )
    KEY_TOO_OPEN = (
        "key-too-open",
        Exit.TUNNEL,
        "Others can read or write the file of the SSH key.",
        "`chmod 600` closes it; a key that others could read should be replaced.",
    )
    KEY_LOCKED = (
        "key-locked",
        Exit.TUNNEL,
        "The SSH key has a passphrase, and the one that was given is another, or none was.",
        "Set `SSH_KEY_PASSPHRASE`, or run it on a terminal and type it.",
    )
    KEY_INVALID = (
        "key-invalid",
        Exit.TUNNEL,
        "The file is no private key of a kind that can be used: Ed25519, ECDSA or RSA.",
        "Name the private key; its name has no `.pub` at the end.",
    )
    TUNNEL_FORBIDDEN = (
        "tunnel-forbidden",
        Exit.TUNNEL,
        "The bastion let the user in, and forwards nothing to that place.",
        "Let its administrator allow it: AllowTcpForwarding, PermitOpen, or the options in "
        "`authorized_keys`.",
    )
    TUNNEL_LOST = (
        "tunnel-lost",
        Exit.TUNNEL,
        "The tunnel broke during the run. The server rolls back what was open.",
        "Run the same command again: it goes on where the history stands.",
    )
    BEHIND_NAME = (
        "behind-name",
        Exit.UNREACHABLE,
        "The tunnel is open, and the bastion does not know the name of the database's host.",
        "Name the host as it is called on the bastion; `localhost` is the bastion itself.",
    )
    BEHIND_REFUSED = (
        "behind-refused",
        Exit.UNREACHABLE,
        "The tunnel is open, and the bastion can't connect to the database.",
        "Correct host and port, as seen from the bastion, or start the server.",
    )
    BEHIND_SILENT = (
        "behind-silent",
        Exit.UNREACHABLE,
        "The tunnel is open, and the bastion gets no answer from the database's host.",
        "Look at host, port and the firewall between the two.",
    )
    STATEMENT = (
        "statement",
        Exit.FAILED,
        "A statement of a migration failed, and its whole file was rolled back; a file without a "
        "transaction stopped at that statement. What was applied before stays. Of a seed nothing does.",
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


class Location(NamedTuple):
    """A location in a file, or in the source of a function.

    Attributes:
        file: the file, as the user named it; `Path()` where the text is in no file.
        line: counted from 1, or None when only the file is known.
        column: in characters, counted from 1, or None when only the line is known.
        excerpt: the lines to show, as (line number, text without its line end).
    """

    file: Path
    line: int | None = None
    column: int | None = None
    excerpt: tuple[tuple[int, str], ...] = ()


class Facts(TypedDict, total=False):
    """The facts of an error; `ChatdbError` documents each of them."""

    code: Code
    message: str
    hint: str | None
    place: Location | None
    inner: Location | None
    sqlstate: str | None
    errno: str | None
    notes: tuple[str, ...]


class ChatdbError(Exception):
    """What went wrong, where, and what to do next.

    An error is complete when it is raised; `with_` returns a copy with other facts.

    Args:
        code: the kind of error; it decides the exit code.
        message: one sentence in lower case, without a full stop; it never contains a secret.
        hint: what to do next.
        place: the location in a file.
        inner: the location in the statement of a function that failed; its call stack is the note
            that starts with `IN_FUNCTION`.
        sqlstate: PostgreSQL's five-character code, if the server reported the error.
        errno: the name of an operating-system error (`ECONNREFUSED`, `ENOENT`), if there is one.
        notes: further facts, each on a line of its own (the server's detail, what stays applied).
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        hint: str | None = None,
        place: Location | None = None,
        inner: Location | None = None,
        sqlstate: str | None = None,
        errno: str | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.place = place
        self.inner = inner
        self.sqlstate = sqlstate
        self.errno = errno
        self.notes = notes

    @property
    def exit(self) -> Exit:
        """The exit code of this error."""
        return self.code.exit

    def with_(self, **changes: Unpack[Facts]) -> Self:
        """Return a copy of the same type with some facts changed.

        Args:
            changes: the facts that differ, by name.

        Raises:
            TypeError: there is no fact of that name.
        """
        if unknown := changes.keys() - Facts.__annotations__.keys():
            raise TypeError(f"an error has no {', '.join(sorted(unknown))}")
        copy = type(self).__new__(type(self))
        copy.__dict__ |= self.__dict__ | changes
        copy.args = (copy.message,)
        copy.__cause__, copy.__suppress_context__ = self.__cause__, self.__suppress_context__
        return copy.with_traceback(self.__traceback__)


# The first line of the note that has the call stack of `ChatdbError.inner`.
IN_FUNCTION = "in function:"


def errno_name(error: OSError) -> str | None:
    """Return the name of an operating-system error, such as `ENOENT`, or None if it has none."""
    import errno

    return errno.errorcode.get(error.errno or 0)


class Terminated(KeyboardInterrupt):
    """SIGTERM, handled as Ctrl-C; the command line raises it."""
