"""An object of a snapshot as a documentation reads it.

What does not belong here: the values of a documentation (`model.py`), making them (`describe.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.docs.sql_text import split_name

if TYPE_CHECKING:
    from chatdb_cli.catalog.model import SchemaObject
    from chatdb_cli.docs.sql_text import Shortener


class Described:
    """An object of a snapshot.

    Attributes:
        kind: its kind.
        schema: the name of its schema; empty for a part of another object.
        name: its name, without schema and quotes.
        identity: its name with its schema, as in the snapshot.
        shorten: shortens SQL of the snapshot.
    """

    def __init__(self, item: SchemaObject, shorten: Shortener) -> None:
        self.kind, self.identity = item.kind, item.name
        self.schema, self.name = split_name(item.name)
        self._values = dict(item.attributes)
        self.shorten = shorten

    def __contains__(self, attribute: str) -> bool:
        return attribute in self._values

    def text(self, attribute: str) -> str | None:
        """Return the text of an attribute; None for the default."""
        value = self._values.get(attribute)
        return value if isinstance(value, str) else None

    def texts(self, attribute: str) -> tuple[str, ...]:
        """Return the texts of an attribute that is a list."""
        value = self._values.get(attribute, ())
        return value if isinstance(value, tuple) else ()

    def sql(self, attribute: str) -> str | None:
        """Return the SQL of an attribute, shortened."""
        value = self.text(attribute)
        return None if value is None else self.shorten(value)

    @property
    def comment(self) -> str | None:
        """The comment on the object."""
        return self.text("comment")
