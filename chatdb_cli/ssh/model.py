"""A hop of the route, and a step that was taken along it.

What does not belong here: reading ~/.ssh/config (`config.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal


@dataclass(frozen=True, slots=True)
class Hop:
    """One SSH server of the route, as the settings and ~/.ssh/config define it together.

    Attributes:
        name: the name that the user gives it.
        host: the address to connect to, as seen from the previous hop.
        port: the port to connect to.
        user: the user that logs in.
        keys: the key files to try, in this order.
        named: the settings name these files one by one, so that each of them must exist.
        agent: the keys of the agent are tried, too.
        alias: the name in known_hosts, if it differs from `host`.
        known_hosts: the files with its known host keys.
        command: a ProxyCommand that reaches it, in place of a connection.
    """

    name: str
    host: str
    port: int
    user: str
    keys: tuple[Path, ...]
    named: bool
    agent: bool
    alias: str | None
    known_hosts: tuple[Path, ...]
    command: str | None = None

    def __str__(self) -> str:
        port = "" if self.port == 22 else f":{self.port}"
        return f"{self.user}@{self.name}{port}"

    @property
    def known_as(self) -> str:
        """The name of its keys in known_hosts."""
        name = (self.alias or self.host).lower()
        return name if self.port == 22 or self.alias else f"[{name}]:{self.port}"


@dataclass(frozen=True, slots=True)
class TunnelStep:
    """One step along the route.

    Attributes:
        hop: where, as `user@host`, or the database's `host:port`.
        what: keys, connect, host key, login, forward or database.
        state: ok or failed.
        duration_ms: how long it took, in milliseconds.
        detail: the result, in words.
    """

    hop: str
    what: str
    state: Literal["ok", "failed"]
    duration_ms: int
    detail: str
