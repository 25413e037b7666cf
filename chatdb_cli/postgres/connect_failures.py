"""From the text of a failed connection to a kind of failure.

libpq gives nothing but a text; these are its own words and those of the server.  What does not belong
here: trying again (`connect.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres.sqlstates import HINTS, SETUP

if TYPE_CHECKING:
    import psycopg


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
