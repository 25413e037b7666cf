"""A table as ranges of its pages, and the order of the work.

Connections take the next piece of work when they are done with one, so none is idle while another still
has much to do.

To hash rows takes ten times as long as to read them.  So a table that is larger than a part of the fair
share of a connection is hashed in ranges of `ctid`, by TID range scans, which also show the progress.

Just to count rows, a table is read whole, with the parallel workers of the server, if it has any.
Where a table is larger than shared_buffers, a TID range scan takes 1.2 to 1.4 times as much processor
time as a sequential scan, which reads several pages at once and through a ring of buffers (measured
with 2.5 million rows, PostgreSQL 15 and 18).  So only a table that is larger than the fair share is
counted in ranges then, if the server has no parallel workers, or a very large one, for the sake of
progress.

What does not belong here: running the work (`workers.py`).
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.counts import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Sequence

    from chatdb_cli.counts.model import CountedTable

# How many pieces each connection should have, so that all are done at about the same time; fewer if each
# of them returns the sums of many buckets.
_PIECES, _PIECES_WITH_BUCKETS = 16, 4
# The smallest and the largest range, in pages of 8 kB: 4 MB, 512 MB.
SMALLEST, _LARGEST = 512, 65536
# Where a statement gets a range, or nothing; no name can contain it.
RANGE = "\0"
# The largest table that is read whole, in fair shares of a connection: to count it without parallel
# workers, to hash it; and in pages: 8 GB.
_WHOLE_TO_COUNT, _WHOLE_TO_HASH, _LARGEST_WHOLE = 1.25, 0.25, 1 << 20
# Small tables are counted together: at most so many in one statement.
_TOGETHER = 50


class Work(NamedTuple):
    """A statement that counts a range of a table, or several small tables.

    Attributes:
        label: the name of the (last) table.
        pages: the pages that it reads.
        sql: the statement; it returns rows of number, rows and checksum.
    """

    label: str
    pages: int
    sql: str


def divide(
    tables: Sequence[CountedTable],
    statement: Callable[[CountedTable], str],
    hashed: Container[int],
    *,
    connections: int,
    parallel: bool,
    buckets: bool = False,
) -> list[Work]:
    """Return the work of counting some tables, the largest tables first.

    Args:
        tables: the tables; those without storage of their own are read whole.
        statement: returns the statement that counts a table, with `RANGE` where a range may be.
        hashed: the OIDs of the tables whose rows are hashed.
        connections: how many connections share the work.
        parallel: the server may use parallel workers of its own to read a table.
        buckets: some statements return the sums of buckets.
    """
    total = sum(table.pages for table in tables)
    pieces = connections * (_PIECES_WITH_BUCKETS if buckets else _PIECES)
    size = min(max(total // pieces, SMALLEST), _LARGEST)
    limits = {
        is_hashed: _limit(total / connections, connections, hashed=is_hashed, parallel=parallel)
        for is_hashed in (False, True)
    }
    whole: list[Work] = []
    ranges: list[Work] = []
    small: list[tuple[CountedTable, str]] = []
    for table in sorted(tables, key=lambda t: -t.pages):
        sql = statement(table)
        if table.divisible and table.pages <= SMALLEST:
            small.append((table, sql.replace(RANGE, "")))
        elif not table.divisible or table.pages <= limits[table.oid in hashed]:
            whole.append(Work(table.name, table.pages, sql.replace(RANGE, "")))
        else:
            ranges += [
                Work(table.name, pages, sql.replace(RANGE, where(condition)))
                for condition, pages in page_ranges(table, size)
            ]
    return [*whole, *ranges, *_together(small)]


def _limit(fair: float, connections: int, *, hashed: bool, parallel: bool) -> float:
    """Return the pages of the largest table that is read whole."""
    if connections == 1:
        return inf if parallel else _LARGEST_WHOLE
    if hashed:
        return fair * _WHOLE_TO_HASH
    return _LARGEST_WHOLE if parallel else min(fair * _WHOLE_TO_COUNT, _LARGEST_WHOLE)


def where(*conditions: str) -> str:
    """Return the conditions of a statement that are not empty, as its WHERE."""
    together = " AND ".join(filter(None, conditions))
    return f" WHERE {together}" if together else ""


def page_ranges(table: CountedTable, size: int) -> Iterator[tuple[str, int]]:
    """Yield the ranges of a table's pages, as the condition of a statement, and their sizes.

    Args:
        table: a table that can be divided.
        size: how many pages a range has.
    """
    for first in range(0, table.pages, size):
        end = first + size
        condition = queries.RANGE if end < table.pages else queries.LAST_RANGE
        yield condition.format(first=first, end=end), min(size, table.pages - first)


def equal_ranges(table: CountedTable, count: int) -> Iterator[tuple[str, int]]:
    """Yield at most so many ranges of equal size, as `page_ranges` does; a small table is one range.

    Args:
        table: any table.
        count: how many ranges there should be.
    """
    if not table.divisible or table.pages <= SMALLEST:
        yield "", table.pages
    else:
        yield from page_ranges(table, -(-table.pages // count))


def _together(small: Sequence[tuple[CountedTable, str]]) -> list[Work]:
    works: list[Work] = []
    group: list[tuple[CountedTable, str]] = []
    pages = 0
    for table, statement in (*small, (None, "")):
        if group and (table is None or len(group) == _TOGETHER or pages + table.pages > SMALLEST):
            sql = queries.AND_ALSO.join(sql for _, sql in group)
            works.append(Work(group[-1][0].name, pages, sql))
            group, pages = [], 0
        if table is not None:
            group.append((table, statement))
            pages += table.pages
    return works
