"""Structured logs: one record for each event, with a message for people and data for programs.

    debug, info, warning, error    log an event of that level, and return its message
    enabled                        whether a level is logged at all
    JsonLines                      a formatter: one JSON object a line

The events are a closed list, `log_events.py`; docs/logging.md is generated from it.  Every record goes
to the logger `chatdb` of the standard library, with the attributes `event`, `data` and `correlation_id`.
The logger has no handler of its own, so a program that uses chatdb as a library attaches its own; the
command line attaches those of `cli/logs.py`.

Where a callback also gets the message as a line, log and report in one call:

    report(log.info("seed", f"seeded {file}", file=file, duration_ms=12))

The message that comes back is marked as recorded, so the command line does not log it again.  What does
not belong here: results (they are values), the list of events, secrets (callers must never pass one;
as a second barrier, the formatter hides passwords in URLs and keyword strings).
"""

from __future__ import annotations

import logging
import os
from logging import DEBUG as DEBUG
from logging import ERROR, INFO, WARNING
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("chatdb")
logger.addHandler(logging.NullHandler())

# The id of this process: it is in application_name, so that the server's log can be matched.
PROCESS_ID = os.urandom(4).hex()  # the module `secrets` is slower to import
# The id of the run: that of the process, unless `CHATDB_CORRELATION_ID` gives another one.
correlation_id = PROCESS_ID


class Recorded(str):
    """A message that was logged as an event, so that it is not logged again.

    Attributes:
        original: the message as it was given, which may be an `Advice`.
    """

    __slots__ = ("original",)
    original: str

    def __new__(cls, message: str) -> Self:
        """Mark a message."""
        text = super().__new__(cls, message)
        text.original = message
        return text


def enabled(level: int = INFO) -> bool:
    """Return whether records of a level are logged, so that none is built in vain."""
    return logger.isEnabledFor(level)


def debug(event: str, message: str, /, **data: object) -> str:
    """Log an event of the level debug; the arguments are those of `info`."""
    return _record(DEBUG, event, message, data) if logger.isEnabledFor(DEBUG) else message


def info(event: str, message: str, /, **data: object) -> str:
    """Log an event of the level info, and return its message, marked as recorded.

    Args:
        event: a name of `log_events.EVENTS`.
        message: a line for people.
        data: the facts, by the keys that the event has; never a secret.
    """
    return _record(INFO, event, message, data) if logger.isEnabledFor(INFO) else message


def warning(event: str, message: str, /, **data: object) -> str:
    """Log an event of the level warn; the arguments are those of `info`."""
    return _record(WARNING, event, message, data) if logger.isEnabledFor(WARNING) else message


def error(event: str, message: str, /, **data: object) -> str:
    """Log an event of the level error; the arguments are those of `info`."""
    return _record(ERROR, event, message, data) if logger.isEnabledFor(ERROR) else message


def _record(level: int, event: str, message: str, data: dict[str, object]) -> str:
    extra = {"event": event, "data": data, "correlation_id": correlation_id}
    logger.log(level, message, extra=extra, stacklevel=3)
    return Recorded(message)


def original(message: str) -> str:
    """Return a message as it was before it was recorded."""
    return message.original if isinstance(message, Recorded) else message


class JsonLines(logging.Formatter):
    """Formats a record as one line: a JSON object in ASCII.

    A record of another library is the event `library`.

    Args:
        wording: turns a message into the words of the program that logs.
    """

    def __init__(self, wording: Callable[[str], str] = str) -> None:
        super().__init__()
        self._wording = wording

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        import json
        from datetime import UTC, datetime

        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        message = record.msg if isinstance(record.msg, str) and not record.args else None
        return json.dumps(
            {
                "timestamp": at.replace("+00:00", "Z"),
                "level": level_name(record.levelno),
                "event": getattr(record, "event", "library"),
                "message": _without_secrets(self._wording(message or record.getMessage())),
                "correlation_id": correlation_id,
                "data": _without_secrets(getattr(record, "data", {"logger": record.name})),
            }
        )


def level_name(level: int) -> str:
    """Return the name of a level of the standard library: debug, info, warn or error."""
    if level >= ERROR:
        return "error"
    if level >= WARNING:
        return "warn"
    return "info" if level >= INFO else "debug"


def _without_secrets(value: Any) -> Any:
    """Return a value for JSON, with the passwords in all of its texts hidden."""
    from chatdb_cli.redaction import redact

    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {str(key): _without_secrets(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secrets(item) for item in value]
    return redact(str(value))
