"""Topics: which changes a listener asks for.

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
    "user_status", "files", "notifications", "relationships",
)  # fmt: skip
_ID = re.compile("[0-7][0-9A-HJKMNP-TV-Z]{25}")


def rings_for(schema: str, payload: str) -> bool:
    """Return whether the bell rang for a schema; each copy in a database rings the same one."""
    try:
        return bool(json.loads(payload)["schema"] == schema)
    except (ValueError, TypeError, LookupError, RecursionError):
        return True  # whoever rings so: to look is never wrong


def topic_filter(topics: Sequence[str]) -> Callable[[Change], bool] | None:
    """Return what an event has to be to be wanted, by any of the topics."""
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
                    f"{topic!r} names no {kind}: {key!r} is no ULID",
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
