"""Which table and which column of one side belongs to which of the other.

    Shape           a table of a side, by its name
    Renames         the tables and columns that have another name on the other side
    pair_tables     the tables of both sides
    pair_columns    the columns of two tables

Names are the same on both sides unless a rename says something else.  What does not belong here: rows
and checksums (`compare.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.counts.model import CountedTable, TableCount
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.settings.parse import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from chatdb_cli.counts.model import CountedColumn


class Shape(NamedTuple):
    """A table of a side.

    Attributes:
        name: its name in results.
        parent: the partitioned table that it belongs to, or None.
        columns: its columns, in its order.
    """

    name: str
    parent: str | None
    columns: tuple[CountedColumn, ...]


def shape_of(table: CountedTable | TableCount) -> Shape:
    """Return the shape of a table, counted or to be counted."""
    name = table.name if isinstance(table, CountedTable) else table.table
    return Shape(name, table.parent, table.columns)


class Renames(NamedTuple):
    """What has another name on the other side.

    Attributes:
        tables: the name of a table on the other side, by its name on this side.
        columns: the name of a column on the other side, by table and column on this side.
    """

    tables: Mapping[str, str]
    columns: Mapping[tuple[str, str], str]

    def table(self, name: str) -> str:
        """Return the name of a table on the other side."""
        return self.tables.get(name, name)


class TablePair(NamedTuple):
    """A table on both sides; None on a side that has no such table.

    Attributes:
        this: the table on this side.
        other: the table on the other side.
        root: the table whose rows include these on this side; its own name if there is none.
    """

    this: Shape | None
    other: Shape | None
    root: str

    @property
    def sides(self) -> tuple[Shape | None, Shape | None]:
        """The table on this side and on the other."""
        return self.this, self.other

    @property
    def name(self) -> str:
        """The name in results."""
        return (self.this or self.other or Shape("", None, ())).name


class ColumnPairs(NamedTuple):
    """The columns of two tables.

    Attributes:
        both: the columns of this side and those of the other that belong to them.
        only_this: the names of columns that only this side has.
        only_other: those of columns that only the other side has.
    """

    both: tuple[tuple[CountedColumn, CountedColumn], ...]
    only_this: tuple[str, ...]
    only_other: tuple[str, ...]


def resolve_renames(
    this: Sequence[Shape],
    other: Sequence[Shape],
    tables: Mapping[str, str],
    columns: Mapping[str, str],
) -> Renames:
    """Return the renames that a user has named, which may be in either direction.

    Args:
        this: the tables of this side.
        other: the tables of the other side.
        tables: the name of a table on one side, and its name on the other.
        columns: a column as `table.column`, with the table's name on either side, and its name on the
            other side.

    Raises:
        ChatdbError: `USAGE`, no such table or column, or one has two names.
    """
    here, there = ({shape.name: shape for shape in side} for side in (this, other))
    resolved: dict[str, str] = {}
    for one, another in tables.items():
        name, counterpart = _directed(one, another, here, there, "table")
        if name in resolved or counterpart in resolved.values():
            raise _twice("table", name if name in resolved else counterpart)
        resolved[name] = counterpart
    pairs = pair_tables(this, other, Renames(resolved, {}))
    renamed: dict[tuple[str, str], str] = {}
    for qualified, another in columns.items():
        pair, one = _column_of(qualified, pairs)
        mine, theirs = ({c.name: c for c in side.columns} if side else {} for side in pair.sides)
        name, counterpart = _directed(one, another, mine, theirs, f"column of {pair.name!r}")
        if (pair.name, name) in renamed:
            raise _twice("column", name)
        renamed[pair.name, name] = counterpart
    return Renames(resolved, renamed)


def _directed(
    one: str, another: str, this: Iterable[str], other: Iterable[str], what: str
) -> tuple[str, str]:
    """Return two names as that of this side and that of the other."""
    here, there = set(this), set(other)
    if one in here and another in there:
        return one, another
    if another in here and one in there:
        return another, one
    known = here | there
    missing = next((name for name in (one, another) if name not in known), None)
    if missing is None:
        problem = f"{one!r} and {another!r} are not on different sides"
    else:
        problem = f"no side has a {what} {missing!r}{did_you_mean(missing, known)}"
    raise ChatdbError(
        Code.USAGE, problem, hint="a rename is OLD=NEW: one side has OLD, the other side has NEW"
    )


def _twice(what: str, name: str) -> ChatdbError:
    return ChatdbError(
        Code.USAGE, f"{what} {name!r} is in two renames", hint="leave one of them out"
    )


def _column_of(qualified: str, pairs: Iterable[TablePair]) -> tuple[TablePair, str]:
    """Return the table of a column that is written as `table.column`, and the column."""
    by_name = {side.name: pair for pair in pairs for side in pair.sides if side}
    for place in (n for n, character in enumerate(qualified) if character == "."):
        if pair := by_name.get(qualified[:place]):
            return pair, qualified[place + 1 :]
    table = qualified.rpartition(".")[0]
    raise ChatdbError(
        Code.USAGE,
        f"no side has a table {table!r}{did_you_mean(table, by_name)}"
        if table
        else f"{qualified!r} names no table",
        hint="a renamed column is TABLE.OLD=NEW",
    )


def pair_tables(
    this: Sequence[Shape], other: Sequence[Shape], renames: Renames
) -> tuple[TablePair, ...]:
    """Return the tables of both sides, those of this side in its order.

    A partition that only one side has is left out: its rows are compared with its table.

    Args:
        this: the tables of this side, a partition after its table.
        other: the tables of the other side.
        renames: which have another name there.
    """
    left = {shape.name: shape for shape in other}
    taken = set(renames.tables.values())
    pairs = []
    names = {shape.name for shape in this}
    roots: dict[str, str] = {}
    for shape in this:
        is_part = shape.parent in names
        roots[shape.name] = roots[shape.parent or ""] if is_part else shape.name
        name = renames.table(shape.name)
        free = shape.name in renames.tables or name not in taken
        counterpart = left.pop(name, None) if free else None
        if counterpart or not is_part:
            pairs.append(TablePair(shape, counterpart, roots[shape.name]))
    others = {shape.name for shape in other}
    pairs += [
        TablePair(None, shape, shape.name) for shape in left.values() if shape.parent not in others
    ]
    return tuple(pairs)


def pair_columns(
    this: Shape,
    other: Shape,
    renames: Renames,
    columns: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> ColumnPairs:
    """Return the columns of two tables that are compared.

    Args:
        this: the table on this side.
        other: the same on the other side.
        renames: which columns have another name there.
        columns: only these, as `column` or `table.column`, with the names of either side; empty for all.
        exclude: those that are left out.
    """
    tables = {this.name, other.name}

    def is_meant(*names: str) -> bool:
        written = {*names, *(f"{table}.{name}" for table in tables for name in names)}
        return (not columns or bool(written & set(columns))) and not written & set(exclude)

    left = {column.name: column for column in other.columns}
    renamed = {c: new for (table, c), new in renames.columns.items() if table == this.name}
    taken = set(renamed.values())
    both = []
    only_this = []
    for column in this.columns:
        name = renamed.get(column.name, column.name)
        free = column.name in renamed or name not in taken
        counterpart = left.pop(name, None) if free else None
        if not is_meant(column.name, *([counterpart.name] if counterpart else [])):
            continue
        if counterpart:
            both.append((column, counterpart))
        else:
            only_this.append(column.name)
    only_other = tuple(name for name in left if is_meant(name))
    return ColumnPairs(tuple(both), tuple(only_this), only_other)


def require_columns(names: Iterable[str], pairs: Iterable[TablePair]) -> None:
    """Refuse the name of a column that no table of either side has.

    Args:
        names: columns, as `column` or `table.column`.
        pairs: the tables.

    Raises:
        ChatdbError: `USAGE`.
    """
    shapes = [side for pair in pairs for side in pair.sides if side]
    plain = {column.name for shape in shapes for column in shape.columns}
    qualified = {f"{shape.name}.{column.name}" for shape in shapes for column in shape.columns}
    for name in names:
        if name not in plain | qualified:
            raise ChatdbError(
                Code.USAGE,
                f"no table that is compared has a column {name!r}{did_you_mean(name, plain)}",
                hint="name a column, or TABLE.COLUMN for that of one table",
            )
