"""What was counted: rows, checksums, the columns that they cover, and the server that computed them.

    Counts          everything that one snapshot holds
    TableCount      the rows of one table, and their checksum
    SequenceValue   what a sequence gives out next, and the highest value of its columns
    Checksum        an order-independent hash of rows, and what it covers
    Source          the server and the moment of the snapshot

How to compare two of them.  Row counts can always be compared.  Two checksums can be compared if
`comparable(...)` says so: both have the same form, cover columns of the same names, and

    text      is SHA-256 over the texts of the values: the same on every server and for all types that
              write the same text, such as int4 and int8;
    native    is PostgreSQL's own hash functions, five to ten times as fast: the same only if the hash
              functions of both servers are (`Source.hashes`: byte order, encoding), and if each column
              is hashed in the same way on both sides (`Checksum.columns`).  Columns whose types differ
              are compared in this form, too, if both are hashed as text (`HashedColumn.as_text`).

So a comparison opens a `Snapshot` of each side, looks at `CountedTable.columns` and `Source`, and
decides before anything is hashed.  Hashes are sums modulo 2**64: the checksum of a table is the sum of
those of its partitions, whatever the ranges, so that a partitioned and an unpartitioned table with the
same rows are equal.  Columns are hashed by name (`HashedColumn.alias` renames one), so their order
does not matter.

What does not belong here: counting (`snapshot.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from chatdb_cli.postgres.model import Target

Form = Literal["native", "text"]
Kind = Literal["table", "partitioned table", "view", "materialized view", "foreign table"]


class CountedColumn(NamedTuple):
    """A column of a table.

    Attributes:
        name: its name.
        type: its type as PostgreSQL writes it, with its modifier and the schema of a type that is not
            PostgreSQL's own: `numeric(10,2)`.
        base: the name of the type that stores its values, without domain and modifier: `numeric`; empty
            for a type that is not PostgreSQL's own, or an array.
        output: the function that turns a value into text, as SQL.
        cast: whether a plain cast to text calls that function.
    """

    name: str
    type: str
    base: str
    output: str
    cast: bool


class HashedColumn(NamedTuple):
    """A column that a checksum covers.

    Attributes:
        column: the column.
        alias: the name under which it is hashed; that of the other side for a column that was renamed.
        as_text: its text is hashed, so that it can be compared with a column of another type.
    """

    column: CountedColumn
    alias: str
    as_text: bool = False


class CountedTable(NamedTuple):
    """A table that can be counted, as the catalog describes it.

    Attributes:
        oid: its OID.
        schema: its schema.
        relation: its name in that schema.
        name: its name in results: with its schema if that is not the target's.
        kind: what it is; only a `table`, or one that was named, is counted.
        parent: the name of the partitioned table that it belongs to, or None.
        columns: its columns, in the table's order.
        key: the columns of the primary key, or else of a unique index over columns that are not null;
            empty without one.
        pages: the pages of its main fork; 0 for a table without storage of its own.
        estimate: its rows according to the statistics; None if there are none.
        divisible: its pages can be read in ranges.
    """

    oid: int
    schema: str
    relation: str
    name: str
    kind: Kind
    parent: str | None
    columns: tuple[CountedColumn, ...]
    key: tuple[str, ...]
    pages: int
    estimate: int | None
    divisible: bool


class Checksum(NamedTuple):
    """An order-independent hash of the rows of a table.

    Attributes:
        value: 16 hexadecimal digits.
        form: how it was computed.
        columns: the name (alias) of each column that it covers and how it is hashed, sorted by name:
            `text`, or the type whose values are hashed.
    """

    value: str
    form: Form
    columns: tuple[tuple[str, str], ...]


class TableCount(NamedTuple):
    """The rows of a table.

    Attributes:
        table: the name, with its schema if that is not the target's.
        rows: the number of rows; of a partitioned table, those of all its partitions.
        estimated: it is an estimate from statistics.
        checksum: the checksum, or None if none was asked for.
        kind: what it is.
        parent: the name of the partitioned table whose rows include these, or None.
        columns: the columns of the table, in its order; empty unless a checksum was asked for.
        key: as for `CountedTable`; empty unless a checksum was asked for.
        duration_ms: the time that its statements took, in milliseconds, on all connections together.
    """

    table: str
    rows: int
    estimated: bool
    checksum: Checksum | None
    kind: Kind
    parent: str | None
    columns: tuple[CountedColumn, ...]
    key: tuple[str, ...]
    duration_ms: int = 0


class Source(NamedTuple):
    """The server and the snapshot.

    Attributes:
        at: the time of the snapshot by the server's clock, in UTC.
        server_version: PostgreSQL's number, such as 180001.
        encoding: of the database.
        hashes: what the server's hash functions return for fixed values: the same for two servers whose
            native checksums can be compared.
        standby: the server is a standby.
        connections: how many connections could share the work.
    """

    at: datetime
    server_version: int
    encoding: str
    hashes: str
    standby: bool
    connections: int


class LeftOut(NamedTuple):
    """A table that was not counted.

    Attributes:
        table: its name.
        reason: why, in words.
    """

    table: str
    reason: str


class SequenceValue(NamedTuple):
    """A sequence, or that of an identity column.

    Attributes:
        sequence: its name, with its schema if that is not the target's.
        value: the value that it gives out next; None if it can't be read.
        highest: the highest value in its columns, or the lowest for a sequence that counts down; None
            without a value, or if no column is known.
        columns: the columns that take their values from it, as (table, column).
        increment: what it adds each time.
        cycles: it begins again at its end.
    """

    sequence: str
    value: int | None
    highest: int | None
    columns: tuple[tuple[str, str], ...]
    increment: int = 1
    cycles: bool = False

    @property
    def is_behind(self) -> bool:
        """The next value is in its columns already, or before one that is."""
        if self.value is None or self.highest is None or self.cycles:
            return False
        return self.value <= self.highest if self.increment > 0 else self.value >= self.highest


class Counts(NamedTuple):
    """The rows of the tables of a target.

    Attributes:
        target: where they were counted.
        tables: the largest first; partitions after their table.
        source: the server and the snapshot.
        left_out: the tables that were not counted because nobody named them.
        duration_ms: the time that it took in milliseconds, connecting included.
        sequences: the sequences and identity columns; empty if they were not asked for.
    """

    target: Target
    tables: tuple[TableCount, ...]
    source: Source
    left_out: tuple[LeftOut, ...]
    duration_ms: int
    sequences: tuple[SequenceValue, ...] = ()

    @property
    def rows(self) -> int:
        """The rows of all tables; partitions count once."""
        return sum(table.rows for table in self.tables if table.parent is None)


class CountProgress(NamedTuple):
    """The progress of a count; the first has read nothing.

    Attributes:
        table: the table that was read last; empty at the start.
        rows: the rows counted so far.
        pages: the pages that were read.
        total_pages: the pages that there are to read.
    """

    table: str
    rows: int
    pages: int
    total_pages: int


def comparable(one: Checksum, other: Checksum, sources: tuple[Source, Source]) -> str | None:
    """Return why two checksums can't be compared, or None if they can.

    Args:
        one: a checksum.
        other: that of the other side, whose columns have the same aliases.
        sources: the servers of both.
    """
    if one.form != other.form:
        return f"one checksum has the {one.form} form, the other the {other.form} form"
    names = [{name for name, _ in checksum.columns} for checksum in (one, other)]
    if names[0] != names[1]:
        return f"the columns differ: {', '.join(sorted(names[0] ^ names[1]))}"
    if one.form == "text":
        return None
    if sources[0].hashes != sources[1].hashes:
        return "the servers hash differently (byte order or encoding)"
    if different := sorted({name for name, _ in set(one.columns) ^ set(other.columns)}):
        return f"columns of different types are hashed differently: {', '.join(different)}"
    return None
