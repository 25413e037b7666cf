"""A target: a database and a schema of it, and how it was named.

What does not belong here: opening it (`target.py`, `connect.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from chatdb_cli.settings.model import Settings
    from chatdb_cli.ssh.tunnel import Tunnel


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
