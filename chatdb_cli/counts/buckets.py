"""The rows of a table in buckets, by the hash of the key, or of the row in a table without a key.

    Buckets        which buckets are wanted of a table
    BucketSums     their rows, and the sums of their hashes
    buckets_sql    the statement that computes them

A key is in the same bucket on both sides of a comparison, so the buckets whose sums differ hold all
rows that differ.  The sum of all buckets is the checksum.  They are computed by the same scan, which
takes 1.4 times as long as without them (2 million rows, processor time, PostgreSQL 18).  What does not
belong here: the search in these buckets (`find.py`).
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.counts import queries

if TYPE_CHECKING:
    from chatdb_cli.counts.model import HashedColumn

# How many buckets the first scan has: so many that those of a few rows hold few of some millions, and so
# few that the sums of each range of pages are quickly read.
COUNT = 2048
Sums = dict[int, tuple[int, int]]


class Buckets(NamedTuple):
    """Which buckets are wanted of a table.

    Attributes:
        table: the name of the table whose buckets these are; for a partition, that of its table.
        key: the columns whose hash chooses the bucket; empty for the hash of the row.
        mask: the number of buckets, a power of two, less one.
    """

    table: str
    key: tuple[HashedColumn, ...]
    mask: int = COUNT - 1


class BucketSums:
    """The rows of each of `COUNT` buckets, and the sums of their hashes, modulo 2**64."""

    def __init__(self) -> None:
        self._rows, self._sums = array("Q", bytes(8 * COUNT)), array("Q", bytes(8 * COUNT))

    def add(self, bucket: int, rows: int, checksum: int) -> None:
        """Add rows to a bucket."""
        self._rows[bucket] += rows
        self._sums[bucket] = (self._sums[bucket] + checksum) % 2**64

    def by_bucket(self) -> Sums:
        """Return rows and sum of each bucket that has rows."""
        pairs = zip(self._rows, self._sums, strict=True)
        return {bucket: pair for bucket, pair in enumerate(pairs) if pair[0]}


def buckets_sql(row_hash: str, key_hash: str, mask: int, **values: object) -> str:
    """Return the statement that computes the sums of buckets.

    Args:
        row_hash: the hash of a row as SQL.
        key_hash: that of its key; empty for a table without one.
        mask: the number of buckets, less one.
        values: the others of `queries.BUCKETS`: number, table and range.
    """
    return queries.BUCKETS.format(
        hash=row_hash,
        part=queries.KEY_PART if key_hash else queries.ROW_PART,
        part_column=queries.KEY_PART_COLUMN.format(key_hash=key_hash) if key_hash else "",
        mask=mask,
        **values,
    )
