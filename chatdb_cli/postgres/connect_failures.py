"""What each failure to connect means.

libpq reports a failed connection only as text.  Its own words are English; those of the server are in
the language of its `lc_messages`: if they are not known, the server is asked for the SQLSTATE
(`connect_code.py`).  What does not belong here: retrying (`connect.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from psycopg import errors

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres.connect_code import ACCEPTED, no_sqlstate
from chatdb_cli.postgres.hints import HINTS, SETUP
from chatdb_cli.postgres.sqlstates import INSUFFICIENT_PRIVILEGE, UNDEFINED_DATABASE, sqlstate_of
from chatdb_cli.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

_CANNOT_CONNECT_NOW = sqlstate_of(errors.CannotConnectNow)
_INVALID_AUTHORIZATION = sqlstate_of(errors.InvalidAuthorizationSpecification)
_INVALID_PASSWORD = sqlstate_of(errors.InvalidPassword)
_TOO_MANY_CONNECTIONS = sqlstate_of(errors.TooManyConnections)


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
_WANTS_TLS = (
    "the server wants TLS: set sslmode=require, or verify-full to also check which server answers"
)
_NO_PRIMARY = (
    "none of the hosts is what target_session_attrs asks for: correct the hosts, or that parameter"
)
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
    Failure(Code.UNREACHABLE, "certificate verify failed",
            "the server's certificate can't be verified: name the file of the authority that signed "
            "it with sslrootcert=FILE, or use the system's with sslrootcert=system"),
    Failure(Code.UNREACHABLE, "root certificate file",
            "name the file of the authority that signed the server's certificate with "
            "sslrootcert=FILE, or use the system's with sslrootcert=system"),
    Failure(Code.UNREACHABLE, "does not match host name",
            "use the host's name that is in the server's certificate (hostaddr can have its address), "
            "or check only who signed it with sslmode=verify-ca"),
    Failure(Code.UNREACHABLE, "server does not support ssl",
            "turn on ssl in the server's postgresql.conf; or set sslmode=disable, if the network "
            "between you and the server is trusted"),
    Failure(Code.LOGIN, "valid client certificate",
            "the server wants a certificate of the client: name it with sslcert=FILE and sslkey=FILE",
            _INVALID_AUTHORIZATION),
    Failure(Code.UNREACHABLE, "ssl error", "check sslmode, sslrootcert, sslcert and sslkey"),
    Failure(Code.UNREACHABLE, "session is read-only", _NO_PRIMARY, transient=True),
    Failure(Code.UNREACHABLE, "session is not read-only", _NO_PRIMARY, transient=True),
    Failure(Code.UNREACHABLE, "in hot standby mode", _NO_PRIMARY, transient=True),
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
    Failure(Code.LOGIN, "no encryption", _WANTS_TLS, _INVALID_AUTHORIZATION),
    Failure(Code.LOGIN, "ssl off", _WANTS_TLS, _INVALID_AUTHORIZATION),
    Failure(Code.LOGIN, "no pg_hba.conf entry", "the server's pg_hba.conf does not allow this "
            "connection: add an entry, or connect in another way", _INVALID_AUTHORIZATION),
    Failure(Code.LOGIN, "pg_hba.conf rejects", "a line of the server's pg_hba.conf rejects this "
            "connection: change it, or connect from another address or as another role",
            _INVALID_AUTHORIZATION),
    Failure(Code.LOGIN, "is not permitted to log in", "name a role that may log in",
            _INVALID_AUTHORIZATION),
    Failure(Code.LOGIN, "permission denied for database", "GRANT CONNECT ON DATABASE to the role",
            INSUFFICIENT_PRIVILEGE),
)  # fmt: skip

_MISSING_DATABASE = Failure(Code.MISSING_DATABASE, "", SETUP, UNDEFINED_DATABASE)
_MISSING_ROLE = Failure(Code.LOGIN, "", "name a role that exists", _INVALID_AUTHORIZATION)
_REFUSED_LOGIN = Failure(
    Code.LOGIN, "",
    "name a role that exists and that pg_hba.conf allows to connect; if the server wants TLS, set "
    "sslmode=require",
    _INVALID_AUTHORIZATION,
)  # fmt: skip
_UNKNOWN = Failure(Code.UNREACHABLE, "", "check the settings of the connection")
_PASSED = Failure(
    Code.UNREACHABLE, "", "try again: the server accepts connections now", transient=True
)
# What each SQLSTATE means, where the server's words are not known.
_BY_SQLSTATE = {
    **{f.sqlstate: f for f in reversed(FAILURES) if f.sqlstate},
    UNDEFINED_DATABASE: _MISSING_DATABASE,
    _INVALID_AUTHORIZATION: _REFUSED_LOGIN,
}
# psycopg lists the failure of each address after this line.
_SEVERAL = "Multiple connection attempts failed. All failures were:"
_ATTEMPT = re.compile(r"^- host: '(?P<host>.*?)', port: '(?P<port>.*?)', hostaddr: .*?: (?=\w)")


def connection_failure(
    error: psycopg.Error, where: str, ask_sqlstate: Callable[[], str | None] = no_sqlstate
) -> tuple[ChatdbError, bool]:
    """Return the error of a failed connection, and whether it may be temporary.

    Args:
        error: psycopg's exception.
        where: the target, for the message.
        ask_sqlstate: returns the SQLSTATE with which the server refuses the connection, or None;
            called if its words are not known.
    """
    attempts = _attempts(str(error).strip())
    found = [(_by_words(text), text) for text in attempts]
    # The answer of a server is more useful than an address where there is none.
    failure, text = next((f for f in found if f[0] and f[0].sqlstate), found[0])
    unknown = next((t for f, t in found if f is None and _is_answer(t)), None)
    if failure is None or (unknown and not failure.sqlstate):
        sqlstate = ask_sqlstate()
        failure, text = _by_sqlstate(sqlstate), unknown or text
    transient = failure.transient
    if failure.hint == _NO_PRIMARY:  # a host that does not answer may be the one
        transient = any(f.transient for f, _ in found if f)
    failed = _connection_error(failure, text, where)
    if len(attempts) > 1:
        failed = failed.with_(notes=tuple(redact(_reason(text)) for text in attempts))
    return failed, transient


def _attempts(text: str) -> list[str]:
    """Return what happened at each address that was tried."""
    if _SEVERAL not in text:
        return [text]
    attempts: list[str] = []
    for line in text.partition(_SEVERAL)[2].strip().splitlines():
        if match := _ATTEMPT.match(line):
            attempts.append(line[match.end() :])
        elif attempts:
            attempts[-1] += f"\n{line}"
    return attempts or [text]


def _is_answer(text: str) -> bool:
    """Return whether a server answered: only its messages have a severity and two spaces."""
    return re.search(r"failed: \S+:  ", text) is not None


def _by_words(text: str) -> Failure | None:
    low = text.lower()
    if "fatal:" in low and "does not exist" in low:
        return _MISSING_DATABASE if 'database "' in low else _MISSING_ROLE
    fatal = low[low.index("fatal:") :] if "fatal:" in low else low
    return next((f for f in FAILURES if f.sign in fatal), None)


def _by_sqlstate(sqlstate: str | None) -> Failure:
    """Return what a SQLSTATE means; without one, and for any other, nothing is known."""
    if sqlstate == ACCEPTED:
        return _PASSED
    return _BY_SQLSTATE.get(sqlstate or "", _UNKNOWN._replace(sqlstate=sqlstate))


def _connection_error(failure: Failure, text: str, where: str) -> ChatdbError:
    return ChatdbError(
        failure.code,
        f"can't connect to {where}: {redact(_reason(text))}",
        hint=failure.hint,
        sqlstate=failure.sqlstate,
        errno=failure.errno,
    )


def _reason(text: str) -> str:
    """Return the line of a message that tells most: the server's, else the first."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no reason given"]
    reason = next((line.lstrip("- ") for line in lines if "FATAL:" in line), lines[0])
    for lead in ("connection failed: ", "connection is bad: "):
        reason = reason.removeprefix(lead)
    return reason
