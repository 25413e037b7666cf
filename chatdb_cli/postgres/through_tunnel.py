"""The keywords of a connection through a tunnel: addresses, the local end, the password.

What does not belong here: the tunnel itself (`ssh/`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.settings.libpq import libpq_defaults

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatdb_cli.postgres.model import Target
    from chatdb_cli.ssh.tunnel import Tunnel

_PASSWORD_LINE = re.compile(r"((?:\\.|[^\\:])*):" * 4 + "(.*)")  # host, port, database, user


def database_addresses(shown: Mapping[str, str]) -> list[tuple[str, int]]:
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


def keywords_through(
    tunnel: Tunnel, params: Mapping[str, str], shown: Mapping[str, str]
) -> dict[str, str]:
    """Return the keywords for the local end; the host keeps its name, which TLS compares."""
    names = shown.get("host") or ",".join(host for host, _ in tunnel.places)
    return {
        **params,
        "host": names,
        "hostaddr": ",".join([tunnel.host] * len(tunnel.ports)),
        "port": ",".join(map(str, tunnel.ports)),
    }


def local_url(target: Target, params: Mapping[str, str]) -> str:
    """Return a URL for other programs, without what is a secret or this run's own."""
    from urllib.parse import quote, urlencode

    hosts = zip(params["host"].split(","), params["port"].split(","), strict=True)
    place = ",".join(f"[{h}]:{p}" if ":" in h else f"{quote(h, safe='')}:{p}" for h, p in hosts)
    ours = ("host", "port", "dbname", "user", "application_name", "client_encoding")
    more = {k: v for k, v in params.items() if v and k not in ours and "passw" not in k}
    more.pop("connect_timeout", None)
    user, database = quote(target.user, safe=""), quote(target.database, safe="")
    return f"postgresql://{user}@{place}/{database}?{urlencode(more)}"


def with_password(target: Target, params: dict[str, str]) -> dict[str, str]:
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
