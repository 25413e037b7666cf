"""The JSON document of a health, for `/health` and for `chatdb health --format json`.

What does not belong here: which target it is about, and the error (`cli/render/health.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from chatdb_cli.health.model import Health


def health_document(health: Health, words: Callable[[str], str] = str) -> dict[str, Any]:
    """Return the JSON document of a health, without the target.

    Args:
        health: what to render.
        words: turns a message or a hint into the words of the program that shows it.
    """
    at = health.timestamp.replace(tzinfo=None).isoformat(timespec="milliseconds")
    return {
        "status": health.status,
        "database": health.database,
        "timestamp": f"{at}Z",
        "latency_ms": health.latency_ms,
        "server_version": health.server_version,
        "checks": [
            {
                "name": check.name,
                "status": check.status,
                "value": check.value,
                "unit": check.unit,
                "threshold": check.threshold,
                "message": words(check.message),
                "hint": words(check.hint) or None,
            }
            for check in health.checks
        ],
    }
