"""The libpq keywords of a connection through a tunnel: addresses, the local end, the password.

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


def database_addresses(keywords: Mapping[str, str]) -> list[tuple[str, int]]:
    """Return host and port of each server that libpq may choose from, as seen from the bastion.

    Args:
        keywords: those of the connection, with libpq's defaults.

    Raises:
        ChatdbError: `SETTINGS`, the lists have different lengths; `TUNNEL`, a host is a Unix socket.
    """
    lists = {k: keywords[k].split(",") for k in ("host", "hostaddr", "port") if keywords.get(k)}
    hosts = lists.get("hostaddr") or lists.get("host") or ["localhost"]
    if any(
        len(items) != len(hosts) and (key, len(items)) != ("port", 1)
        for key, items in lists.items()
    ):
        raise ChatdbError(
            Code.SETTINGS,
            "host, hostaddr and port have different numbers of values: "
            + ", ".join(f"{len(items)} in {key}" for key, items in lists.items()),
            hint="give each of them the same number of values; a single port is for all hosts",
        )
    ports = lists.get("port", ["5432"])
    ports = ports * len(hosts) if len(ports) == 1 else ports
    for host in hosts:
        if host.startswith(("/", "@")):
            raise ChatdbError(
                Code.TUNNEL,
                f"a tunnel can't connect to a Unix socket: {host}",
                hint="name the host as seen from the bastion; localhost is the bastion itself",
            )
    return [(h or "localhost", int(p or 5432)) for h, p in zip(hosts, ports, strict=True)]


def keywords_through(
    tunnel: Tunnel, params: Mapping[str, str], keywords: Mapping[str, str]
) -> dict[str, str]:
    """Return the keywords for the local end; the host keeps its name, which TLS compares.

    Args:
        tunnel: an open tunnel.
        params: the keywords of the target.
        keywords: the same with libpq's defaults.
    """
    names = keywords.get("host") or ",".join(host for host, _ in tunnel.places)
    return {
        **params,
        "host": names,
        "hostaddr": ",".join([tunnel.host] * len(tunnel.ports)),
        "port": ",".join(map(str, tunnel.ports)),
    }


def local_url(target: Target, params: Mapping[str, str]) -> str:
    """Return a URL for other programs, without secrets and without keywords of this run."""
    from urllib.parse import quote, urlencode

    hosts = zip(params["host"].split(","), params["port"].split(","), strict=True)
    addresses = ",".join(f"[{h}]:{p}" if ":" in h else f"{quote(h, safe='')}:{p}" for h, p in hosts)
    ours = ("host", "port", "dbname", "user", "application_name", "client_encoding")
    more = {k: v for k, v in params.items() if v and k not in ours and "passw" not in k}
    more.pop("connect_timeout", None)
    user, database = quote(target.user, safe=""), quote(target.database, safe="")
    return f"postgresql://{user}@{addresses}/{database}?{urlencode(more)}"


def with_password(target: Target, params: dict[str, str]) -> dict[str, str]:
    """Return the keywords with the password that ~/.pgpass has for the real host and port.

    libpq itself would search it for the port of the tunnel's local end.
    """
    if target.tunnel is None:
        return params
    keywords = {**libpq_defaults(), **params}
    if keywords.get("password"):
        return params
    path = Path(keywords.get("passfile") or "~/.pgpass").expanduser()
    login = (keywords.get("dbname") or target.user, target.user)
    passwords = {
        _password_of(path, (name or host, str(port), *login))
        for name, (host, port) in zip(params["host"].split(","), target.tunnel.places, strict=True)
    }
    # If the hosts have different passwords, libpq searches the file itself.
    password = passwords.pop() if len(passwords) == 1 else None
    return {**params, "password": password} if password else params


def _password_of(path: Path, login: tuple[str, ...]) -> str | None:
    """Return the password of the first matching line of a password file, as libpq does.

    Args:
        path: the password file.
        login: host, port, database and user.
    """
    try:
        if path.stat().st_mode & 0o077 or not path.is_file():
            return None  # libpq reports the reason
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    for line in lines:
        match = None if line.startswith("#") else _PASSWORD_LINE.fullmatch(line)
        if match:
            *fields, password = (re.sub(r"\\(.)", r"\1", text) for text in match.groups())
            if all(field in ("*", value) for field, value in zip(fields, login, strict=True)):
                return password
    return None
