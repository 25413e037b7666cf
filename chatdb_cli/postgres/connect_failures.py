"""What each failure to connect means, told by the message of libpq or of the server.

libpq reports a failed connection only as text.  What does not belong here: retrying (`connect.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from psycopg import errors

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres.hints import HINTS, SETUP
from chatdb_cli.postgres.sqlstates import INSUFFICIENT_PRIVILEGE, sqlstate_of
from chatdb_cli.redaction import redact

if TYPE_CHECKING:
    import psycopg

_CANNOT_CONNECT_NOW = sqlstate_of(errors.CannotConnectNow)
_INVALID_AUTHORIZATION = sqlstate_of(errors.InvalidAuthorizationSpecification)
_INVALID_PASSWORD = sqlstate_of(errors.InvalidPassword)
_TOO_MANY_CONNECTIONS = sqlstate_of(errors.TooManyConnections)
_UNDEFINED_DATABASE = sqlstate_of(errors.InvalidCatalogName)


class Failure(NamedTuple):
    """A kind of failed connection.

    Attributes:
        code: the kind of error.
        sign: a part of the message of libpq or of the server, in lower case.
        hint: what to do about it.
        sqlstate: the server's SQLSTATE, which libpq does not report.
        errno: the operating system's name of the error.
        transient: the failure may be temporary: retry.
    """

    code: Code
    sign: str
    hint: str
    sqlstate: str | None = None
    errno: str | None = None
    transient: bool = False


_TOO_LONG = "check host, port and firewall, or wait longer with CHATDB_CONNECT_TIMEOUT"
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
            "this operating-system user may not open the socket: run it as another user, or correct "
            "the host",
            errno="EACCES"),
    Failure(Code.UNREACHABLE, "no route to host", "check host and network", errno="EHOSTUNREACH"),
    Failure(Code.UNREACHABLE, "network is unreachable", "check the network", errno="ENETUNREACH"),
    Failure(Code.UNREACHABLE, "the database system is", HINTS[_CANNOT_CONNECT_NOW],
            _CANNOT_CONNECT_NOW, transient=True),
    Failure(Code.UNREACHABLE, "too many", HINTS[_TOO_MANY_CONNECTIONS],
            _TOO_MANY_CONNECTIONS, transient=True),
    Failure(Code.UNREACHABLE, "remaining connection slots", HINTS[_TOO_MANY_CONNECTIONS],
            _TOO_MANY_CONNECTIONS, transient=True),
    Failure(Code.UNREACHABLE, "server closed the connection", "try again; look at the server's log",
            transient=True),
    Failure(Code.LOGIN, "password authentication failed", HINTS[_INVALID_PASSWORD],
            _INVALID_PASSWORD),
    Failure(Code.LOGIN, "no password supplied", "give a password, or an entry in ~/.pgpass",
            _INVALID_PASSWORD),
    Failure(Code.LOGIN, "authentication failed", "log in as a role that pg_hba.conf allows",
            _INVALID_AUTHORIZATION),
    Failure(Code.LOGIN, "no pg_hba.conf entry", "the server's pg_hba.conf does not allow this "
            "connection: add an entry, or connect in another way", _INVALID_AUTHORIZATION),
    Failure(Code.LOGIN, "is not permitted to log in", "name a role that may log in",
            _INVALID_AUTHORIZATION),
    Failure(Code.LOGIN, "permission denied for database", "GRANT CONNECT ON DATABASE to the role",
            INSUFFICIENT_PRIVILEGE),
)  # fmt: skip


def connection_failure(error: psycopg.Error, where: str) -> tuple[ChatdbError, bool]:
    """Return the error of a failed connection, and whether it may be temporary.

    Args:
        error: psycopg's exception.
        where: the target, for the message.
    """
    text = str(error).strip()
    low = text.lower()
    if "fatal:" in low and "does not exist" in low:
        failure = _MISSING_DATABASE if 'database "' in low else _MISSING_ROLE
    else:
        fatal = low[low.index("fatal:") :] if "fatal:" in low else low
        failure = next((f for f in FAILURES if f.sign in fatal), _UNKNOWN)
    return _connection_error(failure, text, where), failure.transient


_MISSING_DATABASE = Failure(Code.MISSING_DATABASE, "", SETUP, _UNDEFINED_DATABASE)
_MISSING_ROLE = Failure(Code.LOGIN, "", "name a role that exists", _INVALID_AUTHORIZATION)
_UNKNOWN = Failure(Code.UNREACHABLE, "", "check the settings of the connection")


def _connection_error(failure: Failure, text: str, where: str) -> ChatdbError:
    # Of several addresses that were tried, the message of the one that answered is the most useful.
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no reason given"]
    reason = next((line.lstrip("- ") for line in lines if "FATAL:" in line), lines[0])
    for lead in ("connection failed: ", "connection is bad: "):
        reason = reason.removeprefix(lead)
    return ChatdbError(
        failure.code,
        f"can't connect to {where}: {redact(reason)}",
        hint=failure.hint,
        sqlstate=failure.sqlstate,
        errno=failure.errno,
    )
