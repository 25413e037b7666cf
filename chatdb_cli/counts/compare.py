"""Compare the rows of two databases, or those of one with what was saved before.

    compare_counts        two targets, both at once, each in a snapshot of its own
    compare_with_saved    a target with a file of `save_counts`

What does not belong here: what is compared of a table (`plan.py`), which rows differ (`find.py`).
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.callbacks import ignore
from chatdb_cli.counts import queries
from chatdb_cli.counts.at_once import at_once
from chatdb_cli.counts.differences import ComparedTable, CountsComparison, place_of
from chatdb_cli.counts.find import find_differences
from chatdb_cli.counts.model import CountProgress, comparable
from chatdb_cli.counts.pairs import pair_tables, require_columns, resolve_renames, shape_of
from chatdb_cli.counts.plan import (
    NO_KEYS,
    PlannedTable,
    hashing_of,
    plan_as_saved,
    plan_table,
    search_keys,
    searches,
)
from chatdb_cli.counts.sequences import compare_sequences, read_sequences
from chatdb_cli.counts.snapshot import JOBS, Snapshot
from chatdb_cli.errors import ChatdbError, Code

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from chatdb_cli.counts.differences import ComparedSequence
    from chatdb_cli.counts.model import SequenceValue, Source, TableCount
    from chatdb_cli.counts.pairs import Renames
    from chatdb_cli.counts.plan import PlannedColumn
    from chatdb_cli.counts.saved import SavedCounts
    from chatdb_cli.counts.search import Search
    from chatdb_cli.postgres.model import Target

_NO_NAMES: Mapping[str, str] = {}


class _Counted(NamedTuple):
    """What was counted on a side."""

    source: Source
    tables: Mapping[str, TableCount]
    sequences: tuple[SequenceValue, ...]


class _Side(NamedTuple):
    """A side that is counted now.

    Attributes:
        number: 0 for this side, 1 for the other.
    """

    number: int
    target: Target
    snapshot: Snapshot

    def cancel(self) -> None:
        """End the count early."""
        self.snapshot.cancel()

    def count_tables(
        self,
        planned: Sequence[PlannedTable],
        only: Collection[str] | None,
        progress: Callable[[CountProgress], None],
        keys: Mapping[str, Sequence[PlannedColumn]] = NO_KEYS,
    ) -> _Counted:
        """Count the tables, and read the sequences after that.

        Args:
            planned: what is hashed.
            only: the tables whose sequences are read; None for all sequences.
            progress: called as pages are read.
            keys: the key of each table whose rows may be searched by buckets.
        """
        snapshot = self.snapshot
        counts = snapshot.count(hashing_of(snapshot, planned, self.number, keys), progress)
        with snapshot.explained():
            sequences = read_sequences(snapshot.connection, self.target, only)
        return _Counted(snapshot.source, {count.table: count for count in counts}, sequences)

    def identity(self) -> tuple[object, ...]:
        """Return what is the same for two sides only if they are the same schema."""
        with self.snapshot.explained():
            cursor = self.snapshot.connection.execute(queries.IDENTITY)
            return (*(cursor.fetchone() or ()), self.target.schema)


def compare_counts(
    target: Target,
    other: Target,
    tables: Sequence[str] = (),
    *,
    checksum: bool = False,
    find: int = 0,
    show_values: bool = False,
    renamed_tables: Mapping[str, str] = _NO_NAMES,
    renamed_columns: Mapping[str, str] = _NO_NAMES,
    columns: Sequence[str] = (),
    exclude_columns: Sequence[str] = (),
    jobs: int = JOBS,
    progress: Callable[[CountProgress], None] = ignore,
    report: Callable[[str], None] = ignore,
) -> CountsComparison:
    """Compare the rows of two targets, each in a consistent snapshot; nothing is changed.

    Row counts, sequences and identity columns are compared, and with `checksum` the content of all rows.

    Args:
        target: this side.
        other: the other side.
        tables: as for `count_rows`; names of either side.
        checksum: also compare a checksum of the rows of each table.
        find: how many rows that differ are wanted of each table; more than 0 includes `checksum`.
        show_values: also return the values of those rows, which may be secret.
        renamed_tables: the name of a table on one side, and its name on the other.
        renamed_columns: a column as `table.column`, and its name on the other side.
        columns: what the checksum covers, as `column` or `table.column`; empty for all columns.
        exclude_columns: what it does not cover.
        jobs: how many connections share the work at most, on each side.
        progress: called as pages are read, with the sums of both sides.
        report: called with a line for what a person should know.

    Raises:
        ChatdbError: as `count_rows` does; the message says if it happened on the other side.
    """
    start = time.monotonic()
    names = _names_on_both(tables, renamed_tables)
    with ExitStack() as stack:

        def open_side(numbered: tuple[int, Target]) -> _Side:
            snapshot = Snapshot(numbered[1], names, jobs=jobs, report=report, lenient=True)
            return _Side(*numbered, stack.enter_context(snapshot))

        sides = at_once(open_side, ((0, target), (1, other)))
        this, that = (side.snapshot for side in sides)
        _require_tables(tables, this, that.missing)
        shapes = [tuple(map(shape_of, side.snapshot.tables)) for side in sides]
        renames = resolve_renames(shapes[0], shapes[1], renamed_tables, renamed_columns)
        pairs = pair_tables(shapes[0], shapes[1], renames)
        planned = [PlannedTable(pair) for pair in pairs]
        if checksum or find:
            require_columns((*columns, *exclude_columns), pairs)
            sources = this.source, that.source
            planned = [plan_table(p, renames, sources, columns, exclude_columns) for p in pairs]
        both = this, that
        keys = search_keys(planned, both) if find else NO_KEYS
        shared = _shared_progress(progress)

        def count(side: _Side) -> _Counted:
            only = _names(planned, side.number) if tables else None
            return side.count_tables(planned, only, shared(side.number), keys)

        counted = at_once(count, sides, _Side.cancel)
        compared = [_compare(one, counted) for one in planned]
        if find:
            compared = [
                _find(table, searches(one, both, keys), find, show_values=show_values)
                if one.columns
                else table
                for table, one in zip(compared, planned, strict=True)
            ]
        same = sides[0].identity() == sides[1].identity()
    notes = ["both sides are the same schema of the same database"] if same else []
    if any(one.form == "text" for one in planned):
        notes.append(
            "the servers hash differently: the checksums are those of texts, and took longer"
        )
    return CountsComparison(
        this=place_of(target),
        other=place_of(other),
        sources=(counted[0].source, counted[1].source),
        tables=_sorted(compared),
        sequences=_compare_sequences(counted, renames),
        left_out=tuple(dict.fromkeys((*this.left_out, *that.left_out))),
        notes=tuple(notes),
        duration_ms=_ms_since(start),
    )


def compare_with_saved(
    target: Target,
    saved: SavedCounts,
    tables: Sequence[str] = (),
    *,
    renamed_tables: Mapping[str, str] = _NO_NAMES,
    renamed_columns: Mapping[str, str] = _NO_NAMES,
    jobs: int = JOBS,
    progress: Callable[[CountProgress], None] = ignore,
    report: Callable[[str], None] = ignore,
) -> CountsComparison:
    """Compare the rows of a target with those that were saved before; nothing is changed.

    If the saved counts have checksums, these are compared, too: of the same columns, in the same form.

    Args:
        target: this side.
        saved: the other side, from `read_counts`.
        tables: as for `count_rows`; names of either side.
        renamed_tables: as for `compare_counts`.
        renamed_columns: as for `compare_counts`.
        jobs: how many connections share the work at most.
        progress: as for `count_rows`.
        report: as for `count_rows`.

    Raises:
        ChatdbError: as `count_rows` does.
    """
    start = time.monotonic()
    names = _names_on_both(tables, renamed_tables)
    before = {table.table: table for table in saved.tables}
    with Snapshot(target, names, jobs=jobs, report=report, lenient=True) as snapshot:
        _require_tables(tables, snapshot, set(names) - before.keys())
        shapes = tuple(map(shape_of, snapshot.tables)), tuple(map(shape_of, saved.tables))
        renames = resolve_renames(shapes[0], shapes[1], renamed_tables, renamed_columns)
        planned = [
            plan_as_saved(pair, before, renames)
            for pair in pair_tables(shapes[0], shapes[1], renames)
            if pair.this or not names or pair.name in names
        ]
        only = (_names(planned, 0), _names(planned, 1)) if tables else (None, None)
        this = _Side(0, target, snapshot).count_tables(planned, only[0], progress)
    sequences = tuple(
        s for s in saved.sequences if only[1] is None or any(t in only[1] for t, _ in s.columns)
    )
    counted = this, _Counted(saved.source, before, sequences)
    return CountsComparison(
        this=place_of(target),
        other=saved.place._replace(source=f"{saved.file}, {saved.source.at:%Y-%m-%d %H:%M:%SZ}"),
        sources=(this.source, saved.source),
        tables=_sorted([_compare(one, counted) for one in planned]),
        sequences=_compare_sequences(counted, renames),
        left_out=snapshot.left_out,
        duration_ms=_ms_since(start),
    )


def _ms_since(start: float) -> int:
    return round((time.monotonic() - start) * 1000)


# --- names --------------------------------------------------------------------------------------------


def _names_on_both(tables: Sequence[str], renamed: Mapping[str, str]) -> list[str]:
    """Return the names of some tables on either side."""
    pairs = [{one, another} for one, another in renamed.items()]
    names = [name for table in tables for name in (table, *_partners(table, pairs))]
    return list(dict.fromkeys(names))


def _partners(table: str, pairs: Iterable[set[str]]) -> list[str]:
    return [name for pair in pairs if table in pair for name in pair - {table}]


def _require_tables(
    tables: Iterable[str], snapshot: Snapshot, missing_there: Collection[str]
) -> None:
    """Refuse a name that no side has.

    Args:
        tables: the names that a person has given.
        snapshot: this side.
        missing_there: the names that the other side has not.
    """
    for name in tables:
        if name in snapshot.missing and name in missing_there:
            raise ChatdbError(
                Code.USAGE,
                f"no side has a table {name!r}",
                hint="for a table of another schema write SCHEMA.TABLE",
            )


def _names(planned: Iterable[PlannedTable], index: int) -> set[str]:
    """Return the names of the tables on a side."""
    return {side.name for one in planned if (side := one.pair.sides[index])}


# --- what differs -------------------------------------------------------------------------------------


def _compare(planned: PlannedTable, counted: tuple[_Counted, _Counted]) -> ComparedTable:
    """Return a table as it was counted on both sides."""
    pair = planned.pair
    this = counted[0].tables[pair.this.name] if pair.this else None
    other = counted[1].tables[pair.other.name] if pair.other else None
    result = ComparedTable(
        table=pair.name,
        other_table=pair.other.name if pair.other else None,
        rows=this.rows if this else None,
        other_rows=other.rows if other else None,
        checksum=this.checksum if this else None,
        other_checksum=other.checksum if other else None,
        root=pair.root,
    )
    if this is None or other is None:
        which = "the other side" if this is None else "this side"
        return result._replace(match=False, reasons=(f"only {which} has the table",))
    reasons = list(planned.reasons)
    match = this.rows == other.rows and not reasons
    if this.checksum and other.checksum:
        sources = counted[0].source, counted[1].source
        if reason := comparable(this.checksum, other.checksum, sources):
            reasons.append(f"the checksums can't be compared: {reason}")
        match = match and not reason and this.checksum.value == other.checksum.value
    return result._replace(match=match, reasons=tuple(reasons))


def _find(
    table: ComparedTable,
    sides: tuple[Search, Search],
    limit: int,
    *,
    show_values: bool,
) -> ComparedTable:
    """Return a table with the first rows that differ."""
    if table.checksum is None or table.other_checksum is None:
        return table
    rows = (table.rows or 0), (table.other_rows or 0)
    if rows[0] == rows[1] and table.checksum.value == table.other_checksum.value:
        return table._replace(complete=True)
    found = find_differences(sides, max(rows), limit, show_values=show_values)
    return table._replace(differences=found.rows, complete=found.complete)


def _compare_sequences(
    counted: tuple[_Counted, _Counted], renames: Renames
) -> tuple[ComparedSequence, ...]:
    return compare_sequences(
        counted[0].sequences, counted[1].sequences, renames.tables, renames.columns
    )


def _sorted(tables: Sequence[ComparedTable]) -> tuple[ComparedTable, ...]:
    """Return the tables, the largest first, partitions after their table."""
    sizes = {table.table: max(table.rows or 0, table.other_rows or 0) for table in tables}

    def order(table: ComparedTable) -> tuple[object, ...]:
        is_part = table.root != table.table
        return -sizes.get(table.root, 0), table.root, is_part, -sizes[table.table], table.table

    return tuple(sorted(tables, key=order))


def _shared_progress(
    progress: Callable[[CountProgress], None],
) -> Callable[[int], Callable[[CountProgress], None]]:
    """Return a function that makes the callback of each side; `progress` gets the sums of both."""
    lock = threading.Lock()
    latest: dict[int, CountProgress] = {}

    def of_side(index: int) -> Callable[[CountProgress], None]:
        def show(event: CountProgress) -> None:
            with lock:
                latest[index] = event
                progress(
                    event._replace(
                        rows=sum(one.rows for one in latest.values()),
                        pages=sum(one.pages for one in latest.values()),
                        total_pages=sum(one.total_pages for one in latest.values()),
                    )
                )

        return show

    return of_side
