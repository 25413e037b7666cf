"""From settings to a target, with the embedded server or the tunnel running that it needs.

What does not belong here: which database is meant (`settings/`), connecting (`connect.py`).
"""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import TYPE_CHECKING

from chatdb_cli.callbacks import ignore, no_answer
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.log import correlation_id
from chatdb_cli.postgres.connect import connect
from chatdb_cli.postgres.model import Target
from chatdb_cli.postgres.through_tunnel import database_addresses, keywords_through, local_url
from chatdb_cli.settings.libpq import libpq_defaults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chatdb_cli.settings.model import Settings
    from chatdb_cli.ssh.session import TunnelStep
    from chatdb_cli.ssh.tunnel import Tunnel

EMBEDDED_DATABASE = "chat"
_SAFE_SSL = ("require", "verify-ca", "verify-full")


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
        database_addresses(shown),
        timeout_ms=settings.connect_timeout_ms,
        tell=tell,
        ask=ask,
        watch=watch,
        note=note,
        port=port,
    )
    try:
        through = keywords_through(tunnel, target.params, shown)
        tunnel.url = local_url(target, through)
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
    return require_tunnel(open_target(settings, tell, ask=ask, watch=watch, port=port))


def require_tunnel(target: Target) -> Tunnel:
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
            tunnel = require_tunnel(target)
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
