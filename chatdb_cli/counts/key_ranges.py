"""A table that is stored in the order of its key, as ranges of the key.

    sample_bounds    the bounds of such ranges, or None for another table
    KeyRanges        the same ranges on both sides: their sums, and their rows

Rows of one range are beside each other, so an index scan of a range reads few pages, and the sums of all
ranges cost little more than the checksum; buckets of the key's hash cost twice as much.  An index can be
broken, so the checksums, which prove that rows differ, never depend on one: these ranges only say where.
What does not belong here: the choice between ranges and buckets (`find.py`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from psycopg.rows import class_row

from chatdb_cli.counts import queries
from chatdb_cli.counts.at_once import at_once
from chatdb_cli.counts.ranges import Work
from chatdb_cli.counts.search import Bucket, FoundRow, Search

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Types whose order is the same on every server.
_ORDERED = ("int2", "int4", "int8", "uuid", "date", "timestamp", "timestamptz")
# How many rows a range should have, how many ranges there are at most, how many a statement reads.
_ROWS_IN_RANGE = 1000
_MOST_RANGES = 1 << 14
_TOGETHER = 64
# How many pages are looked at at least to see the order, and which share may be out of order.
_PROBES = 256
_OUT_OF_ORDER = 0.05
# A smaller table is searched in one step.
_SMALLEST_PAGES = 64


class _Sample(NamedTuple):
    """A row of `queries.SAMPLE`."""

    bound: str
    ascends: bool


def sample_bounds(sides: tuple[Search, Search], rows: int) -> tuple[str, ...] | None:
    """Return the bounds of ranges of the key, ascending, or None if a side is not in its order.

    Args:
        sides: the table on both sides.
        rows: how many rows the larger side has.
    """
    if any(not _is_eligible(side) for side in sides):
        return None
    wanted = min(max(rows // _ROWS_IN_RANGE, _PROBES), _MOST_RANGES)
    samples = at_once(partial(_sample, count=wanted), sides, Search.cancel)
    if not all(map(_is_in_order, samples, sides)):
        return None
    return tuple(dict.fromkeys(row.bound for row in samples[0]))


def _is_eligible(side: Search) -> bool:
    """Return whether a table can have ranges: one plain key column with an index of its own."""
    if len(side.key) != 1 or side.form != "native" or side.key[0].as_text:
        return False
    column = side.key[0].column
    is_own = side.table.key == (column.name,)
    is_big = side.table.divisible and side.table.pages > _SMALLEST_PAGES
    return is_own and is_big and column.base in _ORDERED


def _is_in_order(sample: Sequence[_Sample], side: Search) -> bool:
    """Return whether most pages have a first row, and most of these rows are in the order of the key."""
    ascending = sum(row.ascends for row in sample)
    enough = len(sample) * 2 >= min(side.table.pages, _PROBES)
    return enough and ascending >= len(sample) * (1 - _OUT_OF_ORDER)


def _sample(side: Search, count: int) -> list[_Sample]:
    """Return the keys of the first rows of some pages, in the order of the key."""
    pages = range(0, side.table.pages, max(side.table.pages // count, 1))
    tids = ", ".join(f"'({page},1)'" for page in pages)
    sql = queries.SAMPLE.format(
        key=side.snapshot.quote(side.key[0].column.name),
        table=side.sql_name(side.table),
        tids=f"ARRAY[{tids}]",
    )
    cursor = side.snapshot.connection.cursor(row_factory=class_row(_Sample))
    with side.snapshot.explained():
        return cursor.execute(sql.encode()).fetchall()


class KeyRanges(NamedTuple):
    """Ranges of the key: before the first bound, between two, and from the last one on.

    Attributes:
        bounds: the bounds as text, ascending, at least one.
    """

    bounds: tuple[str, ...]

    def sums(self, side: Search) -> dict[int, tuple[int, int]]:
        """Return the rows of each range, and the sum of their hashes."""
        works = [Work(side.table.name, 0, sql) for sql in (*self._ends(side), *self._between(side))]
        return {
            row.bucket: (row.rows, int(row.checksum) % 2**64)
            for done in side.snapshot.run(works, class_row(Bucket))
            for row in done.rows
        }

    def rows(self, side: Search, numbers: Sequence[int]) -> list[FoundRow]:
        """Return the rows of some ranges."""
        works = [
            Work(
                side.table.name,
                0,
                queries.KEY_ROWS.format(
                    key_text=side.key_text,
                    hash=side.row_hash,
                    place=queries.PLACE,
                    table=side.sql_name(side.table),
                    condition=self._condition(side, number),
                ),
            )
            for number in numbers
        ]
        return [row for done in side.snapshot.run(works, class_row(FoundRow)) for row in done.rows]

    def _ends(self, side: Search) -> Iterator[str]:
        for number in (0, len(self.bounds)):
            yield queries.KEY_END.format(
                number=number,
                hash=side.row_hash,
                table=side.sql_name(side.table),
                condition=self._condition(side, number),
            )

    def _between(self, side: Search) -> Iterator[str]:
        numbers = range(1, len(self.bounds))
        for start in range(0, len(numbers), _TOGETHER):
            some = numbers[start : start + _TOGETHER]
            yield queries.KEY_RANGES.format(
                numbers=f"ARRAY[{', '.join(map(str, some))}]",
                lows=_array(self.bounds[n - 1] for n in some),
                highs=_array(self.bounds[n] for n in some),
                type=side.key[0].column.base,
                key=side.snapshot.quote(side.key[0].column.name),
                hash=side.row_hash,
                table=side.sql_name(side.table),
            )

    def _condition(self, side: Search, number: int) -> str:
        bounds = self.bounds
        values = {
            "key": side.snapshot.quote(side.key[0].column.name),
            "type": side.key[0].column.base,
            "low": f"'{bounds[number - 1]}'",
            "high": f"'{bounds[min(number, len(bounds) - 1)]}'",
        }
        if number == 0:
            return queries.BELOW.format(**values)
        if number == len(bounds):
            return queries.FROM_ON.format(**values)
        return queries.WITHIN.format(**values)


def _array(values: Iterator[str]) -> str:
    return "ARRAY[{}]".format(", ".join(f"'{value}'" for value in values))
