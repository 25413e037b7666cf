"""A target: a database and a schema in it, and where its name comes from.

What does not belong here: opening it (`target.py`, `connect.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chatdb_cli import log
from chatdb_cli.arguments import require_type
from chatdb_cli.closing import Closing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatdb_cli.settings.model import Settings
    from chatdb_cli.ssh.tunnel import Tunnel


@dataclass(frozen=True, slots=True)
class Target(Closing):
    """A database and a schema in it.

    Attributes:
        host: the host as the settings name it; None for the default socket.
        port: the port as the settings name it; None for the default port.
        database: the name of the database.
        user: the role that logs in.
        schema: the schema of the objects and of their history.
        via: the bastion, or None without a tunnel.
        source: which setting, file or option named the database.
        params: libpq keywords, with the password; with a tunnel, those of its local end.
        settings: all other settings.
        tunnel: the tunnel that connections use; closed with the target.
        hosts: each host with its port, as the settings name them; libpq chooses one of them.
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
    hosts: tuple[tuple[str, int | None], ...] = ()

    def close(self) -> None:
        """Close the tunnel, if there is one."""
        if self.tunnel:
            self.tunnel.close()

    @property
    def application(self) -> str:
        """The application_name of this run's sessions in pg_stat_activity."""
        return self.params["application_name"]

    @property
    def correlation_id(self) -> str:
        """The id of the run: of the settings, or of this process."""
        return self.settings.correlation_id or log.PROCESS_ID

    @property
    def where(self) -> str:
        """The target without its schema: `app@db.example:5432/chat`."""
        if self.host is None or self.host.startswith(("/", "@")):
            return f"{self.user}@[{self.host or 'local socket'}]/{self.database}"
        hosts = self.hosts or ((self.host, self.port),)
        places = ",".join(place(host, port) for host, port in hosts)
        return f"{self.user}@{places}/{self.database}"

    def __str__(self) -> str:
        via = f", via {self.via}" if self.via else ""
        return f"{self.where}, schema {self.schema}{via} ({self.source})"


def place(host: str, port: int | None) -> str:
    """Return a host with its port, as in a URL: an IPv6 address is in brackets."""
    name = f"[{host}]" if ":" in host and not host.startswith("/") else host
    return f"{name}:{port}" if port else name


def require_target(value: object) -> None:
    """Raise an error that says how to get a target, if a value is not a `Target`.

    Raises:
        TypeError: the value is of another type.
    """
    require_type(value, Target, "open_target(settings) returns one")
