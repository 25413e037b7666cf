"""Sequences and identity columns: the next value, against the highest value of their columns.

    read_sequences       those of a schema, or of some of its tables, as the server has them now
    compare_sequences    those of two sides

A move that copies rows, but no sequences, leaves the next value behind the highest one: then the next
INSERT fails with a duplicate key.  Sequences do not belong to a snapshot, so they are read after it was
taken: then a session that inserts meanwhile does not make one look behind.

A column counts if it is an identity column, or if its default is nextval() and nothing else: what
another expression makes of the value can't be compared with it.  What does not belong here: counting
rows (`snapshot.py`).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from psycopg.rows import class_row

from chatdb_cli.counts import queries
from chatdb_cli.counts.differences import ComparedSequence
from chatdb_cli.counts.model import SequenceValue
from chatdb_cli.counts.tables import name_in_results
from chatdb_cli.postgres.quoting import Quoting

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from decimal import Decimal
    from typing import Any

    import psycopg

    from chatdb_cli.counts.differences import SequenceState
    from chatdb_cli.postgres.model import Target

# How many sequences one statement reads.
_TOGETHER = 100


class _Use(NamedTuple):
    """A row of `queries.SEQUENCES`: a sequence, and a column that takes its values from it, or None."""

    oid: int
    schema: str
    relation: str
    increment: int
    cycles: bool
    readable: bool
    table_schema: str | None
    table: str | None
    column: str | None
    column_readable: bool | None


class _Number(NamedTuple):
    """A row of `queries.NEXT_VALUE` and of `queries.HIGHEST`."""

    oid: int
    value: Decimal | None


def read_sequences(
    conn: psycopg.Connection[Any], target: Target, tables: Collection[str] | None = None
) -> tuple[SequenceValue, ...]:
    """Return the sequences of a schema, with the highest values of their columns; reads only.

    Args:
        conn: a connection in a transaction whose snapshot was taken.
        target: its schema is the one without a name.
        tables: only the sequences of these tables, by their names in results; None for all sequences.
    """
    quote = Quoting(conn, target.schema).identifier
    cursor = conn.cursor(row_factory=class_row(_Use))
    uses: dict[int, list[_Use]] = defaultdict(list)
    for use in cursor.execute(queries.SEQUENCES, {"schema": target.schema}):
        if tables is None or any(table in tables for table, _ in _columns([use], target)):
            uses[use.oid].append(use)
    values = _read_numbers(conn, _next_values(uses.values(), quote), max)
    highest: dict[int, int | None] = {}
    for extreme, choose in (("max", max), ("min", min)):
        some = [u for u in uses.values() if (u[0].increment > 0) == (extreme == "max")]
        highest |= _read_numbers(conn, _highest(some, extreme, quote), choose)
    return tuple(
        SequenceValue(
            sequence=name_in_results(one.schema, one.relation, target),
            value=values.get(oid),
            highest=highest.get(oid),
            columns=_columns(some, target) if oid in highest else (),
            increment=one.increment,
            cycles=one.cycles,
        )
        for oid, some in uses.items()
        for one in some[:1]
    )


def _columns(uses: Iterable[_Use], target: Target) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name_in_results(use.table_schema, use.table, target), use.column)
        for use in uses
        if use.table_schema is not None and use.table is not None and use.column is not None
    )


def _next_values(uses: Iterable[list[_Use]], quote: Callable[[str], str]) -> Iterator[str]:
    """Yield a statement for each sequence that the role may read."""
    for one, *_ in uses:
        if one.readable:
            name = f"{quote(one.schema)}.{quote(one.relation)}"
            yield queries.NEXT_VALUE.format(oid=one.oid, increment=one.increment, sequence=name)


def _highest(
    uses: Iterable[list[_Use]], extreme: str, quote: Callable[[str], str]
) -> Iterator[str]:
    """Yield a statement for each column, but for those of a sequence with one that can't be read."""
    for some in uses:
        if all(use.column_readable for use in some):
            for use in some:
                yield queries.HIGHEST.format(
                    oid=use.oid,
                    extreme=extreme,
                    column=quote(use.column or ""),
                    table=f"{quote(use.table_schema or '')}.{quote(use.table or '')}",
                )


def _read_numbers(
    conn: psycopg.Connection[Any], statements: Iterable[str], choose: Callable[[Iterable[int]], int]
) -> dict[int, int | None]:
    """Run statements, many at once; return the number for each sequence.

    Args:
        conn: the connection.
        statements: each returns a row of `_Number`.
        choose: chooses one of several numbers for the same sequence.
    """
    waiting = list(statements)
    cursor = conn.cursor(row_factory=class_row(_Number))
    found: dict[int, int | None] = {}
    for start in range(0, len(waiting), _TOGETHER):
        together = queries.AND_ALSO.join(waiting[start : start + _TOGETHER])
        for row in cursor.execute(together.encode()):
            numbers = [n for n in (found.get(row.oid), row.value) if n is not None]
            found[row.oid] = choose(map(int, numbers)) if numbers else None
    return found


def compare_sequences(
    this: Iterable[SequenceValue],
    other: Iterable[SequenceValue],
    tables: Mapping[str, str],
    columns: Mapping[tuple[str, str], str],
) -> tuple[ComparedSequence, ...]:
    """Compare the sequences of two sides; those that do not match are first.

    To a sequence belongs that of the other side that serves the same column, or else has the same name.

    Args:
        this: those of this side.
        other: those of the other side.
        tables: the name of each table of this side on the other side.
        columns: the name of each renamed column on the other side, by its table and its name.
    """
    left = {sequence.sequence: sequence for sequence in other}
    by_column = {column: s.sequence for s in left.values() for column in s.columns}
    compared = []
    for sequence in sorted(this, key=lambda one: not one.columns):  # names are for what is left
        there = [
            (tables.get(table, table), columns.get((table, column), column))
            for table, column in sequence.columns
        ]
        names = [by_column[column] for column in there if column in by_column]
        name = next((name for name in (*names, sequence.sequence) if name in left), None)
        counterpart = left.pop(name) if name is not None else None
        state = _state(sequence, counterpart) if counterpart else "missing"
        compared.append(ComparedSequence(sequence.sequence, sequence, counterpart, state))
    compared += [ComparedSequence(s.sequence, None, s, "missing") for s in left.values()]
    return tuple(sorted(compared, key=lambda one: (one.match, one.sequence)))


def _state(this: SequenceValue, other: SequenceValue) -> SequenceState:
    if this.is_behind or other.is_behind:
        return "behind"
    if this.value is None or other.value is None:
        return "unknown"
    if this.value == other.value:
        return "same"
    return "ahead" if this.columns and other.columns else "differs"
