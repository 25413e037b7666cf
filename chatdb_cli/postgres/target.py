"""From settings to a target; starts the embedded server or opens the tunnel that it needs.

What does not belong here: which database is meant (`settings/`), connecting (`connect.py`).
"""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import TYPE_CHECKING

from chatdb_cli import log
from chatdb_cli.callbacks import ignore, no_answer
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres.connect import connect
from chatdb_cli.postgres.model import Target
from chatdb_cli.remedy import Advice
from chatdb_cli.settings.libpq import libpq_defaults
from chatdb_cli.settings.model import require_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chatdb_cli.settings.model import Settings
    from chatdb_cli.ssh.model import TunnelStep
    from chatdb_cli.ssh.tunnel import Tunnel

_LONGEST_NAME = 63  # bytes of application_name, which the server would cut
_SAFE_SSL = ("require", "verify-ca", "verify-full")


def open_target(
    settings: Settings,
    report: Callable[[str], None] = ignore,
    *,
    ask: Callable[[str], str | None] = no_answer,
    watch: Callable[[str], None] = ignore,
    note: Callable[[TunnelStep], None] = ignore,
    port: int = 0,
) -> Target:
    """Return the target that the settings name; close it after use.

    Starts the embedded server if that is the target, and opens the tunnel if the settings name a
    bastion.

    Args:
        settings: from `load_settings`.
        report: called with a line when the embedded server is started, and before each retry.
        ask: asks a person for the passphrase of an SSH key.
        watch: called with a line when a connection through the tunnel is opened or closed.
        note: called with each step of the route.
        port: the port of the tunnel's local end; 0 lets the system choose one.

    Raises:
        ChatdbError: `NOT_CONFIGURED`, `SERVER`, a failure of the tunnel, or `REFUSED` for an
            unprotected connection in production.
    """
    from chatdb_cli.settings.database import require_database

    require_settings(settings)
    database = require_database(settings)
    if database.embedded:
        from chatdb_cli.embedded.server import EmbeddedServer

        server = EmbeddedServer(settings.home, programs=settings.postgres_programs)
        if server.start():
            text = f"started the embedded PostgreSQL in {settings.home}"
            report(log.info("server", text, state="started", home=settings.home))
        params = server.params()
    else:
        params = dict(database.params)
    target = _target(settings, params, database.source)
    if settings.bastion is None:
        _refuse_unprotected(target)
        return target
    from chatdb_cli.postgres.through_tunnel import (
        database_addresses,
        keywords_through,
        local_url,
    )
    from chatdb_cli.ssh.tunnel import Tunnel

    keywords = {**libpq_defaults(), **target.params}
    tunnel = Tunnel(
        settings.bastion,
        database_addresses(keywords),
        timeout_ms=settings.connect_timeout_ms,
        report=report,
        ask=ask,
        watch=watch,
        note=note,
        port=port,
    )
    try:
        params = keywords_through(tunnel, target.params, keywords)
        tunnel.url = local_url(target, params)
        address, remote_port = tunnel.places[0]
        return replace(
            target,
            host=target.host or address,
            port=remote_port,
            hosts=tuple(
                zip(
                    (target.host or address).split(","), (p for _, p in tunnel.places), strict=False
                )
            ),
            via=tunnel.via,
            params=params,
            tunnel=tunnel,
        )
    except BaseException:
        tunnel.close()
        raise


def open_tunnel(
    settings: Settings,
    report: Callable[[str], None] = ignore,
    *,
    ask: Callable[[str], str | None] = no_answer,
    watch: Callable[[str], None] = ignore,
    port: int = 0,
) -> Tunnel:
    """Open the tunnel to the database of the settings for other programs; close it after use.

        with open_tunnel(settings) as tunnel:
            subprocess.run(["psql", tunnel.url])

    Args:
        settings: from `load_settings`.
        report: as for `open_target`.
        ask: as for `open_target`.
        watch: as for `open_target`.
        port: as for `open_target`.

    Raises:
        ChatdbError: `SETTINGS`, the settings name no bastion; or a failure of the tunnel.
    """
    return require_tunnel(open_target(settings, report, ask=ask, watch=watch, port=port))


def require_tunnel(target: Target) -> Tunnel:
    """Return the tunnel of a target.

    Raises:
        ChatdbError: `SETTINGS`, the settings name no bastion.
    """
    if target.tunnel is None:
        raise ChatdbError(
            Code.SETTINGS,
            "the settings name no tunnel",
            hint=Advice("set SSH_HOST, or give {ssh_host}"),
        )
    return target.tunnel


def check_tunnel(
    settings: Settings, *, ask: Callable[[str], str | None] = no_answer
) -> tuple[list[TunnelStep], ChatdbError | None]:
    """Check the route to the database hop by hop; return the steps, and the error that ended it.

    Nothing is retried.

    Args:
        settings: from `load_settings`.
        ask: as for `open_target`.
    """
    require_settings(settings)
    steps: list[TunnelStep] = []
    once = settings.bastion and replace(settings.bastion, retries=0)
    try:
        with open_target(replace(settings, bastion=once), ask=ask, note=steps.append) as target:
            tunnel = require_tunnel(target)
            tunnel.probe()
            with (
                tunnel.step(target.where, "database") as details,
                connect(target, retries=0) as conn,
            ):
                details.append(f"PostgreSQL {conn.info.parameter_status('server_version')}")
    except ChatdbError as error:
        return steps, error
    return steps, None


def _target(settings: Settings, keywords: Mapping[str, str], source: str) -> Target:
    params = {"connect_timeout": str(max(2, -(-settings.connect_timeout_ms // 1000))), **keywords}
    if service := params.pop("service", None):
        # Resolve the service file here, so that the target is known before it is used.
        params = {**libpq_defaults(service), **params}
    name = params.get("application_name") or "chatdb"
    params["application_name"] = _application_name(name, settings.correlation_id)
    params["client_encoding"] = "UTF8"
    # An empty keyword stays: it overrides a PG* variable.
    effective = {**libpq_defaults(), **params}
    _require_known_values(effective, source)
    user = effective.get("user", "")
    host = effective.get("host") or effective.get("hostaddr") or None
    ports = [int(p) if p.isdecimal() else None for p in effective.get("port", "").split(",")]
    names = (host or "").split(",")
    ports *= len(names) if len(ports) == 1 else 1
    return Target(
        host=host,
        port=ports[0],
        database=effective.get("dbname") or user,
        user=user,
        schema=settings.schema,
        via=None,
        source=source,
        params=params,
        settings=settings,
        hosts=tuple(zip(names, ports, strict=False)) if host else (),
    )


def _require_known_values(keywords: Mapping[str, str], source: str) -> None:
    """Refuse what libpq would refuse only when it connects: PG* variables, a service file."""
    from chatdb_cli.settings.parse import MisreadError, require_known_values

    try:
        require_known_values(keywords)
    except MisreadError as error:
        raise ChatdbError(
            Code.SETTINGS,
            f"the connection ({source}, completed by PG* variables) {error}",
            hint=error.hint,
        ) from None


def _application_name(name: str, correlation_id: str | None) -> str:
    """Return a name that identifies the sessions of this process, and their lines in the server's log.

    An id that was given may be that of several processes, and sessions are ended by this name: so the
    id of the process is in it as well.
    """
    ids = f" {log.PROCESS_ID}" if correlation_id is None else f" {correlation_id} {log.PROCESS_ID}"
    return name.encode()[: _LONGEST_NAME - len(ids)].decode(errors="ignore") + ids


def _refuse_unprotected(target: Target) -> None:
    if target.settings.environment != "production" or target.settings.insecure:
        return
    keywords = {**libpq_defaults(), **target.params}
    sslmode = keywords.get("sslmode") or "prefer"
    if sslmode in _SAFE_SSL or is_on_this_machine(target):
        return
    raise ChatdbError(
        Code.REFUSED,
        f"in production the connection to {target.where} would not be protected "
        f"(sslmode is {sslmode}, and there is no tunnel)",
        hint=Advice("set sslmode=verify-full, or continue with {insecure}"),
    )


def is_on_this_machine(target: Target) -> bool:
    """Return whether the target is reached by a socket or a loopback address, without a tunnel."""
    if target.tunnel:
        return False
    keywords = {**libpq_defaults(), **target.params}
    hosts = (keywords.get("hostaddr") or target.host or "").split(",")
    return all(_is_local(host) for host in hosts)


def _is_local(host: str) -> bool:
    if not host or host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
