"""The Unix socket of the embedded server: its name, whether a path is short enough, connecting to it.

What does not belong here: the directory that holds the socket (`home.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from chatdb_cli.embedded.failures import server_failure

if TYPE_CHECKING:
    from pathlib import Path

PORT = "5432"
SOCKET_NAME = f".s.PGSQL.{PORT}"
SUPERUSER = "postgres"
_LONGEST_PATH = 103  # bytes; the limit of macOS, the lowest of the supported systems
# Keywords that override the PG* variables of the environment.  The last ones came with libpq 16 to 18.
_OVERRIDES = {
    "hostaddr": "",
    "options": "",
    "sslmode": "disable",
    "sslrootcert": "",  # "system" forbids sslmode=disable
    "gssencmode": "disable",
    "channel_binding": "prefer",
    "requirepeer": "",
    "target_session_attrs": "any",
    "client_encoding": "UTF8",
    "require_auth": "",
    "load_balance_hosts": "disable",
    "sslcertmode": "disable",
    "sslnegotiation": "postgres",
    "min_protocol_version": "3.0",
    "max_protocol_version": "3.0",
}

Answer = Literal["OK", "REJECT", "NO_RESPONSE"]


def fits_socket(directory: Path) -> bool:
    """Return whether libpq can connect to a socket in a directory."""
    try:
        path = str(directory / SOCKET_NAME).encode()
    except UnicodeEncodeError:  # psycopg accepts UTF-8 only
        return False
    return len(path) <= _LONGEST_PATH and b"," not in path  # a comma separates hosts


def connection_keywords(directory: Path, database: str) -> dict[str, str]:
    """Return libpq's keywords for a connection, which override all PG* variables but PGSERVICE.

    No keyword overrides PGSERVICE, so this removes it from the environment of the process.

    Args:
        directory: the directory of the socket.
        database: the name of the database.
    """
    from psycopg import pq

    from chatdb_cli.settings.libpq import forget_service

    forget_service()
    supported = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    place = {"host": str(directory), "port": PORT, "user": SUPERUSER, "dbname": database}
    return place | {word: value for word, value in _OVERRIDES.items() if word in supported}


def ping(directory: Path) -> Answer:
    """Ask whether a server answers on its socket.

    Args:
        directory: the directory of the socket.

    Returns:
        OK, REJECT while the server is starting or stopping, or NO_RESPONSE.

    Raises:
        ChatdbError: SERVER, libpq can't be asked because of a variable of the environment.
    """
    if not (directory / SOCKET_NAME).exists():
        return "NO_RESPONSE"  # without importing psycopg, which is slow
    from psycopg import pq
    from psycopg.conninfo import make_conninfo

    conninfo = make_conninfo("", **connection_keywords(directory, "postgres"), connect_timeout="5")
    answer = pq.PGconn.ping(conninfo.encode())
    if answer == pq.Ping.NO_ATTEMPT:
        raise server_failure(
            "libpq refuses to connect because of an environment variable",
            "unset PGSERVICE and the other PG* variables",
        )
    name: Answer = pq.Ping(answer).name  # type: ignore[assignment]
    return name
