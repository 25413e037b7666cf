"""One side of the search for rows that differ: its statements, and what they return.

    Search      a table on one side
    Part        some buckets of it
    FoundRow    a row of a bucket
    Details     the columns of a row

What does not belong here: comparing both sides (`find.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from psycopg.rows import class_row

from chatdb_cli.counts import queries
from chatdb_cli.counts.buckets import Sums, buckets_sql
from chatdb_cli.counts.hashing import column_text, row_hash
from chatdb_cli.counts.model import HashedColumn
from chatdb_cli.counts.ranges import RANGE, Work, equal_ranges, where
from chatdb_cli.counts.tables import family_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chatdb_cli.counts.model import CountedTable, Form
    from chatdb_cli.counts.snapshot import Snapshot

_Row = TypeVar("_Row", bound=NamedTuple)

# Where a statement gets the name of a table; no name can contain it.
_TABLE = "\1"
# How many characters of a value are shown.
_SHOWN = 200
_WITHOUT_STORAGE = ("view", "foreign table")


class _Bucket(NamedTuple):
    """A row of `queries.BUCKETS`."""

    number: int
    rows: int
    checksum: str
    bucket: int


class Part(NamedTuple):
    """Some buckets of a table.

    Attributes:
        mask: the number of all buckets, a power of two, less one; 0 for the whole table.
        numbers: which of them these are.
        sizes: how many rows the larger side has in each of them.
    """

    mask: int
    numbers: tuple[int, ...]
    sizes: tuple[int, ...]


class FoundRow(NamedTuple):
    """A row of `queries.BUCKET_ROWS` and of `queries.BUCKET_MULTISET`.

    Attributes:
        key: the values of the key as text; empty in a table without a key.
        hash: that of the whole row.
        place: the OID of its table and its ctid, or None in a relation without storage.
        copies: how often it occurs.
    """

    key: list[str]
    hash: int
    place: str | None
    copies: int

    @property
    def id(self) -> str:
        """What `Details` have for the same row."""
        return self.place or str(self.hash)


class Details(NamedTuple):
    """A row of `queries.DETAILS`.

    Attributes:
        id: as for `FoundRow`.
        hashes: one for each column, also for NULL.
        texts: the first characters of each value; empty if values are not wanted.
    """

    id: str
    hashes: list[int]
    texts: list[str | None]


class Search(NamedTuple):
    """A table on one side.

    Attributes:
        snapshot: the snapshot of that side.
        table: the table.
        columns: what is hashed; the same aliases, in the same order, on both sides.
        form: how rows and keys are hashed, as for the checksum.
        key: the columns of the key, in the same order on both sides; empty for a multiset.
        first: the sums of the buckets that the count has computed, or None.
    """

    snapshot: Snapshot
    table: CountedTable
    columns: tuple[HashedColumn, ...]
    form: Form
    key: tuple[HashedColumn, ...]
    first: Sums | None = None

    def cancel(self) -> None:
        """End early what another thread does."""
        self.snapshot.cancel()

    def sums(self, part: Part, mask: int) -> Sums:
        """Return the rows of the smaller buckets in some buckets, and the sums of their hashes.

        Args:
            part: the buckets that are divided.
            mask: the number of smaller buckets in the whole table, less one.
        """
        key_hash = self._key_hash if self.key else ""
        sql = buckets_sql(self.row_hash, key_hash, mask, number=0, table=_TABLE, range=RANGE)
        sums: Sums = {}
        for row in self._run(sql, part, _Bucket):
            rows, checksum = sums.get(row.bucket, (0, 0))
            sums[row.bucket] = rows + row.rows, (checksum + int(row.checksum)) % 2**64
        return sums

    def rows(self, part: Part) -> list[FoundRow]:
        """Return the rows of some buckets."""
        values = {
            "hash": self.row_hash,
            "place": queries.NO_PLACE if self._without_storage else queries.PLACE,
            "table": _TABLE,
            "range": RANGE,
        }
        if self.key:
            sql = queries.BUCKET_ROWS.format(key=self._key_text, **values)
        else:
            sql = queries.BUCKET_MULTISET.format(**values)
        return list(self._run(sql, part, FoundRow))

    def _run(self, sql: str, part: Part, row: type[_Row]) -> Iterator[_Row]:
        """Run a statement over all ranges of the table, and yield its rows.

        Args:
            sql: has the marks `_TABLE` and `RANGE` in it.
            part: the buckets that it reads.
            row: what its rows are.
        """
        only = ""
        if part.mask:
            only = queries.IN_BUCKETS.format(
                part_hash=self._key_hash if self.key else self.row_hash,
                mask=part.mask,
                buckets=f"ARRAY[{', '.join(map(str, part.numbers))}]::int8[]",
            )
        works = [
            Work(
                table.name,
                pages,
                sql.replace(RANGE, where(condition, only)).replace(
                    _TABLE, self.snapshot.from_item(table)
                ),
            )
            for table in self._tables()
            for condition, pages in equal_ranges(table, self.snapshot.source.connections)
        ]
        for done in self.snapshot.run(works, class_row(row)):
            yield from done.rows

    def details(self, rows: Sequence[FoundRow], *, show_values: bool) -> dict[str, Details]:
        """Return the columns of some rows, by `FoundRow.id`.

        Args:
            rows: the rows.
            show_values: also return the values as text.
        """
        if not rows:
            return {}
        quote = self.snapshot.quote
        texts = [
            queries.SHORTENED.format(text=self._text(column), length=_SHOWN)
            for column in self.columns
            if show_values
        ]
        if self._without_storage:
            hashes = ", ".join(str(row.hash) for row in rows)
            condition = queries.WITH_HASHES.format(hash=self.row_hash, hashes=f"ARRAY[{hashes}]")
        else:
            places = [row.place or "" for row in rows]
            condition = queries.AT_PLACES.format(
                tids="ARRAY[{}]".format(", ".join(f"'{p.partition(' ')[2]}'" for p in places)),
                places="ARRAY[{}]".format(", ".join(f"'{p}'" for p in places)),
            )
        sql = queries.DETAILS.format(
            id=f"({self.row_hash})::text" if self._without_storage else queries.PLACE,
            hashes=", ".join(row_hash([column], self.form, quote) for column in self.columns),
            texts=", ".join(texts),
            table=self.snapshot.from_item(self.table),
            condition=condition,
        )
        cursor = self.snapshot.connection.cursor(row_factory=class_row(Details))
        with self.snapshot.explained():
            return {row.id: row for row in cursor.execute(sql.encode())}

    @property
    def _without_storage(self) -> bool:
        return self.table.kind in _WITHOUT_STORAGE

    def _tables(self) -> list[CountedTable]:
        """Return the tables that hold the rows."""
        family = family_of(self.snapshot.tables, self.table.name)
        return [table for table in family if table.kind != "partitioned table"]

    @property
    def _key_text(self) -> str:
        """The values of the key as text, as an SQL array."""
        return f"ARRAY[{', '.join(map(self._text, self.key))}]::text[]"

    @property
    def row_hash(self) -> str:
        """The hash of a row as SQL."""
        return row_hash(self.columns, self.form, self.snapshot.quote)

    @property
    def _key_hash(self) -> str:
        return row_hash(self.key, self.form, self.snapshot.quote)

    def _text(self, column: HashedColumn) -> str:
        return column_text(column, self.snapshot.quote)
