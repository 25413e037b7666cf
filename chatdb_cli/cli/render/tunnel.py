"""The tunnel: where other programs connect, and the check of its route.

What does not belong here: opening it (`ssh/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.cli.render.document import Rendered, target_document
from chatdb_cli.cli.render.error import error_document
from chatdb_cli.cli.render.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.errors import ChatdbError
    from chatdb_cli.postgres.model import Target
    from chatdb_cli.ssh.model import TunnelStep
    from chatdb_cli.ssh.tunnel import Tunnel


def render_tunnel(target: Target, tunnel: Tunnel) -> Rendered:
    """Render what other programs connect to."""
    local = {"host": tunnel.host, "port": tunnel.port}
    return Rendered(target_document(target) | {"url": tunnel.url, "local": local}, (tunnel.url,))


def render_check(steps: Sequence[TunnelStep], failure: ChatdbError | None) -> Rendered:
    """Render the check of a route.

    Args:
        steps: what each hop answered.
        failure: what ended the check early, if anything did.
    """
    document = target_document(None) | {
        "ok": failure is None,
        "steps": [
            {
                "hop": step.hop,
                "step": step.what,
                "state": step.state,
                "duration_ms": step.duration_ms,
                "detail": step.detail or None,
            }
            for step in steps
        ],
    }
    if failure:
        document["error"] = error_document(failure)
    rows = [(s.hop, s.what, s.state, str(s.duration_ms), s.detail) for s in steps]
    return Rendered(document, (Table(("hop", "step", "state", "ms", "detail"), rows),))
