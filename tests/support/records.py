"""The records of the log that a command writes to stderr with `--log-format json`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chatdb_cli.log_events import EVENTS

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
Record = dict[str, Any]
KEYS = ["timestamp", "level", "event", "message", "correlation_id", "data"]


def log_format(arguments: Sequence[str | Path], env: Mapping[str, str] | None = None) -> str:
    """Return the format of stderr that a command line, or its environment, asks for."""
    words = [word for argument in arguments for word in str(argument).split("=", 1)]
    if "--log-format" in words[:-1]:
        return words[words.index("--log-format") + 1]
    return (os.environ if env is None else env).get("CHATDB_LOG_FORMAT", "text")


def check_records(text: str) -> list[Record]:
    """Check that a text consists of records of the closed list alone, and return them.

    It runs whenever a test runs a command with `--log-format json`.
    """
    assert text.endswith("\n") or not text
    records: list[Record] = [json.loads(line) for line in text.split("\n")[:-1]]
    for record in records:
        assert list(record) == KEYS
        assert TIME.fullmatch(record["timestamp"])
        event = EVENTS[record["event"]]
        assert record["level"] in event.levels, record
        assert isinstance(record["message"], str)
        assert record["message"]
        assert record["correlation_id"] == records[0]["correlation_id"]
        assert record["data"].keys() <= event.keys.keys(), record
    return records
