"""The embedded server: its state, its URL, its removal.

What does not belong here: running it (`embedded/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.cli.render.document import Rendered, target_document

if TYPE_CHECKING:
    from pathlib import Path

    from chatdb_cli.embedded.model import ServerStatus


def render_server(status: ServerStatus, url: str | None) -> Rendered:
    """Render the state of the server.

    Args:
        status: its state.
        url: where it accepts connections; None while it is stopped.
    """
    facts = {
        "home": str(status.home),
        "exists": status.exists,
        "running": status.running,
        "pid": status.pid,
        "version": status.version,
        "data": str(status.data) if status.data else None,
        "log": str(status.log) if status.log else None,
        "url": url,
    }
    state = "running" if status.running else "stopped" if status.exists else "not created yet"
    rows = {"state": state} | {k: v for k, v in facts.items() if k not in ("exists", "running")}
    lines = [f"{name:<8} {value}" for name, value in rows.items() if value is not None]
    return Rendered(target_document(None) | {"server": facts}, ("\n".join(lines),))


def render_url(url: str) -> Rendered:
    """Render the URL of the server."""
    return Rendered(target_document(None) | {"url": url}, (url,))


def render_destroyed(home: Path, *, existed: bool) -> Rendered:
    """Render the removal of the server.

    Args:
        home: its directory.
        existed: there was a server in it.
    """
    document = target_document(None) | {"destroyed": str(home) if existed else None}
    return Rendered(document, (f"removed {home}" if existed else f"no server in {home}",))
