"""What every rendered result has: a JSON document, a text, the target that it is about.

What does not belong here: the keys of one result (the module of that result).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from chatdb_cli.cli.render.table import Table
    from chatdb_cli.postgres.model import Target

FORMAT = 1
Document = dict[str, Any]


class Rendered(NamedTuple):
    """A result, rendered for programs and for people.

    Attributes:
        document: the JSON document.
        text: the parts of the text; each begins on a line of its own.
    """

    document: Document
    text: tuple[str | Table, ...]


def target_document(target: Target | None) -> Document:
    """Return the keys that each document begins with.

    Args:
        target: what the result is about; None for a result that is about no database.
    """
    if target is None:
        return {"format": FORMAT, "target": None}
    return {
        "format": FORMAT,
        "target": {
            "host": target.host,
            "port": target.port,
            "database": target.database,
            "user": target.user,
            "schema": target.schema,
            "via": target.via,
            "source": target.source,
        },
        "schema": target.schema,
    }


def timestamp(at: datetime | None) -> str | None:
    """Return a time, which has to be in UTC, as RFC 3339."""
    return f"{at.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z" if at else None
