"""The style of each state, as rich names styles.

What does not belong here: terminals (`cli/output.py`).
"""

from __future__ import annotations

STYLES = {
    "applied": "green",
    "reverted": "yellow",
    "resumed": "green",
    "unfinished": "bold yellow",
    "pending": "cyan",
    "planned": "cyan",
    "by-another": "dim",
    "not-run": "dim",
    "unknown": "bold yellow",
    "failed": "bold red",
    "ok": "green",
    "degraded": "yellow",
    "error": "bold red",
    "changed": "bold yellow",
    "missing": "bold red",
    "skipped": "dim",
    "✓": "green",
    "✗": "bold red",
}
ERROR = "bold red"
WARNING = "yellow"
HINT = "cyan"
FRAME = "blue"
