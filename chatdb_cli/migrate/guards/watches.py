"""Statements that keep rows or values until a file has run, and then compare.

    RowWatch      the number of rows of a table
    ValueWatch    the values of a column
    Watches       those of one file, as statements before and after it

The kept rows are in a temporary table of a name that no file knows; the reset of the session after each
file drops it.  A value is the same if it has the same text, or the same text after it was cast back to
its old type: 12.00 and 12 are, 12.34 and 12 are not.

What does not belong here: which tables and columns are watched (`trial.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.migrate.guards import queries

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence


class RowWatch(NamedTuple):
    """Keeps the number of rows of a table.

    Attributes:
        oid: the table.
        kept: the name of the temporary table.
        table: the name of the table before the file, as SQL.
        later: its name after the file.
    """

    oid: str
    kept: str
    table: str
    later: str

    @property
    def keep(self) -> str:
        """The statement before the file."""
        return queries.KEEP_ROWS.format(kept=self.kept, table=self.table)

    @property
    def growth(self) -> str:
        """The expression after it: how many rows there are more, or fewer if it is negative."""
        return queries.GROWTH.format(kept=self.kept, table=self.later)


class ValueWatch(NamedTuple):
    """Keeps the values of a column, or whole rows.

    Attributes:
        oid: the table.
        number: the number of the column; empty for whole rows.
        kept: the name of the temporary table.
        table: the name of the table before the file, as SQL.
        column: the name of the column before the file, as SQL.
        later: the name of the table after the file.
        later_column: the name of the column after the file.
        old_type: its type before the file, as SQL; None if it has the same after it.
        has_cast: the new type can be cast to the old one.
        strips_blanks: the new type shows blanks at the end, but they are lost in a cast.
    """

    oid: str
    number: str
    kept: str
    table: str
    column: str
    later: str
    later_column: str
    old_type: str | None
    has_cast: bool = False
    strips_blanks: bool = False

    @property
    def keep(self) -> str:
        """The statement before the file."""
        return queries.KEEP_VALUES.format(kept=self.kept, table=self.table, column=self.column)

    @property
    def lost(self) -> str:
        """The expression after it: how many values have another text."""
        return self._lost(queries.CAST_BACK if self.strips_blanks else queries.AS_TEXT)

    @property
    def lost_back(self) -> str | None:
        """How many have another text as values of the old type; None if the type is the same.

        The expression fails for a value that is none of the old type.
        """
        if self.old_type is None:
            return None
        can_cast = self.has_cast or self.strips_blanks
        return self._lost(queries.CAST_BACK if can_cast else queries.PARSED_BACK)

    def _lost(self, value: str) -> str:
        value = value.format(column=self.later_column, type=self.old_type)
        return queries.LOST_VALUES.format(
            kept=self.kept, table=self.later, column=self.later_column, value=value
        )


class Watches(NamedTuple):
    """What is watched around one file.

    Attributes:
        rows: the tables whose rows are counted.
        values: the columns whose values are compared.
        foreign: the foreign tables whose rows are counted; they can't be locked.
        rewritten: the tables that the file rewrites, as SQL.
        written: the tables that it only writes to.
    """

    rows: Sequence[RowWatch]
    values: Sequence[ValueWatch]
    foreign: Sequence[RowWatch]
    rewritten: Sequence[str]
    written: Sequence[str]

    @property
    def before(self) -> list[str]:
        """The statements before the file."""
        keep = [*(w.keep for w in (*self.rows, *self.foreign)), *(w.keep for w in self.values)]
        locks = ((queries.LOCK_TABLES, self.written), (queries.LOCK_REWRITTEN, self.rewritten))
        return [
            *(sql.format(tables=", ".join(sorted(names))) for sql, names in locks if names),
            *([*queries.ALIKE, *keep, *queries.OWN_STYLE] if keep else ()),
        ]

    @property
    def measure(self) -> list[str]:
        """The statements after a trial, each with a number: growth of tables, then lost values."""
        return _alike(
            [
                *(queries.MEASURE.format(measure=watch.growth) for watch in self.rows),
                *(queries.MEASURE.format(measure=watch.lost) for watch in self.values),
            ]
        )

    @property
    def cast(self) -> list[ValueWatch]:
        """The values that can be compared as values of their old type, too."""
        return [watch for watch in self.values if watch.old_type is not None]

    @property
    def cast_statements(self) -> list[str]:
        """The statements that do so after a trial, each with a number of lost values; they can fail."""
        return [
            queries.IF_LOST.format(lost=watch.lost, lost_too=watch.lost_back) for watch in self.cast
        ]

    def holds(self, growth: Mapping[str, int], cast_back: Container[ValueWatch]) -> list[str]:
        """Return the statements after the real run, which fail if more is lost than in the trial.

        Args:
            growth: how many rows each table had more in the trial.
            cast_back: the values that are compared as values of their old type.
        """
        rows = [
            f"{watch.growth} >= {growth.get(watch.oid, 0)}" for watch in (*self.rows, *self.foreign)
        ]
        values = [
            f"{watch.lost_back if watch in cast_back else watch.lost} = 0" for watch in self.values
        ]
        conditions = " AND ".join([*rows, *values])
        return _alike([queries.HOLDS.format(conditions=conditions)] if conditions else [])


def _alike(statements: list[str]) -> list[str]:
    """Return statements after those that set what `Watches.before` has set."""
    return [*queries.ALIKE, *statements] if statements else []
