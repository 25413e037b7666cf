"""Structured logs: what chatdb does, one record an event, for people or as JSON lines.

    timestamp, level, event, correlation_id, data

What does not belong here: results (they are values), progress (that is a callback), secrets (nobody
gives one in).  Everything goes through the standard library's logger `chatdb`, silent until
`configure` is called, so that a program that uses chatdb as a library decides itself.
"""

from __future__ import annotations

import logging
import os
from typing import Literal, TextIO

logger = logging.getLogger("chatdb")
logger.addHandler(logging.NullHandler())

# One for each run; it stands in application_name too, so that the server's log can be matched.
correlation_id = os.urandom(4).hex()  # `secrets` takes longer to import than all of this file


def enabled() -> bool:
    """Return whether anybody listens, so that nothing is worked out for nobody."""
    return logger.isEnabledFor(logging.DEBUG)


def event(name: str, **data: object) -> None:
    """Log what happened, at the level that `--verbose` shows.

    Args:
        name: what happened, in words that stay the same.
        data: what is to be known about it; never a secret.
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
