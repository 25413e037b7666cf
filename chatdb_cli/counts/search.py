"""One side of the search for rows that differ: its statements, and what they return.

    Search      a table on one side
    FoundRow    a row of a bucket
    Details     the columns of a row

What does not belong here: comparing both sides (`find.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from psycopg.rows import class_row

from chatdb_cli.counts import queries
from chatdb_cli.counts.hashing import column_text, row_hash
from chatdb_cli.counts.model import HashedColumn
from chatdb_cli.counts.ranges import Work, equal_ranges

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chatdb_cli.counts.model import CountedTable, Form
    from chatdb_cli.counts.snapshot import Snapshot

_Row = TypeVar("_Row", bound=NamedTuple)

# Where a statement gets the name of a table, and a range of its pages; no name can contain these.
_TABLE, _RANGE = "\0", "\1\0"
# How many characters of a value are shown.
_SHOWN = 200
_WITHOUT_STORAGE = ("view", "foreign table")


class Bucket(NamedTuple):
    """A row of the statements that sum hashes.

    Attributes:
        bucket: the number of the bucket, or of the range of keys.
        rows: the number of its rows.
        checksum: the sum of their hashes.
    """

    bucket: int
    rows: int
    checksum: str


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
    """

    snapshot: Snapshot
    table: CountedTable
    columns: tuple[HashedColumn, ...]
    form: Form
    key: tuple[HashedColumn, ...]

    def cancel(self) -> None:
        """End early what another thread does."""
        self.snapshot.cancel()

    def buckets(self, mask: int) -> dict[int, tuple[int, int]]:
        """Return the rows of each bucket, and the sum of their hashes.

        Args:
            mask: the number of buckets, less one.
        """
        values = {"hash": self.row_hash, "mask": mask, "table": _TABLE, "range": _RANGE}
        if self.key:
            sql = queries.BUCKETS.format(key_hash=self._key_hash, **values)
        else:
            sql = queries.MULTISET_BUCKETS.format(**values)
        buckets: dict[int, tuple[int, int]] = {}
        for row in self._run(sql, Bucket):
            rows, checksum = buckets.get(row.bucket, (0, 0))
            buckets[row.bucket] = rows + row.rows, (checksum + int(row.checksum)) % 2**64
        return buckets

    def rows(self, mask: int, buckets: Sequence[int]) -> list[FoundRow]:
        """Return the rows of some buckets.

        Args:
            mask: the number of buckets, less one.
            buckets: their numbers.
        """
        values = {
            "hash": self.row_hash,
            "place": queries.NO_PLACE if self._without_storage else queries.PLACE,
            "buckets": f"ARRAY[{', '.join(map(str, buckets))}]::int8[]",
            "table": _TABLE,
            "range": _RANGE,
        }
        if not self.key:
            return list(self._run(queries.BUCKET_MULTISET.format(mask=mask, **values), FoundRow))
        bucket = f"({self._key_hash} & {mask})"
        sql = queries.BUCKET_ROWS.format(bucket=bucket, key=self.key_text, **values)
        return list(self._run(sql, FoundRow))

    def _run(self, sql: str, row: type[_Row]) -> Iterator[_Row]:
        """Run a statement over all ranges of the table, and yield its rows.

        Args:
            sql: has the marks `_TABLE` and `_RANGE` in it.
            row: what its rows are.
        """
        works = [
            Work(
                part.name,
                pages,
                sql.replace(_RANGE, condition).replace(_TABLE, self.sql_name(part)),
            )
            for part in self._parts()
            for condition, pages in equal_ranges(part, self.snapshot.source.connections)
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
            table=self.sql_name(self.table),
            condition=condition,
        )
        cursor = self.snapshot.connection.cursor(row_factory=class_row(Details))
        with self.snapshot.explained():
            return {row.id: row for row in cursor.execute(sql.encode())}

    @property
    def _without_storage(self) -> bool:
        return self.table.kind in _WITHOUT_STORAGE

    def sql_name(self, table: CountedTable) -> str:
        """Return what a statement reads: the table, without those that inherit from it."""
        return ("ONLY " if table.kind == "table" else "") + self.snapshot.sql_name(table)

    def _parts(self) -> list[CountedTable]:
        """Return the tables that hold the rows."""
        parts = [self.table]
        for part in parts:  # grows meanwhile: the partitions of partitions
            parts += [table for table in self.snapshot.tables if table.parent == part.name]
        return [part for part in parts if part.kind != "partitioned table"]

    @property
    def key_text(self) -> str:
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
