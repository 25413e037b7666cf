"""What downs of a trial would delete, from what was counted before and after them.

    Counts         what was counted
    find_losses    returns the losses that these counts show

Pure: nothing here uses a connection.  What does not belong here: counting (`trial.py`), the effects of
each file (`effects.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.migrate.guards.relations import Written
from chatdb_cli.migrate.model import Loss

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Literal

    from chatdb_cli.migrate.guards.effects import Effects
    from chatdb_cli.migrate.guards.relations import Relation, Touched
    from chatdb_cli.migrate.guards.watches import ValueWatch

    _HowColumn = Literal["dropped column", "dropped attribute"]
    _Display = Callable[[Relation], str]


class Counts(NamedTuple):
    """What was counted, by OID.

    Attributes:
        rows: the rows before, of each table that is gone or rewritten.
        values: the values before of each column that was dropped, by table and number.
        attributes: the rows before with a value of a dropped attribute, by table and number.
        left: the rows after, of each table that was rewritten.
        foreign: the rows of each foreign table before and after.
        counters: what the session had written to each table before.
        objects: what it had done to large objects before.
    """

    rows: Mapping[str, int]
    values: Mapping[tuple[str, str], int]
    attributes: Mapping[tuple[str, str], int]
    left: Mapping[str, int]
    foreign: Mapping[str, tuple[int, int]]
    counters: Mapping[str, Written]
    objects: Sequence[int]


def find_losses(
    counts: Counts, now: Touched, was: Mapping[str, Relation], name_of: _Display
) -> Iterator[Loss]:
    """Yield what is lost with a table, a column, an attribute or a large object.

    Args:
        counts: what was counted.
        now: what the transaction did.
        was: the relations as they were before.
        name_of: returns the name of a table to show.
    """
    for oid, count in counts.rows.items():
        if count and oid in now.gone:
            yield Loss(name_of(was[oid]), None, count, "dropped table")
    columns: tuple[tuple[Mapping[tuple[str, str], int], _HowColumn], ...] = (
        (counts.values, "dropped column"), (counts.attributes, "dropped attribute"),
    )  # fmt: skip
    for counted, how in columns:
        for (oid, n), count in counted.items():
            if count:
                yield Loss(name_of(was[oid]), was[oid].columns[n].name, count, how)
    yield from _find_objects(counts.objects, now.objects)


def _find_objects(before: Sequence[int], after: Sequence[int]) -> Iterator[Loss]:
    """Yield the large objects that are deleted or written over."""
    deleted, rewritten, pages = map(int.__sub__, after, before)
    if deleted:
        yield Loss("pg_largeobject", None, deleted, "deleted")
    if changed := rewritten + (0 if deleted else pages):
        yield Loss("pg_largeobject", None, changed, "changed")


def find_deleted(
    counts: Counts, now: Touched, tables: Mapping[str, Relation], name_of: _Display
) -> Iterator[tuple[str, Loss]]:
    """Yield the rows that seem to be truncated or deleted, with the OID of their table.

    The counters also have rows that were deleted and restored by ROLLBACK TO SAVEPOINT, and other
    sessions write between the two counts: only a measured trial is exact.

    Args:
        counts: what was counted.
        now: what the transaction did.
        tables: the tables as they were before.
        name_of: returns the name of a table to show.
    """
    for oid in tables.keys() & (counts.left.keys() | now.written.keys()) - now.gone:
        then = counts.counters.get(oid, Written(0, 0))
        inserted, deleted = map(int.__sub__, now.written.get(oid, then), then)
        gone = deleted
        if oid in counts.left:
            # TRUNCATE resets the counters of the rows written before it.
            gone = counts.rows[oid] - (counts.left[oid] - inserted)
        if gone > 0:
            yield oid, _removed(name_of(tables[oid]), gone, deleted)


def find_measured(
    effects: Sequence[Effects],
    growth: Sequence[Mapping[str, int]],
    tables: Mapping[str, Relation],
    name_of: _Display,
) -> Iterator[tuple[str, Loss]]:
    """Yield the rows that are truncated or deleted, counted exactly before and after each file.

    Each comes with the OID of its table.

    Args:
        effects: what each file did.
        growth: how many rows each table had more after each file.
        tables: the tables as they were before.
        name_of: returns the name of a table to show.
    """
    gone: dict[str, int] = {}
    deleted: dict[str, int] = {}
    for done, grown in zip(effects, growth, strict=True):
        for oid, more in grown.items():
            written = done.written.get(oid)
            if written is None or not done.counted:
                lost, by_delete = -more, 0
            else:
                lost, by_delete = written.inserted - more, written.deleted
                if oid not in done.rewritten:
                    lost = min(lost, by_delete)
            gone[oid] = gone.get(oid, 0) + lost
            deleted[oid] = deleted.get(oid, 0) + by_delete
    for oid, rows in gone.items():
        if rows > 0:
            rewritten = any(oid in done.rewritten for done in effects)
            yield oid, _removed(name_of(tables[oid]), rows, deleted[oid] if rewritten else rows)


def find_changed(
    lost: Mapping[ValueWatch, int],
    removed: Mapping[str, Loss],
    tables: Mapping[str, Relation],
    name_of: _Display,
) -> Iterator[Loss]:
    """Yield the values that another type does not hold.

    Args:
        lost: how many values of each watched column are not there any more.
        removed: the rows that are truncated or deleted, with their values, by OID of the table.
        tables: the tables as they were before.
        name_of: returns the name of a table to show.
    """
    for watch, values in lost.items():
        rows = removed.get(watch.oid)
        count = values - (rows.rows if rows else 0)
        if count > 0:
            table = tables[watch.oid]
            column = table.columns[watch.number].name if watch.number in table.columns else None
            yield Loss(name_of(table), column, count, "changed")


def find_foreign(
    counts: Counts, was: Mapping[str, Relation], name_of: _Display
) -> Iterator[tuple[str, Loss]]:
    """Yield the rows that foreign tables have fewer, with the OID of the table.

    Args:
        counts: what was counted.
        was: the relations as they were before.
        name_of: returns the name of a table to show.
    """
    for oid, (before, after) in counts.foreign.items():
        if before > after:
            yield oid, Loss(name_of(was[oid]), None, before - after, "deleted")


def _removed(table: str, rows: int, deleted: int) -> Loss:
    return Loss(table, None, rows, "truncated" if rows > deleted else "deleted")
