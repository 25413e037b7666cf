"""Structured logs: one record for each event, as text or as JSON lines.

    timestamp, level, event, correlation_id, data

What does not belong here: results (they are values), progress (a callback), secrets (callers must never
pass one).  All records go to the standard library's logger `chatdb`, which has no handler until
`configure` is called, so a program that uses chatdb as a library can attach its own.
"""

from __future__ import annotations

import logging
import os
from typing import Literal, TextIO

logger = logging.getLogger("chatdb")
logger.addHandler(logging.NullHandler())

# One for each run; it is in application_name, too, so that the lines of the server's log can be matched.
correlation_id = os.urandom(4).hex()  # the module `secrets` is slower to import


def enabled() -> bool:
    """Return whether any handler takes the records, so that none is built in vain."""
    return logger.isEnabledFor(logging.DEBUG)


def event(name: str, **data: object) -> None:
    """Log an event at the level DEBUG.

    Args:
        name: the kind of event; the same text each time.
        data: facts about it; never a secret.
    """
    if enabled():
        logger.debug(name, extra={"data": data})


def configure(stream: TextIO, form: Literal["text", "json"]) -> None:
    """Send every record to a stream, as text or as JSON lines."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Json() if form == "json" else _Text())
    logger.handlers = [handler]
    logger.setLevel(logging.DEBUG)
    logger.propagate = False


def _data(record: logging.LogRecord) -> dict[str, object]:
    data: dict[str, object] = getattr(record, "data", {})
    return data


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        data = " ".join(f"{key}={value}" for key, value in _data(record).items())
        return f"{record.levelname.lower()}: {record.getMessage()} {data}".rstrip()


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        import json
        from datetime import UTC, datetime

        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return json.dumps(
            {
                "timestamp": at.replace("+00:00", "Z"),
                "level": record.levelname.lower(),
                "event": record.getMessage(),
                "correlation_id": correlation_id,
                "data": _data(record),
            },
            default=str,
        )
