"""Every error and every exit code of chatdb.

    ChatdbError   what went wrong, where (file, line, column), and what to do next
    Code          a stable name for each kind of error: its exit code, its cause, the remedy

One class, because callers decide by `code` (a name for programs) and `exit` (a number for shells), not
by type.  An error contains facts alone: nothing here prints, exits, or knows a terminal.  What does not
belong here: drawing an error (`cli/render/error.py`), what PostgreSQL's messages mean (`postgres/`).
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
        means: the meaning, as in the README.
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
    LOCKED = (7, "another migrator is running, or a lock could not be acquired")
    REFUSED = (8, "refused for safety, or declined")
    INTERNAL = (70, "an internal error")
    INTERRUPTED = (130, "interrupted")
    CLOSED_PIPE = (141, "the reader closed the pipe")
    TERMINATED = (143, "terminated")

    means: str

    def __new__(cls, number: int, means: str) -> Exit:
        """Make a number with its meaning."""
        member = int.__new__(cls, number)
        member._value_ = number
        member.means = means
        return member


class Code(Enum):
    """A stable name for each kind of error, with its exit code.

    `make docs` writes docs/errors.md from these texts, for users of the command line.

    Attributes:
        slug: the name in JSON.
        exit: the exit code.
        cause: why the error occurs.
        remedy: what to do about it.
    """

    USAGE = (
        "usage",
        Exit.USAGE,
        "The command line contradicts itself, or names something that does not exist.",
        "Correct the command; `--help` after it lists its options and arguments.",
    )
    SETTINGS = (
        "settings",
        Exit.USAGE,
        "A setting has a wrong value, or a line of a .env file is not an assignment.",
        "Correct it in the place that the message names.",
    )
    NOT_CONFIGURED = (
        "not-configured",
        Exit.USAGE,
        "No database is configured, and the project has no embedded server.",
        "Set `DATABASE_URL`, or run `chatdb setup` to create a PostgreSQL server for the project.",
    )
    MISSING_SCHEMA = (
        "missing-schema",
        Exit.USAGE,
        "The schema does not exist in the database, or could not be created.",
        "Run `chatdb setup` to create it, or correct `--schema`.",
    )
    NO_EVENTS = (
        "no-events",
        Exit.USAGE,
        "The schema has no change log: it is not the chat schema, or an older version of it.",
        "Name the right schema with `--schema`, or migrate it to the newest version with "
        "`chatdb migrate up`.",
    )
    BAD_FILE = (
        "bad-file",
        Exit.USAGE,
        "A file can't be a migration: its name, its encoding, a directive, or a statement that "
        "is not allowed in a migration. Nothing ran.",
        "Correct the file at the location that is shown.",
    )
    BAD_SNAPSHOT = (
        "bad-snapshot",
        Exit.USAGE,
        "A file is not the file of a snapshot, or it was edited by hand and can't be read any more.",
        "Write it again with `chatdb migrate snapshot --output FILE`.",
    )
    UNREACHABLE = (
        "unreachable",
        Exit.UNREACHABLE,
        "No server answers at this address, or it accepts no more connections at the moment.",
        "Start the server, or correct host and port. The tables below explain each answer.",
    )
    LOGIN = (
        "login",
        Exit.UNREACHABLE,
        "The server rejected the login, or the role lacks a privilege to read what is needed.",
        "Correct user and password where they are set, or grant the role access.",
    )
    MISSING_DATABASE = (
        "missing-database",
        Exit.UNREACHABLE,
        "The server has no database of that name, or it could not be created.",
        "Run `chatdb setup` to create it, or correct the name.",
    )
    UNREADABLE = (
        "unreadable",
        Exit.UNREACHABLE,
        "The server could not read all rows of a table: a damaged page, a foreign server that does not "
        "answer, a view that fails. Nothing was changed.",
        "Correct what the message names, or name the other tables.",
    )
    LOST = (
        "lost",
        Exit.UNREACHABLE,
        "The connection broke during the run, or the server did not confirm the last commit.",
        "Run the same command again: it continues after the last applied migration. "
        "`chatdb migrate status` shows which one that is.",
    )
    STANDBY = (
        "standby",
        Exit.UNREACHABLE,
        "The change log can be read on the primary only, and this server is a standby.",
        "Connect to the primary; with several hosts, `target_session_attrs=primary` finds it.",
    )
    SERVER = (
        "server",
        Exit.UNREACHABLE,
        "The embedded PostgreSQL of the project can't be created, started or used.",
        "Follow the hint, or set `DATABASE_URL` to use another PostgreSQL.",
    )
    TUNNEL = (
        "tunnel",
        Exit.TUNNEL,
        "The SSH tunnel can't be opened as configured: `~/.ssh/config`, the local port, or a "
        "database that is named by a socket.",
        "Correct what the message names.",
    )
    TUNNEL_NAME = (
        "tunnel-name",
        Exit.TUNNEL,
        "The name of a host on the route of the tunnel can't be resolved.",
        "Correct `SSH_HOST`, or HostName and ProxyJump in `~/.ssh/config`.",
    )
    TUNNEL_REFUSED = (
        "tunnel-refused",
        Exit.TUNNEL,
        "A host on the route is up, but nothing listens on its SSH port.",
        "Correct `SSH_PORT`, or start its SSH server.",
    )
    TUNNEL_TIMEOUT = (
        "tunnel-timeout",
        Exit.TUNNEL,
        "A host on the route does not answer, or its SSH server does not.",
        "Check the host, the network and the firewall, or set a longer `CHATDB_CONNECT_TIMEOUT`.",
    )
    TUNNEL_UNREACHABLE = (
        "tunnel-unreachable",
        Exit.TUNNEL,
        "The network has no route to a host of the tunnel.",
        "Check the network, the VPN and the firewall.",
    )
    TUNNEL_CLOSED = (
        "tunnel-closed",
        Exit.TUNNEL,
        "A host on the route closed the connection before the login.",
        "Try again; if this persists, the server is rejecting connections from this host "
        "(MaxStartups, a firewall, a ban).",
    )
    TUNNEL_PROTOCOL = (
        "tunnel-protocol",
        Exit.TUNNEL,
        "The port belongs to something other than an SSH server, or to one that supports only "
        "outdated algorithms.",
        "Correct `SSH_PORT`, or upgrade the SSH server.",
    )
    HOST_KEY_UNKNOWN = (
        "host-key-unknown",
        Exit.TUNNEL,
        "A host on the route presented a key that is in no known_hosts file, so its identity is not "
        "known. Nothing was sent to it.",
        "Compare the fingerprint with what its administrator says, and add the line that is shown.",
    )
    HOST_KEY_CHANGED = (
        "host-key-changed",
        Exit.TUNNEL,
        "A host on the route presented another key than known_hosts has for it: it was reinstalled, "
        "or somebody intercepts the connection. Nothing was sent to it.",
        "Ask its administrator. Replace the line of known_hosts only if the change is intended.",
    )
    HOST_KEY_REVOKED = (
        "host-key-revoked",
        Exit.TUNNEL,
        "A host on the route presented a key that known_hosts marks as `@revoked`. Nothing was sent to "
        "it.",
        "Ask its administrator; the key was stolen or retired.",
    )
    TUNNEL_LOGIN = (
        "tunnel-login",
        Exit.TUNNEL,
        "A host on the route accepts none of these keys for this user.",
        "Set `SSH_KEY_PATH` to the right key and `SSH_USER` to the right user; the public key must be "
        "in that user's `authorized_keys`.",
    )
    KEY_MISSING = (
        "key-missing",
        Exit.TUNNEL,
        "The file of the SSH key does not exist.",
        "Correct `SSH_KEY_PATH`, or IdentityFile in `~/.ssh/config`.",
    )
    KEY_UNREADABLE = (
        "key-unreadable",
        Exit.TUNNEL,
        "The file of the SSH key can't be read, or is not a regular file.",
        "Correct `SSH_KEY_PATH`, or the file's owner and mode.",
    )
    KEY_TOO_OPEN = (
        "key-too-open",
        Exit.TUNNEL,
        "Others can read or write the file of the SSH key.",
        "Run `chmod 600` on it; replace a key that others could read.",
    )
    KEY_LOCKED = (
        "key-locked",
        Exit.TUNNEL,
        "The SSH key has a passphrase, and none was given, or a wrong one.",
        "Set `SSH_KEY_PASSPHRASE`, or run the command on a terminal and type the passphrase.",
    )
    KEY_INVALID = (
        "key-invalid",
        Exit.TUNNEL,
        "The file is not a private key of a supported type: Ed25519, ECDSA or RSA.",
        "Name the private key; its name does not end in `.pub`.",
    )
    AGENT_SILENT = (
        "agent-silent",
        Exit.TUNNEL,
        "The ssh-agent that `SSH_AUTH_SOCK` names did not answer in time.",
        "Restart the agent, or set `SSH_AGENT=false` and name a key with `SSH_KEY_PATH`.",
    )
    TUNNEL_FORBIDDEN = (
        "tunnel-forbidden",
        Exit.TUNNEL,
        "The bastion accepted the login, but does not allow forwarding to the database.",
        "Ask its administrator to allow it: AllowTcpForwarding, PermitOpen, or the options in "
        "`authorized_keys`.",
    )
    TUNNEL_LOST = (
        "tunnel-lost",
        Exit.TUNNEL,
        "The tunnel broke during the run. The server rolls back the open transaction.",
        "Run the same command again: it continues after the last applied migration.",
    )
    BEHIND_NAME = (
        "behind-name",
        Exit.UNREACHABLE,
        "The tunnel is open, but the bastion can't resolve the name of the database's host.",
        "Use the name that the host has on the bastion; `localhost` is the bastion itself.",
    )
    BEHIND_REFUSED = (
        "behind-refused",
        Exit.UNREACHABLE,
        "The tunnel is open, but the bastion can't connect to the database.",
        "Correct host and port, as seen from the bastion, or start the server.",
    )
    BEHIND_SILENT = (
        "behind-silent",
        Exit.UNREACHABLE,
        "The tunnel is open, but the bastion gets no answer from the database's host.",
        "Check host, port and the firewall between the two.",
    )
    STATEMENT = (
        "statement",
        Exit.FAILED,
        "A statement of a migration failed, and its whole file was rolled back; a file without a "
        "transaction stopped at that statement. Earlier migrations stay applied. A seed is rolled "
        "back as a whole.",
        "Correct the file at the location that is shown, and run the command again. See the table of "
        "SQLSTATEs.",
    )
    HISTORY = (
        "history",
        Exit.DISAGREE,
        "Files and history disagree, or the history can't be read.",
        "`chatdb migrate status` lists every problem, each with its remedy.",
    )
    HIDDEN_HISTORY = (
        "hidden-history",
        Exit.FAILED,
        "Row-level security hides rows of the history from the role, so it can't be told what is "
        "applied. Nothing was changed.",
        "Connect as the owner of the history or as a role with BYPASSRLS, or turn row-level security "
        "off for its tables.",
    )
    RESYNCHRONISE = (
        "resynchronise",
        Exit.DISAGREE,
        "A cursor of the change log is no longer valid: the events after it were purged, or the "
        "database was restored, copied or reset since.",
        "Start without a cursor and reload the data that you show; or run `chatdb listen --resync`, "
        "which reports this in its output and continues from now.",
    )
    LOCKED = (
        "locked",
        Exit.LOCKED,
        "Another migrator is running on this target; or, after all retries, another session still "
        "holds a lock on an object that a migration changes.",
        "Run it again when the other has finished, or wait longer with `--wait` or `--lock-timeout`.",
    )
    REFUSED = (
        "refused",
        Exit.REFUSED,
        "It could delete data, or can't be rolled back, and was not confirmed.",
        "The hint names the flag that confirms it, or an alternative.",
    )
    NO_SCRATCH = (
        "no-scratch",
        Exit.REFUSED,
        "There is no server on which a scratch database may be created: the target's server is on "
        "another machine or does not allow it, and the project has no embedded server of the same major "
        "version. Or the server can't create one with the encoding and the locale of the target.",
        "Name a server for it with `CHATDB_SCRATCH_URL` or `--scratch-url`, grant CREATEDB on a server "
        "of this machine, or create the embedded server with `chatdb server start`.",
    )
    DECLINED = (
        "declined",
        Exit.REFUSED,
        "The confirmation was declined. Nothing was changed.",
        "Run it again and type the name that is asked for, or add `--yes`.",
    )
    INTERNAL = (
        "internal",
        Exit.INTERNAL,
        "A bug in chatdb; or the result could not be written.",
        "Run it again with `CHATDB_DEBUG=1`, and report what it prints.",
    )
    INTERRUPTED = (
        "interrupted",
        Exit.INTERRUPTED,
        "Ctrl-C. Earlier migrations stay applied; the current one was rolled back.",
        "Run the same command again to continue.",
    )
    TERMINATED = (
        "terminated",
        Exit.TERMINATED,
        "SIGTERM. Earlier migrations stay applied; the current one was rolled back.",
        "Run the same command again to continue.",
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
            TypeError: an error has no such attribute.
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
    """SIGTERM, which the command line handles like Ctrl-C."""
