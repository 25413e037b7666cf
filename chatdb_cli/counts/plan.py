"""What is compared of a table: which columns are hashed, in which form, and how rows are found.

    PlannedTable     a table on both sides, and what is hashed of it
    PlannedColumn    a column of it
    plan_table       for two targets
    plan_as_saved    for a target and saved counts: what was hashed then
    hashing_of       what a snapshot has to hash
    search_keys      by which key the rows of large tables are searched
    searches         both sides of the search for rows that differ

What does not belong here: counting and comparing (`compare.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.counts.buckets import Buckets
from chatdb_cli.counts.hashing import hash_method
from chatdb_cli.counts.model import HashedColumn
from chatdb_cli.counts.pairs import pair_columns
from chatdb_cli.counts.ranges import SMALLEST
from chatdb_cli.counts.search import Search
from chatdb_cli.counts.snapshot import Hashing
from chatdb_cli.counts.tables import family_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from chatdb_cli.counts.model import CountedColumn, CountedTable, Form, Source, TableCount
    from chatdb_cli.counts.pairs import ColumnPairs, Renames, TablePair
    from chatdb_cli.counts.snapshot import Snapshot

# Tables whose rows have a place, and can have a key.
_STORED = ("table", "partitioned table", "materialized view")
NO_KEYS: Mapping[str, Sequence[PlannedColumn]] = {}


class PlannedColumn(NamedTuple):
    """A column that is hashed on both sides.

    Attributes:
        this: the column of this side.
        other: the column of the other side.
        as_text: its text is hashed, because the types differ.
    """

    this: CountedColumn
    other: CountedColumn
    as_text: bool

    def hashed(self, index: int, column: CountedColumn | None = None) -> HashedColumn:
        """Return the column as it is hashed on a side.

        Args:
            index: 0 for this side, 1 for the other.
            column: that of a partition, in place of its table's.
        """
        own = column or (self.this, self.other)[index]
        return HashedColumn(own, self.other.name, self.as_text)


class PlannedTable(NamedTuple):
    """A table on both sides, and what is hashed of it.

    Attributes:
        pair: the table.
        columns: the columns that are hashed; empty if rows are only counted, for a table that one side
            alone has, and for a partition, which is hashed with its table.
        form: how they are hashed.
        reasons: why the table can't match.
    """

    pair: TablePair
    columns: tuple[PlannedColumn, ...] = ()
    form: Form = "native"
    reasons: tuple[str, ...] = ()


def plan_table(
    pair: TablePair,
    renames: Renames,
    sources: tuple[Source, Source],
    columns: Sequence[str],
    exclude: Sequence[str],
) -> PlannedTable:
    """Return what is compared of a table of two targets.

    Args:
        pair: the table.
        renames: what has another name on the other side.
        sources: both servers.
        columns: only these, as for `compare_counts`.
        exclude: not these.
    """
    if pair.this is None or pair.other is None or pair.this.name != pair.root:
        return PlannedTable(pair)
    paired = pair_columns(pair.this, pair.other, renames, columns, exclude)
    columns_ = tuple(
        PlannedColumn(mine, theirs, _method(mine) != _method(theirs))
        for mine, theirs in paired.both
    )
    form: Form = "native" if sources[0].hashes == sources[1].hashes else "text"
    return PlannedTable(pair, columns_, form, _reasons(paired))


def _method(column: CountedColumn) -> str:
    return hash_method(HashedColumn(column, ""))


def _reasons(paired: ColumnPairs) -> tuple[str, ...]:
    both = {"this side": paired.only_this, "the other side": paired.only_other}
    return tuple(
        f"only {side} has column{'s'[: len(names) > 1]} {', '.join(names)}"
        for side, names in both.items()
        if names
    )


def plan_as_saved(
    pair: TablePair, before: Mapping[str, TableCount], renames: Renames
) -> PlannedTable:
    """Return what is compared of a table and its saved count.

    Args:
        pair: the table.
        before: the saved counts, by the name of the table.
        renames: what had another name then.
    """
    if pair.this is None or pair.other is None or pair.this.name != pair.root:
        return PlannedTable(pair)
    saved = before[pair.other.name].checksum
    if saved is None:
        return PlannedTable(pair)
    covered = dict(saved.columns)
    other = pair.other._replace(columns=tuple(c for c in pair.other.columns if c.name in covered))
    paired = pair_columns(pair.this, other, renames)
    reasons: tuple[str, ...] = ()
    if paired.only_other:
        reasons = (f"the table has no column {', '.join(paired.only_other)} any more",)
    columns = tuple(
        PlannedColumn(mine, theirs, covered[theirs.name] == "text") for mine, theirs in paired.both
    )
    return PlannedTable(pair, columns, saved.form, reasons)


def hashing_of(
    snapshot: Snapshot,
    planned: Iterable[PlannedTable],
    index: int,
    keys: Mapping[str, Sequence[PlannedColumn]] = NO_KEYS,
) -> dict[int, Hashing]:
    """Return what a snapshot has to hash: of each table, and of its partitions.

    Args:
        snapshot: that of the side.
        planned: the tables.
        index: 0 for this side, 1 for the other.
        keys: the key of each table whose rows are searched by buckets, from `search_keys`.
    """
    hashing = {}
    for one in planned:
        side = one.pair.sides[index]
        if side is None or not one.columns:
            continue
        by_name = {(c.this, c.other)[index].name: c for c in one.columns}
        key = keys.get(one.pair.name)
        for table in family_of(snapshot.tables, side.name):
            hashed = {
                c.name: by_name[c.name].hashed(index, c) for c in table.columns if c.name in by_name
            }
            buckets = None
            if key is not None:
                own = tuple(hashed[(c.this, c.other)[index].name] for c in key)
                buckets = Buckets(side.name, own)
            hashing[table.oid] = Hashing(one.form, tuple(hashed.values()), buckets)
    return hashing


def search_keys(
    planned: Iterable[PlannedTable], snapshots: tuple[Snapshot, Snapshot]
) -> dict[str, list[PlannedColumn]]:
    """Return the key of each table whose rows are searched by buckets, so large is it.

    Args:
        planned: the tables.
        snapshots: of both sides.
    """
    return {
        one.pair.name: _key(one, snapshots)
        for one in planned
        if one.columns and any(map(_is_large, _families(one, snapshots)))
    }


def _is_large(family: Sequence[CountedTable]) -> bool:
    """Return whether the rows of a table may be too many to be compared one by one."""
    stored = [table for table in family if table.kind != "partitioned table"]
    return sum(t.pages for t in stored) > SMALLEST or not all(t.divisible for t in stored)


def _families(
    planned: PlannedTable, snapshots: tuple[Snapshot, Snapshot]
) -> list[list[CountedTable]]:
    """Return a table, which both sides have, with its partitions, on each side."""
    return [
        family_of(snapshot.tables, side.name)
        for snapshot, side in zip(snapshots, planned.pair.sides, strict=True)
        if side
    ]


def searches(
    planned: PlannedTable,
    snapshots: tuple[Snapshot, Snapshot],
    keys: Mapping[str, Sequence[PlannedColumn]],
) -> tuple[Search, Search]:
    """Return both sides of the search for rows that differ.

    Args:
        planned: the table, which both sides have.
        snapshots: of both sides, which have counted.
        keys: from `search_keys`.
    """
    tables = [family[0] for family in _families(planned, snapshots)]
    has_buckets = planned.pair.name in keys
    key = keys[planned.pair.name] if has_buckets else _key(planned, snapshots)

    def search(index: int) -> Search:
        sums = snapshots[index].sums[tables[index].name] if has_buckets else None
        return Search(
            snapshot=snapshots[index],
            table=tables[index],
            columns=tuple(column.hashed(index) for column in planned.columns),
            form=planned.form,
            key=tuple(column.hashed(index) for column in key),
            first=sums.by_bucket() if sums else None,
        )

    return search(0), search(1)


def _key(planned: PlannedTable, snapshots: tuple[Snapshot, Snapshot]) -> list[PlannedColumn]:
    """Return the columns of the key of this side, or else of the other, if all of them are compared."""
    tables = [family[0] for family in _families(planned, snapshots)]
    if any(table.kind not in _STORED for table in tables):
        return []
    for index, table in enumerate(tables):
        by_name = {(column.this, column.other)[index].name: column for column in planned.columns}
        if table.key and all(name in by_name for name in table.key):
            return [by_name[name] for name in table.key]
    return []
