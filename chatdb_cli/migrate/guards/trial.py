"""Find the rows that a down migration would delete, by running it in a transaction that is rolled back.

    DataLossTrial    runs some downs, and returns what they delete and how to guard each in the real run

Nothing is inferred from the SQL of the files, so the effects of CASCADE, a DO block, EXECUTE or a
function are found too.  The locks that the transaction holds show which relations it touched, so the
cost does not depend on the number of tables.  A row is lost if its table is dropped, if its column is
dropped (and it is not null), if it is truncated or deleted.  Data computed from other rows, in a
materialized view or a generated column, is not a loss.

What does not belong here: which downs are run together (`data_loss.py`), the transaction around a file
(`migrate/transaction.py`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.history.model import HISTORY_TABLES
from chatdb_cli.migrate.guards import queries
from chatdb_cli.migrate.model import Loss
from chatdb_cli.migrate.transaction import Guard, Part
from chatdb_cli.postgres.pipeline import Batch, Message, run_pipeline
from chatdb_cli.postgres.quoting import Quoting

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from typing import Any, Literal

    import psycopg

    from chatdb_cli.postgres.pipeline import Completed, OnIdle, Outcome


class Relation(NamedTuple):
    """A relation at one moment.

    Attributes:
        schema: its schema.
        name: its name.
        kind: its relkind in pg_class.
        storage: its relfilenode, the file that holds its rows.
        parent: it may have children, whose rows are not its own.
        columns: the name of each column and whether it is generated, by number.
    """

    schema: str
    name: str
    kind: str
    storage: str
    parent: bool
    columns: dict[str, tuple[str, bool]]

    def dropped(self, later: Relation) -> list[str]:
        """Return the numbers of the columns that were dropped later, without generated columns."""
        gone = self.columns.keys() - later.columns.keys()
        return sorted((n for n in gone if not self.columns[n][1]), key=int)


class Touched(NamedTuple):
    """What a transaction has done to relations so far, by OID.

    Attributes:
        gone: the relations it dropped, also those it created itself.
        kept: the relations it may have altered, as they are now.
        written: the numbers of rows inserted into and deleted from each table it wrote to.
    """

    gone: frozenset[str]
    kept: dict[str, Relation]
    written: dict[str, tuple[int, int]]


class DataLossTrial:
    """Runs some downs in a transaction that is rolled back.

    Args:
        conn: an idle connection in autocommit mode.
        schema: the target's schema.
        on_idle: what to do while the server is silent.

    Attributes:
        losses: the rows that they would delete.
        guards: the guard of each down in the real run.
    """

    def __init__(self, conn: psycopg.Connection[Any], schema: str, on_idle: OnIdle) -> None:
        self._conn = conn
        self._schema = schema
        self._on_idle = on_idle
        self._names = Quoting(conn, schema)
        self.losses: tuple[Loss, ...] = ()
        self.guards: tuple[Guard, ...] = ()

    @property
    def guard(self) -> Guard:
        """The statements that record what a file of the trial has touched."""
        return Guard(after=(self._names.fill(queries.TOUCHED, target=self._schema),))

    def run(self, opening: Sequence[Message], files: Iterable[Batch]) -> Outcome:
        """Run the downs, record what they touched, and roll back; then set the attributes.

        After an error the caller must send ROLLBACK.

        Args:
            opening: the messages that begin the transaction.
            files: the messages of each down, with `guard` in them.
        """
        batches = list(files)
        tag = batches[0].tag  # a failure of what follows is reported for the first file
        outcome, (storage, *answers) = self._send(self._batches(opening, batches))
        if outcome.is_bad:
            return outcome
        seen = [_touched(answer) for answer in answers]
        now = seen[-1]
        rewritten = {
            oid: r for oid, r in now.kept.items() if oid in storage and r.storage != storage[oid][0]
        }
        oids = {oid for touched in seen for oid in (*touched.gone, *touched.kept, *touched.written)}
        columns_before = self._names.fill(queries.RELATIONS_BEFORE, oids=_array(oids))
        outcome, (*counts, answer) = self._send(
            [Batch([*_ALL_ROWS, *map(self._count, rewritten.values()),
                    _statement(queries.ROLLBACK_TO), _query(columns_before)], tag)]
        )  # fmt: skip
        if outcome.is_bad:
            return outcome
        left = dict(zip(rewritten, counts, strict=True))
        was = _relations(answer)
        tables = {oid: r for oid, r in was.items() if r.kind == "r" and not self._is_ours(r)}
        whole = [oid for oid in tables if oid in now.gone or oid in left]
        columns = [
            (oid, n)
            for oid, r in tables.items()
            if oid in now.kept
            for n in r.dropped(now.kept[oid])
        ]
        outcome, counts = self._send(
            [Batch([*_ALL_ROWS,
                    *(self._count(tables[oid]) for oid in whole),
                    *(self._count(tables[oid], n) for oid, n in columns),
                    _statement(queries.ROLLBACK)], tag)]
        )  # fmt: skip
        if outcome.is_bad:
            return outcome
        rows = dict(zip((*((oid, "") for oid in whole), *columns), counts, strict=True))
        self.losses = tuple(self._lost(storage, now, tables, left, rows))
        empty = {oid for oid in whole if not rows[oid, ""]}
        before = Touched(frozenset(), {}, {})
        guards = []
        for touched in seen:
            guards.append(self._guard(before, touched, was, tables, empty))
            before = touched
        self.guards = tuple(guards)
        return outcome

    def _batches(self, opening: Sequence[Message], files: Iterable[Batch]) -> Iterator[Batch]:
        first = [
            *opening,
            _query(self._names.fill(queries.STORAGE)),
            _statement(queries.SAVEPOINT),
        ]
        for batch in files:
            yield batch._replace(messages=[*first, *batch.messages])
            first = []

    def _send(self, batches: Iterable[Batch]) -> tuple[Outcome, list[Any]]:
        """Send batches, and return the results of the `Part.GUARD` messages."""
        answers: list[Any] = []

        def keep(done: Completed) -> None:
            if done.message.part == Part.GUARD:
                answers.append(json.loads(done.row[0] or "null"))

        outcome = run_pipeline(self._conn, batches, keep, self._on_idle)
        return outcome, answers if not outcome.is_bad else [None]

    def _is_ours(self, relation: Relation) -> bool:
        return relation.schema == self._schema and relation.name in HISTORY_TABLES

    def _table(self, relation: Relation) -> str:
        name = self._names.identifier
        only = "ONLY " if relation.parent else ""
        return f"{only}{name(relation.schema)}.{name(relation.name)}"

    def _count(self, table: Relation, column: str | None = None) -> Message:
        """Return the message that counts the rows of a table, or those where a column is not null."""
        what = "*" if column is None else self._names.identifier(table.columns[column][0])
        return _query(queries.COUNT.format(what=what, table=self._table(table)))

    def _lost(
        self,
        storage: dict[str, list[Any]],
        now: Touched,
        tables: dict[str, Relation],
        left: dict[str, int],
        rows: dict[tuple[str, str], int],
    ) -> Iterator[Loss]:
        """Yield the losses.

        Args:
            storage: for each table, its storage before, and how many rows this session had written.
            now: what was done to which relations.
            tables: the tables as they were before, without those of the history.
            left: the number of rows now of each table that was truncated or rewritten, by OID.
            rows: the number of rows before, by OID of the table and number of the dropped column;
                an empty number counts whole rows.
        """
        for (oid, column), count in rows.items():
            if count and column:
                name = tables[oid].columns[column][0]
                yield Loss(self._display_name(tables[oid]), name, count, "dropped column")
            elif count and oid in now.gone:
                yield Loss(self._display_name(tables[oid]), None, count, "dropped table")
        for oid in tables.keys() & (left.keys() | now.written.keys()) - now.gone:
            then = storage[oid][1:]
            inserted, deleted = map(int.__sub__, now.written.get(oid, then), then)
            # TRUNCATE resets the counters of the rows written before it.
            gone = rows[oid, ""] - (left[oid] - inserted) if oid in left else deleted
            if gone > 0:
                how: Literal["truncated", "deleted"] = "truncated" if gone > deleted else "deleted"
                yield Loss(self._display_name(tables[oid]), None, gone, how)

    def _display_name(self, table: Relation) -> str:
        return table.name if table.schema == self._schema else f"{table.schema}.{table.name}"

    def _guard(
        self,
        before: Touched,
        after: Touched,
        was: dict[str, Relation],
        tables: Collection[str],
        empty: Collection[str],
    ) -> Guard:
        """Return the guard of a down in the real run: it does what it did in the trial, or fails.

        Args:
            before: what was done before the down.
            after: what was done after it.
            was: the relations as they were before the trial.
            tables: the OIDs of those that are tables and may hold rows.
            empty: the OIDs of the tables that held none.
        """
        gone = [oid for oid in after.gone - before.gone if oid in was]
        kept = {oid: r for oid, r in after.kept.items() if oid in was}
        then = {oid: before.kept.get(oid, was[oid]) for oid in (*gone, *kept)}
        locked, lost = set(), []
        for oid in sorted({*gone, *kept}, key=int):
            table = self._table(then[oid])
            if oid not in tables:
                continue
            if oid in gone or (oid in empty and kept[oid].storage != then[oid].storage):
                locked.add(table)
                lost.append(queries.HAS_ROWS.format(table=table))
            for n in then[oid].dropped(kept[oid]) if oid in kept else ():
                locked.add(table)
                column = self._names.identifier(then[oid].columns[n][0])
                lost.append(queries.HAS_VALUES.format(table=table, column=column))
        fresh = sum(oid not in was for oid in (*after.gone, *after.kept))
        same = {
            "stored": _array(o for o, r in kept.items() if r.storage == then[o].storage),
            "whole": _array(
                o for o, r in kept.items() if r.columns.keys() >= then[o].columns.keys()
            ),
        }
        fill = self._names.fill
        lock = [queries.LOCK_TABLES.format(tables=", ".join(sorted(locked)))] if locked else []
        return Guard(
            (
                *lock,
                fill(queries.GUARD_BEFORE, **same, written=_array(after.written))
                % (" OR ".join(lost) or "false"),
            ),
            (
                fill(
                    queries.GUARD_AFTER,
                    gone=_array(gone),
                    kept=_array(kept),
                    **same,
                    fresh=fresh,
                    target=self._schema,
                ),
            ),
        )


def _touched(answer: dict[str, Any]) -> Touched:
    written = {oid: (i, d) for oid, (i, d) in answer["written"].items()}
    return Touched(frozenset(answer["gone"]), _relations(answer["kept"]), written)


def _relations(answer: dict[str, Any]) -> dict[str, Relation]:
    return {
        oid: Relation._make((*facts, {n: (name, gen) for n, (name, gen) in columns.items()}))
        for oid, (*facts, columns) in answer.items()
    }


def _array(oids: Iterable[str]) -> str:
    return f"{{{','.join(oids)}}}"


def _query(sql: str) -> Message:
    return Message(sql.encode(), Part.GUARD)


def _statement(sql: str) -> Message:
    return Message(sql.encode(), Part.FRAME)


_ALL_ROWS = (_statement(queries.PG_CATALOG_ONLY), _statement(queries.ALL_ROWS))
