"""A connection, or a pool of them, to a target.

    Target    a database and a schema of it: what is written to, and how it was named

What belongs here: from settings to a target, opening, retrying what passes, refusing what is not safe.
What does not: which database was meant (`settings.py`), the embedded server itself (`server.py`), SQL
of the user.
"""

from __future__ import annotations

import ipaddress
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chatdb_cli import queries
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.log import correlation_id
from chatdb_cli.settings import libpq_defaults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import psycopg
    from psycopg_pool import ConnectionPool

    from chatdb_cli.settings import Settings

EMBEDDED_DATABASE = "chat"
_SAFE_SSL = ("require", "verify-ca", "verify-full")


@dataclass(frozen=True, slots=True)
class Target:
    """A database and a schema of it.

    Attributes:
        host: as it was named; None for the default socket.
        port: likewise.
        database: its name.
        user: who logs in.
        schema: holds the objects and their history.
        via: the bastion, or None.
        source: what named it.
        params: libpq keywords, with the password.
        settings: all else.
    """

    host: str | None
    port: int | None
    database: str
    user: str
    schema: str
    via: str | None
    source: str
    params: Mapping[str, str] = field(repr=False)
    settings: Settings = field(repr=False)

    @property
    def application(self) -> str:
        """The name under which this run's sessions stand in pg_stat_activity."""
        return self.params["application_name"]

    @property
    def where(self) -> str:
        """The target without its schema: `app@db.example:5432/chat`."""
        if self.host is None or self.host.startswith(("/", "@")):
            return f"{self.user}@[{self.host or 'local socket'}]/{self.database}"
        port = f":{self.port}" if self.port else ""
        return f"{self.user}@{self.host}{port}/{self.database}"

    def __str__(self) -> str:
        via = f", via {self.via}" if self.via else ""
        return f"{self.where}, schema {self.schema}{via} ({self.source})"


def _nothing(_: str) -> None:
    pass


def open_target(settings: Settings, tell: Callable[[str], None] = _nothing) -> Target:
    """Return the target that the settings name, with the embedded server running if it is that one.

    Args:
        settings: what was read.
        tell: called with a line when the embedded server had to be started.

    Raises:
        ChatdbError: `NOT_CONFIGURED`, `SERVER`, `TUNNEL`, or `REFUSED` for an unprotected production.
    """
    from chatdb_cli.settings import require_database

    database = require_database(settings)
    if database.embedded:
        from chatdb_cli.server import EmbeddedServer

        server = EmbeddedServer(settings.home, programs=settings.postgres_programs)
        if server.start():
            tell(f"started the embedded PostgreSQL in {settings.home}")
        params = server.params(EMBEDDED_DATABASE)
    else:
        if settings.ssh_host:
            raise ChatdbError(
                Code.TUNNEL,
                f"SSH_HOST names {settings.ssh_host}, and this version of chatdb opens no tunnel",
                hint="open one with 'ssh -L', point the settings at its local end, "
                "and set SSH_ENABLED=false",
            )
        params = dict(database.params)
    return _target(settings, params, database.source)


def _target(settings: Settings, given: Mapping[str, str], source: str) -> Target:
    params = {"connect_timeout": str(max(2, -(-settings.connect_timeout_ms // 1000))), **given}
    if service := params.pop("service", None):
        # What the service file says, word for word, so that the target is known before it is used.
        params = {**libpq_defaults(service), **params}
    # With the id of this run behind it, by which its session is found, and its lines in the log.
    name = params.get("application_name") or "chatdb"
    params["application_name"] = f"{name.encode()[:54].decode(errors='ignore')} {correlation_id}"
    params["client_encoding"] = "UTF8"
    # An empty keyword is a pin: it keeps a PG* variable from bending the target elsewhere.
    shown = {**libpq_defaults(), **params}
    user = shown.get("user", "")
    port = shown.get("port", "").split(",")[0]
    host = shown.get("host") or shown.get("hostaddr") or None
    target = Target(
        host=host,
        port=int(port) if port.isdecimal() else None,
        database=shown.get("dbname") or user,
        user=user,
        schema=settings.schema,
        via=None,
        source=source,
        params=params,
        settings=settings,
    )
    if settings.environment == "production" and not settings.insecure:
        address = shown.get("hostaddr") or host or ""
        _refuse_unprotected(target, address.split(","), shown.get("sslmode") or "prefer")
    return target


def _refuse_unprotected(target: Target, hosts: list[str], sslmode: str) -> None:
    if sslmode in _SAFE_SSL or all(_is_local(host) for host in hosts):
        return
    raise ChatdbError(
        Code.REFUSED,
        f"in production the connection to {target.where} would not be protected "
        f"(sslmode is {sslmode}, and there is no tunnel)",
        hint="set sslmode=verify-full, or go ahead with --insecure",
    )


def _is_local(host: str) -> bool:
    if not host or host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def connect(
    target: Target,
    tell: Callable[[str], None] = _nothing,
    *,
    retries: int | None = None,
    **instead: str,
) -> psycopg.Connection[Any]:
    """Open a connection in autocommit mode; what passes by itself is tried again.

    Args:
        target: where to.
        tell: called with a line before each new try.
        retries: how often, in place of the settings' own.
        instead: libpq keywords in place of the target's, such as another `dbname`.

    Raises:
        ChatdbError: `UNREACHABLE`, `LOGIN` or `MISSING_DATABASE`.
    """
    import psycopg

    from chatdb_cli.diagnosis import connection_failure

    settings = target.settings
    retries = settings.connect_retries if retries is None else retries
    attempt = 0
    while True:
        attempt += 1
        try:
            return psycopg.connect(
                **{**target.params, **instead},  # type: ignore[arg-type]
                autocommit=True,
                prepare_threshold=None,  # a statement that is prepared stays with a pooler's server
            )
        except psycopg.Error as error:
            failure, transient = connection_failure(error, target.where)
            if not transient or attempt > retries:
                raise failure from None
            delay = settings.connect_retry_delay_ms * attempt / 1000
            tell(f"{failure.message}; trying again in {delay:g} s ({attempt} of {retries})")
            time.sleep(delay)


def is_pooled(conn: psycopg.Connection[Any], target: Target, pid: int) -> bool:
    """Return whether a pooler may give each transaction another session of the server.

    A pooler announces a process id of its own; it is taken for one in transaction mode, unless
    `--pooler session` says otherwise.

    Args:
        conn: a connection to the target.
        target: whose settings may know it.
        pid: what the server behind it says of itself.
    """
    said = target.settings.pooler
    return conn.info.backend_pid != pid if said is None else said == "transaction"


def open_pool(target: Target) -> ConnectionPool[psycopg.Connection[Any]]:
    """Return an open pool whose connections look into the target's schema first.

    Its size and idle time are the settings' own; a connection that was lost is replaced when it is
    taken.
    """
    from psycopg_pool import ConnectionPool

    settings = target.settings

    def configure(conn: psycopg.Connection[Any]) -> None:
        if target.schema != "public":
            path = ", ".join('"' + n.replace('"', '""') + '"' for n in (target.schema, "public"))
            conn.execute(queries.SET_SEARCH_PATH, (path,))
            conn.commit()

    return ConnectionPool(
        kwargs=dict(target.params),
        min_size=0,
        max_size=settings.pool_size,
        max_idle=settings.pool_idle_ms / 1000,
        timeout=settings.connect_timeout_ms / 1000 + 3,
        configure=configure,
        check=ConnectionPool.check_connection,
        open=True,
        name=f"chatdb-{target.database}",
    )
