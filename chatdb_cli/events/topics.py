"""Topics: which changes a listener wants.

What does not belong here: reading them (`listener.py`).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.settings import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatdb_cli.events.model import Change

# The tables whose changes are events.
TABLES = (
    "messages", "reactions", "channels", "channel_members", "message_reads", "message_deliveries",
    "user_status", "files", "notifications", "relationships", "users", "profiles",
)  # fmt: skip
_ID = re.compile("[0-7][0-9A-HJKMNP-TV-Z]{25}")


def concerns_schema(schema: str, payload: str) -> bool:
    """Return whether a notification is about a schema; all schemas of a database use one channel."""
    try:
        return bool(json.loads(payload)["schema"] == schema)
    except (ValueError, TypeError, LookupError, RecursionError):
        return True  # not our payload; an extra read is harmless


def topic_filter(topics: Sequence[str]) -> Callable[[Change], bool] | None:
    """Return a predicate for the events of any of the topics, or None without topics.

    Raises:
        ChatdbError: `USAGE`, a topic is not valid.
    """
    tables = set[str]()
    channels = set[str]()
    users = set[str]()
    for topic in topics:
        kind, colon, key = topic.partition(":")
        if topic in TABLES:
            tables.add(topic)
        elif colon and kind in ("channel", "user"):
            if not _ID.fullmatch(key):
                raise ChatdbError(
                    Code.USAGE,
                    f"{topic!r} does not name a {kind}: {key!r} is not a ULID",
                    hint="an id has 26 characters, digits and capitals",
                )
            (channels if kind == "channel" else users).add(key)
        else:
            raise ChatdbError(
                Code.USAGE,
                f"there are no events of {topic!r}{parse.did_you_mean(topic, TABLES)}",
                hint=f"a topic is channel:ID, user:ID or one of {', '.join(TABLES)}",
            )
    if not topics:
        return None
    return lambda e: e.table in tables or e.channel_id in channels or e.user_id in users
