"""One or more schemas as values, and what differs between two of them.

    Snapshot              one or more schemas, and the objects of the database that have none
      SchemaObject        a table, a column, a function ...; Unread is what could not be read
    Comparison            the Differences of two snapshots

What does not belong here: reading the catalog (`snapshot.py`), comparing (`diff.py`), the values of a
schema's documentation (`docs/model.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

# The value of an attribute: a text, which is `yes` for a flag, or a list of texts.
Value = str | tuple[str, ...]


class SchemaObject(NamedTuple):
    """An object in the catalog.

    Attributes:
        kind: `table`, `column`, `function` and so on, as PostgreSQL names it.
        name: the name as SQL, with its schema and its arguments; of a part of another object, the
            name alone.
        parent: the name of the object that it is a part of; empty for others.
        attributes: name and value of each attribute that differs from PostgreSQL's default, sorted
            by name.
    """

    kind: str
    name: str
    parent: str
    attributes: tuple[tuple[str, Value], ...]

    @property
    def identity(self) -> str:
        """The name for people: `public.users.email`, `users_pkey on public.users`."""
        if not self.parent:
            return self.name
        return (
            f"{self.parent}.{self.name}"
            if self.kind == "column"
            else f"{self.name} on {self.parent}"
        )


class Unread(NamedTuple):
    """Something that the role may not read.

    Attributes:
        kind: the kind of object; empty for every kind.
        object: the object, as `SchemaObject.identity`; empty for all objects of this kind.
        attribute: its attribute; empty for the object itself.
        reason: the reason.
    """

    kind: str
    object: str
    attribute: str
    reason: str

    def __str__(self) -> str:
        object_ = f"{self.kind} {self.object}".strip() or "all objects"
        what = f"{self.attribute} of {object_}" if self.attribute else object_
        return f"{what}: {self.reason}"


class Snapshot(NamedTuple):
    """One or more schemas, and the objects of the database that are in no schema.

    Attributes:
        server_version: the major version of the server that it was read from.
        schemas: the names of the schemas, sorted.
        objects: the objects: by kind, each kind by the code points of the names; after each object
            its parts, columns in their order.
        unread: what could not be read; it takes no part in a comparison.
    """

    server_version: int
    schemas: tuple[str, ...]
    objects: tuple[SchemaObject, ...]
    unread: tuple[Unread, ...] = ()


class Difference(NamedTuple):
    """A difference of two snapshots.

    Attributes:
        kind: the kind of object.
        object: the object, as `SchemaObject.identity`.
        attribute: the attribute that differs; None if only one of the snapshots has the object.
        before: the value in the first snapshot; None if the attribute has its default there.  Of an
            object that only the first has, its text as in the file of a snapshot.
        after: the value in the second.
        parent: the object that it is a part of, such as `table public.users`; empty for others.
        name: the name without that of the parent.
    """

    kind: str
    object: str
    attribute: str | None
    before: Value | None
    after: Value | None
    parent: str = ""
    name: str = ""


class Comparison(NamedTuple):
    """What differs between two snapshots.

    Attributes:
        differences: the differences, in the order of the objects in a snapshot.
        column_order: the tables whose columns are the same in another order, if that is no
            difference: the value is the names of the columns that both have.
        unread: what one of them could not read, and what was for that reason not compared.
    """

    differences: Sequence[Difference]
    column_order: Sequence[Difference] = ()
    unread: Sequence[Unread] = ()

    @property
    def equal(self) -> bool:
        """There is no difference."""
        return not self.differences
