"""Relations as the server describes them, and what a transaction has done to them.

    Column      a column at one moment
    Relation    a relation at one moment
    Touched     what a transaction has done so far
    Written     what it wrote to one table
    Use         a column that holds values of a relation's row type

What does not belong here: what of that is a loss (`losses.py`), the statements (`queries.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


class Column(NamedTuple):
    """A column at one moment.

    Attributes:
        name: its name.
        generated: its values are computed from other columns.
        place: changes whenever the column is altered.
        type_oid: the OID of its type.
        type_name: its type as SQL, with the schema where one is needed.
        base: the type of an array's elements, or that a domain is of; else its type.
    """

    name: str
    generated: bool
    place: str
    type_oid: str
    type_name: str
    base: str

    def strips_blanks(self, later: Column) -> bool:
        """Return whether a later type no longer tells blanks at the end of a text from none."""
        is_text = self.base in {"text", "character varying"}
        same_shape = self.type_name.endswith("[]") == later.type_name.endswith("[]")
        return is_text and same_shape and later.base == "character"


class Relation(NamedTuple):
    """A relation at one moment.

    Attributes:
        schema: its schema.
        name: its name.
        kind: its relkind in pg_class.
        storage: its relfilenode, the file that holds its rows; of a foreign table, the place of its
            options, which changes whenever these are altered.
        parent: it may have children, whose rows are not its own.
        columns: its columns, by number.
    """

    schema: str
    name: str
    kind: str
    storage: str
    parent: bool
    columns: dict[str, Column]

    def dropped(self, later: Relation, *, generated: bool = False) -> list[str]:
        """Return the numbers of the columns that were dropped later.

        Args:
            later: the relation as it is then.
            generated: return generated columns too.
        """
        gone = self.columns.keys() - later.columns.keys()
        return sorted((n for n in gone if generated or not self.columns[n].generated), key=int)

    def altered(self, later: Relation) -> list[str]:
        """Return the numbers of the columns that were altered later, without generated columns."""
        both = self.columns.keys() & later.columns.keys()
        pairs = {n: (self.columns[n], later.columns[n]) for n in both}
        return sorted(
            (
                n
                for n, (one, other) in pairs.items()
                if one.place != other.place and not one.generated and not other.generated
            ),
            key=int,
        )


class Written(NamedTuple):
    """What a transaction wrote to a table, as the counters have it.

    Attributes:
        inserted: the number of rows inserted.
        deleted: the number of rows deleted.
    """

    inserted: int
    deleted: int


class Touched(NamedTuple):
    """What a transaction has done to relations so far, by OID.

    Attributes:
        gone: the relations it dropped, also those it created itself.
        kept: the relations it may have altered, as they are now.
        written: the tables it may have written to.
        tables: these tables as they are now.
        foreign: the foreign tables it may have written to, as they are now.
        elsewhere: the relations it has written to that are foreign tables, or are gone.
        created: the number of foreign tables that the session created.
        catalog: a catalog it has written rows to, or None.
        deletes: a function that the file calls, itself or by a trigger, may delete rows.
        calls_delete: one that it names may delete rows, or run any statement.
        truncates: it may truncate tables.
        counted: the counters of rows can be believed.
        objects: the numbers of large objects deleted, of their pages rewritten, and deleted.
    """

    gone: frozenset[str]
    kept: dict[str, Relation]
    written: dict[str, Written]
    tables: dict[str, Relation]
    foreign: dict[str, Relation]
    elsewhere: frozenset[str]
    created: int
    catalog: str | None
    deletes: bool
    calls_delete: bool
    truncates: bool
    counted: bool
    objects: tuple[int, ...]

    @property
    def oids(self) -> set[str]:
        """All of them."""
        return {*self.gone, *self.kept, *self.written, *self.foreign}

    def find(self, oid: str) -> Relation | None:
        """Return a relation as it is now, or None if the transaction has not touched it."""
        return self.kept.get(oid) or self.tables.get(oid) or self.foreign.get(oid)


class Use(NamedTuple):
    """A column that holds values of a relation's row type.

    Attributes:
        relation: the OID of the relation.
        table: the OID of the table with the column.
        number: the number of the column.
        facts: that table.
    """

    relation: str
    table: str
    number: str
    facts: Relation


NOTHING = Touched(
    frozenset(), {}, {}, {}, {}, frozenset(), 0, None,
    deletes=False, calls_delete=False, truncates=False, counted=True, objects=(),
)  # fmt: skip


def read_touched(answer: dict[str, Any]) -> Touched:
    """Return an answer to `queries.TOUCHED`."""
    written = answer["written"]
    return Touched(
        frozenset(answer["gone"]),
        read_relations(answer["kept"]),
        {oid: Written(inserted, deleted) for oid, (inserted, deleted, _) in written.items()},
        read_relations({oid: facts for oid, (_, _, facts) in written.items()}),
        read_relations(answer["foreign"]),
        frozenset(answer["elsewhere"]),
        answer["created"],
        answer["catalog"],
        answer["deletes"],
        answer["calls_delete"],
        answer["truncates"],
        answer["counted"],
        tuple(answer["objects"]),
    )


def read_relations(answer: dict[str, Any]) -> dict[str, Relation]:
    """Return an answer to `queries.RELATIONS_BEFORE`."""
    return {oid: _relation(facts) for oid, facts in answer.items()}


def read_uses(answer: Iterable[Any]) -> list[Use]:
    """Return an answer to `queries.USES`."""
    return [Use(of, table, n, _relation(facts)) for of, table, n, facts in answer]


def _relation(facts: list[Any]) -> Relation:
    *own, columns = facts
    return Relation._make((*own, {n: Column(*column) for n, column in columns.items()}))
