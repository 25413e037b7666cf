"""The embedded server as a value.

What does not belong here: reading the state of a server (`server.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """The state of an embedded server.

    Attributes:
        home: the project's `.chatdb` folder.
        exists: a data directory has been created.
        running: it accepts connections.
        pid: the process id of the postmaster while it is running, else None.
        version: PostgreSQL's major version that the data belongs to; None without data.
        data: the data directory; None without data.
        socket_dir: the directory of its socket while it is running; None without data.
        log: the server's log; `log.old` beside it is the log of the previous start.  None without data.
    """

    home: Path
    exists: bool
    running: bool
    pid: int | None
    version: str | None
    data: Path | None
    socket_dir: Path | None
    log: Path | None
