"""A connection, or a pool of them, to a target.

    Target    a database and a schema of it: what is written to, and how it was named

What belongs here: from settings to a target, opening, retrying what passes, refusing what is not safe.
What does not: which database was meant (`settings.py`), the embedded server itself (`server.py`), SQL
of the user.
"""

from __future__ import annotations

import ipaddress
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chatdb_cli import queries
from chatdb_cli.callbacks import ignore, no_answer
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.log import correlation_id
from chatdb_cli.settings.libpq import libpq_defaults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    import psycopg
    from psycopg_pool import ConnectionPool

    from chatdb_cli.settings.model import Settings
    from chatdb_cli.ssh.session import TunnelStep
    from chatdb_cli.ssh.tunnel import Tunnel

EMBEDDED_DATABASE = "chat"
_PASSWORD_LINE = re.compile(r"((?:\\.|[^\\:])*):" * 4 + "(.*)")  # host, port, database, user
_SAFE_SSL = ("require", "verify-ca", "verify-full")
# What the tunnel may meet behind it that passes by itself.
_PASSING = (Code.BEHIND_REFUSED, Code.TUNNEL_LOST)


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
        params: libpq keywords, with the password; those of the tunnel's local end, if there is one.
        settings: all else.
        tunnel: what the connections go through; closed with the target.
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
    tunnel: Tunnel | None = field(default=None, repr=False)

    def close(self) -> None:
        """Close the tunnel, if there is one."""
        if self.tunnel:
            self.tunnel.close()

    def __enter__(self) -> Target:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

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


def open_target(
    settings: Settings,
    tell: Callable[[str], None] = ignore,
    *,
    ask: Callable[[str], str | None] = no_answer,
    watch: Callable[[str], None] = ignore,
    note: Callable[[TunnelStep], None] = ignore,
    port: int = 0,
) -> Target:
    """Return the target that the settings name, with the embedded server running if it is that one.

    With a tunnel asked for, that is open then; `Target.close` closes it.

    Args:
        settings: what was read.
        tell: called with a line when the embedded server had to be started, or a try failed.
        ask: asks a person for the passphrase of an SSH key.
        watch: called with a line when connections through the tunnel come and go.
        note: called with each step of the way.
        port: of the tunnel's local end, in place of one that the system chooses.

    Raises:
        ChatdbError: `NOT_CONFIGURED`, `SERVER`, whatever stands in the way of the tunnel, or
            `REFUSED` for an unprotected production.
    """
    from chatdb_cli.settings.database import require_database

    database = require_database(settings)
    if database.embedded:
        from chatdb_cli.embedded.server import EmbeddedServer

        server = EmbeddedServer(settings.home, programs=settings.postgres_programs)
        if server.start():
            tell(f"started the embedded PostgreSQL in {settings.home}")
        params = server.params(EMBEDDED_DATABASE)
    else:
        params = dict(database.params)
    target = _target(settings, params, database.source)
    if settings.bastion is None:
        _refuse_unprotected(target)
        return target
    from chatdb_cli.ssh.tunnel import Tunnel

    shown = {**libpq_defaults(), **target.params}
    tunnel = Tunnel(
        settings.bastion,
        _places(shown),
        timeout_ms=settings.connect_timeout_ms,
        tell=tell,
        ask=ask,
        watch=watch,
        note=note,
        port=port,
    )
    try:
        through = _through(tunnel, target.params, shown)
        tunnel.url = _url(target, through)
        host, at = tunnel.places[0]
        named = target.host or host
        return replace(target, host=named, port=at, via=tunnel.via, params=through, tunnel=tunnel)
    except BaseException:
        tunnel.close()
        raise


def open_tunnel(
    settings: Settings,
    tell: Callable[[str], None] = ignore,
    *,
    ask: Callable[[str], str | None] = no_answer,
    watch: Callable[[str], None] = ignore,
    port: int = 0,
) -> Tunnel:
    """Open the tunnel to the database of the settings, for other programs to use; close it after.

        with open_tunnel(settings) as tunnel:
            subprocess.run(["psql", tunnel.url])

    Args:
        settings: what was read.
        tell: as for `open_target`.
        ask: likewise.
        watch: likewise.
        port: likewise.

    Raises:
        ChatdbError: `SETTINGS`, no tunnel is asked for; or whatever stands in its way.
    """
    return required(open_target(settings, tell, ask=ask, watch=watch, port=port))


def required(target: Target) -> Tunnel:
    """Return the tunnel of a target.

    Raises:
        ChatdbError: `SETTINGS`, none is asked for.
    """
    if target.tunnel is None:
        raise ChatdbError(
            Code.SETTINGS, "no tunnel is asked for", hint="set SSH_HOST, or give --ssh-host"
        )
    return target.tunnel


def check_tunnel(
    settings: Settings, *, ask: Callable[[str], str | None] = no_answer
) -> tuple[list[TunnelStep], ChatdbError | None]:
    """Walk the way to the database hop by hop; return what was found, and why it ended early.

    Nothing is tried twice.

    Args:
        settings: what was read.
        ask: as for `open_target`.
    """
    steps: list[TunnelStep] = []
    once = settings.bastion and replace(settings.bastion, retries=0)
    try:
        with open_target(replace(settings, bastion=once), ask=ask, note=steps.append) as target:
            tunnel = required(target)
            tunnel.probe()
            with tunnel.step(target.where, "database") as said, connect(target, retries=0) as conn:
                said.append(f"PostgreSQL {conn.info.parameter_status('server_version')}")
    except ChatdbError as error:
        return steps, error
    return steps, None


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
    return Target(
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


# --- through a tunnel -----------------------------------------------------------------------------


def _places(shown: Mapping[str, str]) -> list[tuple[str, int]]:
    """Return host and port of each server that libpq may choose from, as seen from the bastion."""
    given = {key: shown[key].split(",") for key in ("host", "hostaddr", "port") if shown.get(key)}
    hosts = given.get("hostaddr") or given.get("host") or ["localhost"]
    if any(
        len(some) != len(hosts) and (key, len(some)) != ("port", 1) for key, some in given.items()
    ):
        raise ChatdbError(
            Code.SETTINGS,
            "the hosts are not as many everywhere: "
            + ", ".join(f"{len(some)} in {key}" for key, some in given.items()),
            hint="give host, hostaddr and port as many values each; one port alone is that of all",
        )
    ports = given.get("port", ["5432"])
    ports = ports * len(hosts) if len(ports) == 1 else ports
    for host in hosts:
        if host.startswith(("/", "@")):
            raise ChatdbError(
                Code.TUNNEL,
                f"a tunnel leads to no Unix socket, and {host} is one",
                hint="name the database's host as seen from the bastion; localhost is the bastion",
            )
    return [(h or "localhost", int(p or 5432)) for h, p in zip(hosts, ports, strict=True)]


def _through(tunnel: Tunnel, params: Mapping[str, str], shown: Mapping[str, str]) -> dict[str, str]:
    """Return the keywords for the local end; the host keeps its name, which TLS compares."""
    names = shown.get("host") or ",".join(host for host, _ in tunnel.places)
    return {
        **params,
        "host": names,
        "hostaddr": ",".join([tunnel.host] * len(tunnel.ports)),
        "port": ",".join(map(str, tunnel.ports)),
    }


def _url(target: Target, params: Mapping[str, str]) -> str:
    """Return a URL for other programs, without what is a secret or this run's own."""
    from urllib.parse import quote, urlencode

    hosts = zip(params["host"].split(","), params["port"].split(","), strict=True)
    place = ",".join(f"[{h}]:{p}" if ":" in h else f"{quote(h, safe='')}:{p}" for h, p in hosts)
    ours = ("host", "port", "dbname", "user", "application_name", "client_encoding")
    more = {k: v for k, v in params.items() if v and k not in ours and "passw" not in k}
    more.pop("connect_timeout", None)
    user, database = quote(target.user, safe=""), quote(target.database, safe="")
    return f"postgresql://{user}@{place}/{database}?{urlencode(more)}"


def _with_password(target: Target, params: dict[str, str]) -> dict[str, str]:
    """Complete the keywords by the password of ~/.pgpass for the real host and port.

    libpq itself would look for the port of the tunnel's local end there.
    """
    if target.tunnel is None:
        return params
    shown = {**libpq_defaults(), **params}
    if shown.get("password"):
        return params
    path = Path(shown.get("passfile") or "~/.pgpass").expanduser()
    login = (shown.get("dbname") or target.user, target.user)
    found = {
        _password_of(path, (name or host, str(port), *login))
        for name, (host, port) in zip(params["host"].split(","), target.tunnel.places, strict=True)
    }
    # Of several hosts that do not have one password each is left to libpq; it looks by itself.
    password = found.pop() if len(found) == 1 else None
    return {**params, "password": password} if password else params


def _password_of(path: Path, wanted: tuple[str, ...]) -> str | None:
    """Return the password of the first line of a password file that fits, as libpq does."""
    try:
        if path.stat().st_mode & 0o077 or not path.is_file():
            return None  # libpq says why
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    for line in lines:
        match = None if line.startswith("#") else _PASSWORD_LINE.fullmatch(line)
        if match:
            *fields, password = (re.sub(r"\\(.)", r"\1", text) for text in match.groups())
            if all(said in ("*", want) for said, want in zip(fields, wanted, strict=True)):
                return password
    return None


# --- protection -----------------------------------------------------------------------------------


def _refuse_unprotected(target: Target) -> None:
    if target.settings.environment != "production" or target.settings.insecure:
        return
    shown = {**libpq_defaults(), **target.params}
    hosts = (shown.get("hostaddr") or target.host or "").split(",")
    sslmode = shown.get("sslmode") or "prefer"
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
    tell: Callable[[str], None] = ignore,
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
        ChatdbError: `UNREACHABLE`, `LOGIN` or `MISSING_DATABASE`; or what the tunnel met.
    """
    import psycopg

    from chatdb_cli.diagnosis import connection_failure

    settings = target.settings
    retries = settings.connect_retries if retries is None else retries
    params = _with_password(target, {**target.params, **instead})
    tunnel = target.tunnel
    attempt = 0
    while True:
        attempt += 1
        if tunnel:
            tunnel.ensure()
            tunnel.begin()
        try:
            return psycopg.connect(
                **params,  # type: ignore[arg-type]
                autocommit=True,
                prepare_threshold=None,  # a statement that is prepared stays with a pooler's server
            )
        except psycopg.Error as error:
            failure, transient = connection_failure(error, target.where)
            if tunnel and failure.sqlstate is None and (known := tunnel.explain()):
                failure, transient = known, known.code in _PASSING
        # Outside of `except`, so that no trace of psycopg's error keeps its socket open.
        if not transient or attempt > retries:
            raise failure
        delay = settings.connect_retry_delay_ms * attempt / 1000
        tell(f"{failure.message}; trying again in {delay:g} s ({attempt} of {retries})")
        time.sleep(delay)


def backoff_s(tries: int, first_s: float, most_s: float) -> float:
    """Return how long to wait, in seconds, after so many tries that failed.

    It doubles from the first to the most, and is spread by half, so that two who met do not meet again.
    """
    from secrets import randbelow

    doubled = first_s * 2.0 ** min(tries, 32)  # after thousands of tries no float would hold it
    return min(doubled, most_s) * (0.5 + randbelow(1000) / 1000)


@contextmanager
def told_of_tunnel(target: Target) -> Iterator[None]:
    """Name the tunnel as the cause, where a connection was lost inside because the tunnel was."""
    # A loss that nobody has mended yet is also that of a connection which is used inside.
    before = target.tunnel.lost if target.tunnel and target.tunnel.alive else None
    try:
        yield
    except ChatdbError as error:
        if target.tunnel and error.code is Code.LOST:
            target.tunnel.explain()
            loss = target.tunnel.lost
            if loss and loss is not before:
                error.code, error.errno = loss.code, loss.errno
                error.message = f"{error.message.partition(': ')[0]}: {loss.message}"
        raise


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


def open_pool(target: Target, *, owned: bool = False) -> ConnectionPool[psycopg.Connection[Any]]:
    """Return an open pool whose connections look into the target's schema first.

    Its size and idle time are the settings' own; a connection that was lost is replaced when it is
    taken.

    Args:
        target: where to.
        owned: whether closing the pool closes the target.

    Raises:
        ChatdbError: `REFUSED` for a schema of its own behind a pooler in transaction mode, where one
            session's search_path would be another client's.
    """
    from psycopg_pool import ConnectionPool

    if target.schema != "public":
        with connect(target) as conn:
            (pid,) = conn.execute(queries.BACKEND_PID).fetchone() or (0,)
            if is_pooled(conn, target, pid):
                raise ChatdbError(
                    Code.REFUSED,
                    f"a pool can't keep to schema {target.schema!r} through a pooler in transaction "
                    "mode: other clients would meet its search_path",
                    hint="connect to the server itself, past the pooler; or say --pooler session, if "
                    "it keeps sessions",
                )

    class Pool(ConnectionPool[Any]):
        def close(self, timeout: float = 5.0) -> None:
            super().close(timeout)
            if owned:
                target.close()

    settings = target.settings

    def configure(conn: psycopg.Connection[Any]) -> None:
        (pid,) = conn.execute(queries.BACKEND_PID).fetchone() or (0,)
        if is_pooled(conn, target, pid):
            conn.prepare_threshold = None  # what is prepared stays with the pooler's own connection
        if target.schema != "public":
            path = ", ".join('"' + n.replace('"', '""') + '"' for n in (target.schema, "public"))
            conn.execute(queries.SET_SEARCH_PATH, (path,))
        conn.commit()

    return Pool(
        kwargs=_with_password(target, dict(target.params)),
        min_size=0,
        max_size=settings.pool_size,
        max_idle=settings.pool_idle_ms / 1000,
        timeout=settings.connect_timeout_ms / 1000 + 3,
        configure=configure,
        check=ConnectionPool.check_connection,
        open=True,
        name=f"chatdb-{target.database}",
    )
