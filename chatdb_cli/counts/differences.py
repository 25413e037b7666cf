"""What a comparison of two sides found: tables, sequences, rows.

    CountsComparison    everything, and whether both sides are the same
    ComparedTable       a table on both sides, or on one
    RowDifference       a row that is not the same on both sides
    ComparedSequence    a sequence on both sides, or on one
    Place               a side, without secrets

"This side" is the target, or what is counted now; "the other side" is what it is compared with: another
target, or a saved file.  What does not belong here: finding differences (`compare.py`, `find.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from chatdb_cli.counts.model import Checksum, LeftOut, SequenceValue, Source
    from chatdb_cli.postgres.model import Target

DifferenceKind = Literal["missing", "extra", "differs"]
SequenceState = Literal["same", "ahead", "behind", "differs", "missing", "unknown"]


class Place(NamedTuple):
    """A database and a schema, without secrets; the attributes are those of `Target`.

    Attributes:
        host: None for the default socket.
        port: None for the default port.
        database: the name of the database.
        user: the role that logged in.
        schema: the schema.
        via: the bastion, or None.
        source: the setting or the file that named it.
    """

    host: str | None
    port: int | None
    database: str
    user: str
    schema: str
    via: str | None
    source: str

    def __str__(self) -> str:
        where = self.host or "local socket"
        port = f":{self.port}" if self.port and not where.startswith(("/", "@")) else ""
        via = f", via {self.via}" if self.via else ""
        return (
            f"{self.user}@{where}{port}/{self.database}, schema {self.schema}{via} ({self.source})"
        )


def place_of(target: Target) -> Place:
    """Return a target as a value without secrets."""
    return Place(
        target.host, target.port, target.database, target.user, target.schema, target.via,
        target.source,
    )  # fmt: skip


class RowDifference(NamedTuple):
    """A row that is not the same on both sides.

    Attributes:
        kind: `missing`: only this side has it; `extra`: only the other side has it; `differs`: both have
            the key, with other values.
        key: the columns of the key and their values as text; None in a table without a key.
        columns: the columns whose values differ; empty for a row that one side has not.
        values: with `show_values`, (column, value on this side, value on the other side) as text; long
            values are cut.
        rows: how often this side has the row.
        other_rows: how often the other side has it.
        places: where it is on each side, as the OID of its table and its `ctid`; None on a side that
            has no such row, and in a relation without storage.
    """

    kind: DifferenceKind
    key: tuple[tuple[str, str], ...] | None
    columns: tuple[str, ...] = ()
    values: tuple[tuple[str, str | None, str | None], ...] = ()
    rows: int = 1
    other_rows: int = 1
    places: tuple[str | None, str | None] = (None, None)


class ComparedTable(NamedTuple):
    """A table on both sides, or on one.

    Attributes:
        table: its name on this side; that of the other side if only that has it.
        other_table: its name on the other side, or None if that has no such table.
        rows: its rows on this side, or None if this side has no such table.
        other_rows: its rows on the other side, or None.
        checksum: that of this side, or None if none was asked for, or it can't be compared.
        other_checksum: that of the other side.
        match: both sides have the table, with the same rows as far as that was compared.
        reasons: why it does not match, or what could not be compared.
        root: the partitioned table whose rows include these, or its own name.
        differences: the first rows that are not the same.
        complete: no other row differs; False also if none was searched for.
    """

    table: str
    other_table: str | None
    rows: int | None
    other_rows: int | None
    checksum: Checksum | None = None
    other_checksum: Checksum | None = None
    match: bool = True
    reasons: tuple[str, ...] = ()
    root: str = ""
    differences: tuple[RowDifference, ...] = ()
    complete: bool = False


class ComparedSequence(NamedTuple):
    """A sequence on both sides, or on one.

    Attributes:
        sequence: its name on this side; that of the other side if only that has it.
        this: what this side has, or None.
        other: what the other side has, or None.
        state: `same`: the next values are equal; `ahead`: they differ, and each is after the highest
            value of its columns; `behind`: on one side at least it is not; `differs`: they differ, and
            no column says which is right; `missing`: one side has no such sequence; `unknown`: it
            can't be read.
    """

    sequence: str
    this: SequenceValue | None
    other: SequenceValue | None
    state: SequenceState

    @property
    def match(self) -> bool:
        """No number can be given out twice."""
        return self.state in ("same", "ahead")


class CountsComparison(NamedTuple):
    """What a comparison of two sides found.

    Attributes:
        this: this side.
        other: the other side.
        sources: the servers and the moments of the snapshots, of this side and the other.
        tables: the tables, the largest first, partitions after their table.
        sequences: the sequences and identity columns.
        left_out: tables that were not compared because nobody named them.
        notes: what a person should know, such as which checksums have the slower form.
        duration_ms: the time that it took in milliseconds.
    """

    this: Place
    other: Place
    sources: tuple[Source, Source]
    tables: tuple[ComparedTable, ...]
    sequences: tuple[ComparedSequence, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    duration_ms: int = 0

    @property
    def ok(self) -> bool:
        """Both sides are the same, as far as they were compared."""
        return all(t.match for t in self.tables) and all(s.match for s in self.sequences)
