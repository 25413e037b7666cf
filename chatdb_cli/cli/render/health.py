"""The health of a database: its checks, the worst first.

What does not belong here: checking (`health/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.cli.render.document import Document, Rendered, target_document, timestamp
from chatdb_cli.cli.render.table import Table
from chatdb_cli.cli.render.text import printable
from chatdb_cli.cli.words import in_words

if TYPE_CHECKING:
    from chatdb_cli.health.model import Health


def render_health(health: Health) -> Rendered:
    """Render the health of a database."""
    rows = [(c.status, c.name, c.message) for c in health.checks]
    return Rendered(
        health_document(health), (printable(health.status), Table(("state", "check", ""), rows))
    )


def health_document(health: Health) -> Document:
    """Return the document of the health of a database."""
    return target_document(health.target) | {
        "status": health.status,
        "database": health.database,
        "timestamp": timestamp(health.timestamp),
        "latency_ms": health.latency_ms,
        "server_version": health.server_version,
        "checks": [
            {
                "name": check.name,
                "status": check.status,
                "value": check.value,
                "unit": check.unit,
                "threshold": check.threshold,
                "message": in_words(check.message),
                "hint": in_words(check.hint) or None,
            }
            for check in health.checks
        ],
    }
